#include "core/ops/split.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::Split;

std::vector<OpCase> split_cases() {
  return {
      {.name = "one_output", .op = Split{.sizes = {4}}, .inputs = {floats({3, 4})}},
      {.name = "two_matrices", .op = Split{.sizes = {2, 5}}, .inputs = {floats({3, 7})}},
      {.name = "along_the_sample",
       .op = Split{.dim = 0, .sizes = {3, 2, 1}},
       .inputs = {floats({6, 4})}},
      {.name = "channels_of_an_image",
       .op = Split{.sizes = {3, 1, 4}},
       .inputs = {image({2, 8, 4, 5})}},
      {.name = "rows_of_a_row_major_image",
       .op = Split{.dim = 2, .sizes = {2, 3}},
       .inputs = {floats({2, 3, 5, 4})}},
      {.name = "last_dimension_of_a_sequence",
       .op = Split{.dim = 2, .sizes = {1, 7}},
       .inputs = {floats({2, 3, 8})}},
      {.name = "many_outputs",
       .op = Split{.sizes = {1, 1, 1, 1, 1, 1, 1}},
       .inputs = {floats({2, 7})}},
      {.name = "several_blocks",
       .op = Split{.sizes = {9001, 5}},
       .inputs = {floats({2, 9006})},
       .large = true},
      {.name = "empty_batch", .op = Split{.sizes = {3, 1}}, .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Split, CutsTheInputIntoPieces) {
  const auto r =
      evaluate(Split{.sizes = {1, 2}}, {floats({2, 3})},
               {{"x", {1, 2, 3, 4, 5, 6}}, {"grad y0", {10, 20}}, {"grad y1", {30, 40, 50, 60}}});
  EXPECT_THAT(r.at("y0"), ElementsAre(1, 4));
  EXPECT_THAT(r.at("y1"), ElementsAre(2, 3, 5, 6));
  EXPECT_THAT(r.at("grad x"), ElementsAre(10, 30, 40, 20, 50, 60));
}

TEST(Split, RefusesSizesThatDoNotFit) {
  const auto matrix = floats({3, 4});
  EXPECT_EQ(refusal(Split{.sizes = {4}}, {}), "takes one input, got 0");
  EXPECT_EQ(refusal(Split{.dim = 2, .sizes = {4}}, {matrix}),
            "dim = 2: an input of rank 2 allows 0 to 1");
  EXPECT_EQ(refusal(Split{.sizes = {4, 0}}, {matrix}),
            "sizes = [4, 0]: every size must be at least 1");
  EXPECT_EQ(refusal(Split{.sizes = {2, 3}}, {matrix}),
            "sizes = [2, 3] add up to 5: dimension 1 of input [3, 4] has 4");
  EXPECT_EQ(refusal(Split{}, {matrix}),
            "sizes = [] add up to 0: dimension 1 of input [3, 4] has 4");
}

}  // namespace
}  // namespace soapstone::conformance
