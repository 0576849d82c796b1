#include "core/ops/reshape.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Reshape;

std::vector<OpCase> reshape_cases() {
  return {
      {.name = "flatten_a_channels_last_image",
       .op = Reshape{{0, -1}},
       .inputs = {image({3, 4, 2, 5})}},
      {.name = "flatten_a_row_major_image",
       .op = Reshape{{0, -1}},
       .inputs = {floats({3, 4, 2, 5})}},
      {.name = "image_from_features", .op = Reshape{{0, 3, 4, 2}}, .inputs = {floats({5, 24})}},
      {.name = "channels_last_image_to_channels_last_image",
       .op = Reshape{{0, 6, 2, 3}},
       .inputs = {image({2, 3, 4, 3})}},
      {.name = "heads_split_off", .op = Reshape{{0, 0, 2, 3}}, .inputs = {floats({2, 5, 6})}},
      {.name = "heads_joined", .op = Reshape{{0, 0, 6}}, .inputs = {floats({2, 5, 2, 3})}},
      {.name = "samples_joined_with_positions",
       .op = Reshape{{-1, 4}},
       .inputs = {floats({3, 5, 4})}},
      {.name = "positions_split_off_samples",
       .op = Reshape{{3, 5, 4}},
       .inputs = {floats({15, 4})}},
      {.name = "leading_ones", .op = Reshape{{1, 1, 6, 2}}, .inputs = {floats({6, 2})}},
      {.name = "trailing_ones", .op = Reshape{{0, 0, 1, 1}}, .inputs = {floats({4, 6})}},
      {.name = "ones_dropped", .op = Reshape{{4, 6}}, .inputs = {image({4, 6, 1, 1})}},
      {.name = "one_sample_of_many_channels",
       .op = Reshape{{0, -1}},
       .inputs = {image({2, 1, 4, 3})}},
      {.name = "flatten_a_large_image",
       .op = Reshape{{0, -1}},
       .inputs = {image({2, 70, 9, 11})},
       .large = true},
      {.name = "regrouped", .op = Reshape{{0, 3, 4}}, .inputs = {floats({2, 2, 6})}},
      {.name = "regrouped_between_others",
       .op = Reshape{{4, 3, 2, 5}},
       .inputs = {floats({4, 2, 3, 5})}},
      {.name = "same_shape", .op = Reshape{{0, 0}}, .inputs = {floats({4, 5})}},
      {.name = "six_dimensions", .op = Reshape{{0, -1, 3}}, .inputs = {floats({2, 2, 1, 2, 1, 3})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Reshape, KeepsTheRowMajorOrderOfElements) {
  const auto r = evaluate(Reshape{{2, 3}}, {floats({3, 2})},
                          {{"x", {1, 2, 3, 4, 5, 6}}, {"grad y", {6, 5, 4, 3, 2, 1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(r.at("grad x"), ElementsAre(6, 5, 4, 3, 2, 1));
}

}  // namespace
}  // namespace soapstone::conformance
