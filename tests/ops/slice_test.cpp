#include "core/ops/slice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::Slice;

std::vector<OpCase> slice_cases() {
  return {
      {.name = "one_of_many", .op = Slice{.starts = {2}, .stops = {3}}, .inputs = {floats({5})}},
      {.name = "middle_of_a_matrix",
       .op = Slice{.starts = {1, 2}, .stops = {4, 5}},
       .inputs = {floats({5, 7})}},
      {.name = "all_of_it",
       .op = Slice{.starts = {0, 0}, .stops = {0, 4}},
       .inputs = {floats({3, 4})}},
      {.name = "every_second_column",
       .op = Slice{.starts = {0, 1}, .stops = {0, 0}, .steps = {1, 2}},
       .inputs = {floats({3, 9})}},
      {.name = "steps_in_all_dimensions",
       .op = Slice{.starts = {1, 0, 2}, .stops = {0, 7, 11}, .steps = {2, 3, 4}},
       .inputs = {floats({6, 8, 12})}},
      {.name = "first_token_of_a_sequence",
       .op = Slice{.starts = {0, 0, 0}, .stops = {0, 1, 0}},
       .inputs = {floats({4, 5, 6})}},
      {.name = "crop_of_a_channels_last_image",
       .op = Slice{.starts = {0, 0, 1, 2}, .stops = {0, 0, 5, 6}},
       .inputs = {image({2, 3, 6, 7})}},
      {.name = "coarser_channels_last_image",
       .op = Slice{.starts = {0, 1, 0, 1}, .stops = {0, 5, 0, 0}, .steps = {1, 2, 2, 3}},
       .inputs = {image({2, 6, 5, 8})}},
      {.name = "row_major_image",
       .op = Slice{.starts = {0, 1, 0, 1}, .stops = {0, 0, 3, 5}, .steps = {1, 1, 2, 1}},
       .inputs = {floats({2, 4, 5, 6})}},
      {.name = "six_dimensions",
       .op = Slice{.starts = {0, 0, 1, 0, 0, 1}, .stops = {0, 0, 0, 0, 0, 0}},
       .inputs = {floats({2, 1, 3, 2, 1, 2})}},
      {.name = "several_blocks",
       .op = Slice{.starts = {0, 5}, .stops = {0, 9006}},
       .inputs = {floats({3, 9011})},
       .large = true},
      {.name = "several_blocks_in_steps",
       .op = Slice{.starts = {1, 0}, .stops = {0, 0}, .steps = {3, 2}},
       .inputs = {floats({200, 301})},
       .large = true},
      {.name = "empty_batch",
       .op = Slice{.starts = {0, 1}, .stops = {0, 3}},
       .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Slice, TakesEveryStepthIndexAndLeavesZeroGradientsBetween) {
  const auto r =
      evaluate(Slice{.starts = {0, 1}, .stops = {1, 6}, .steps = {1, 2}}, {floats({2, 7})},
               {{"x", {0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16}}, {"grad y", {7, 8, 9}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1, 3, 5));
  EXPECT_THAT(r.at("grad x"), ElementsAre(0, 7, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0));
}

TEST(Slice, AStopOfZeroIsTheEndOfAnyBatch) {
  const Slice slice{.starts = {0, 1}, .stops = {0, 2}};
  for (const std::int64_t batch : {1, 3})
    EXPECT_EQ(slice.define(std::vector{floats({batch, 2})})->operands[1].desc.shape,
              (core::Shape{batch, 1}));
}

TEST(Slice, RefusesWhatItCannotTake) {
  const auto matrix = floats({3, 4});
  EXPECT_EQ(refusal(Slice{.starts = {0, 0}, .stops = {0, 0}}, {matrix, matrix}),
            "takes one input, got 2");
  EXPECT_EQ(refusal(Slice{.starts = {0}, .stops = {0, 0}}, {matrix}),
            "starts = [0], stops = [0, 0], steps = []: input [3, 4] wants 2 of each (or no steps)");
  EXPECT_EQ(refusal(Slice{.starts = {0, 0}, .stops = {0, 0}, .steps = {1, 0}}, {matrix}),
            "steps = [1, 0]: every step must be at least 1");
  EXPECT_THAT(refusal(Slice{.starts = {1, 0}, .stops = {0, 0}}, {floats({0, 4})}),
              testing::HasSubstr("dimension 0 of input [0, 4] allows"));
  for (const Slice& wrong :
       {Slice{.starts = {0, -1}, .stops = {0, 2}}, Slice{.starts = {0, 2}, .stops = {0, 2}},
        Slice{.starts = {0, 0}, .stops = {0, 5}}, Slice{.starts = {0, 4}, .stops = {0, 0}}})
    EXPECT_THAT(refusal(wrong, {matrix}),
                testing::HasSubstr(
                    "dimension 1 of input [3, 4] allows 0 <= start < stop <= 4 (a stop of 0: 4)"));
}

}  // namespace
}  // namespace soapstone::conformance
