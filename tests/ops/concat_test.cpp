#include "core/ops/concat.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Concat;

std::vector<OpCase> concat_cases() {
  return {
      {.name = "two_matrices", .op = Concat{}, .inputs = {floats({3, 2}), floats({3, 5})}},
      {.name = "one_input", .op = Concat{}, .inputs = {floats({3, 4})}},
      {.name = "along_the_sample",
       .op = Concat{.dim = 0},
       .inputs = {floats({3, 4}), floats({2, 4}), floats({1, 4})}},
      {.name = "channels_of_images",
       .op = Concat{},
       .inputs = {image({2, 3, 4, 5}), image({2, 1, 4, 5}), image({2, 4, 4, 5})}},
      {.name = "row_major_after_channels_last",
       .op = Concat{},
       .inputs = {image({2, 3, 4, 5}), floats({2, 2, 4, 5})}},
      {.name = "channels_last_after_row_major",
       .op = Concat{.dim = 2},
       .inputs = {floats({2, 3, 2, 5}), image({2, 3, 4, 5})}},
      {.name = "last_dimension_of_a_sequence",
       .op = Concat{.dim = 2},
       .inputs = {floats({2, 3, 1}), floats({2, 3, 7})}},
      {.name = "an_empty_input_between",
       .op = Concat{},
       .inputs = {floats({2, 3}), floats({2, 0}), floats({2, 4})}},
      {.name = "several_blocks",
       .op = Concat{},
       .inputs = {floats({2, 9001}), floats({2, 5})},
       .large = true},
      {.name = "empty_batch", .op = Concat{}, .inputs = {floats({0, 3}), floats({0, 1})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Concat, PutsTheInputsSideBySide) {
  const auto r =
      evaluate(Concat{}, {floats({2, 1}), floats({2, 2})},
               {{"x0", {1, 2}}, {"x1", {3, 4, 5, 6}}, {"grad y", {10, 20, 30, 40, 50, 60}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1, 3, 4, 2, 5, 6));
  EXPECT_THAT(r.at("grad x0"), ElementsAre(10, 40));
  EXPECT_THAT(r.at("grad x1"), ElementsAre(20, 30, 50, 60));
}

}  // namespace
}  // namespace soapstone::conformance
