#include "core/ops/pool2d.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Pool2D;
using core::PoolKind;

std::vector<OpCase> pool2d_cases() {
  return {
      {.name = "single_numbers",
       .op = Pool2D{.kernel = {1, 1}, .stride = {1, 1}},
       .inputs = {image({1, 1, 1, 1})}},
      {.name = "max_two_by_two", .op = Pool2D{}, .inputs = {image({2, 3, 6, 8})}},
      {.name = "max_last_row_unread", .op = Pool2D{}, .inputs = {image({2, 5, 7, 5})}},
      {.name = "max_overlapping_and_padded",
       .op = Pool2D{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}},
       .inputs = {image({2, 3, 9, 7})}},
      {.name = "max_with_gaps",
       .op = Pool2D{.kernel = {1, 2}, .stride = {3, 3}},
       .inputs = {image({2, 2, 8, 9})}},
      {.name = "max_tied",
       .op = Pool2D{.kernel = {3, 2}, .stride = {1, 1}, .padding = {1, 2, 1, 0}},
       .inputs = {image({2, 3, 6, 5})},
       .values = Values::kTied},
      {.name = "max_all_negative",
       .op = Pool2D{.kernel = {2, 2}, .stride = {1, 1}, .padding = {1, 1, 1, 1}},
       .inputs = {image({1, 3, 4, 4})},
       .offset = -5},
      {.name = "mean_counting_padding",
       .op = Pool2D{.kind = PoolKind::kAverage,
                    .kernel = {3, 3},
                    .stride = {2, 2},
                    .padding = {1, 1, 1, 1}},
       .inputs = {image({2, 3, 7, 6})}},
      {.name = "mean_without_padding",
       .op = Pool2D{.kind = PoolKind::kAverage,
                    .kernel = {3, 2},
                    .stride = {1, 2},
                    .padding = {2, 1, 1, 1},
                    .count_padding = false},
       .inputs = {image({2, 3, 5, 6})}},
      {.name = "mean_of_the_whole_image",
       .op = Pool2D{.kind = PoolKind::kAverage, .kernel = {5, 7}, .stride = {1, 1}},
       .inputs = {image({3, 5, 5, 7})}},
      {.name = "max_row_major_input",
       .op = Pool2D{.kernel = {3, 3}, .stride = {2, 2}},
       .inputs = {floats({2, 3, 7, 7})}},
      {.name = "mean_row_major_input",
       .op = Pool2D{.kind = PoolKind::kAverage},
       .inputs = {floats({2, 3, 4, 6})}},
      {.name = "many_channels", .op = Pool2D{}, .inputs = {image({1, 37, 4, 4})}},
      {.name = "many_positions",
       .op = Pool2D{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}},
       .inputs = {image({2, 35, 19, 23})},
       .large = true},
      {.name = "empty_batch", .op = Pool2D{}, .inputs = {image({0, 2, 4, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Pool2D, TheFirstOfEqualMaximaGetsTheGradient) {
  const auto r = evaluate(Pool2D{}, {image({1, 1, 2, 2})}, {{"x", {1, 4, 4, 2}}, {"grad y", {3}}});
  EXPECT_THAT(r.at("y"), ElementsAre(4));
  EXPECT_THAT(r.at("grad x"), ElementsAre(0, 3, 0, 0));
}

TEST(Pool2D, PaddingNeverWinsAMaximum) {
  const auto r = evaluate(Pool2D{.kernel = {1, 2}, .stride = {1, 1}, .padding = {0, 0, 1, 1}},
                          {image({1, 1, 1, 2})}, {{"x", {-2, -3}}, {"grad y", {1, 10, 100}}});
  EXPECT_THAT(r.at("y"), ElementsAre(-2, -2, -3));
  EXPECT_THAT(r.at("grad x"), ElementsAre(11, 100));
}

TEST(Pool2D, AMeanCountsPaddingOnlyWhenAsked) {
  const Pool2D mean{
      .kind = PoolKind::kAverage, .kernel = {1, 2}, .stride = {1, 1}, .padding = {0, 0, 1, 0}};
  Pool2D inside = mean;
  inside.count_padding = false;
  EXPECT_THAT(evaluate(mean, {image({1, 1, 1, 2})}, {{"x", {4, 6}}, {"grad y", {2, 2}}}).at("y"),
              ElementsAre(2, 5));
  const auto r = evaluate(inside, {image({1, 1, 1, 2})}, {{"x", {4, 6}}, {"grad y", {2, 2}}});
  EXPECT_THAT(r.at("y"), ElementsAre(4, 5));
  EXPECT_THAT(r.at("grad x"), ElementsAre(3, 1));
}

}  // namespace
}  // namespace soapstone::conformance
