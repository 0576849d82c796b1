#include "core/ops/pad.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::Pad;

std::vector<OpCase> pad_cases() {
  return {
      {.name = "single_number",
       .op = Pad{.before = {2}, .after = {1}, .value = 3},
       .inputs = {floats({1})}},
      {.name = "columns_of_a_matrix",
       .op = Pad{.before = {0, 2}, .after = {0, 3}},
       .inputs = {floats({3, 4})}},
      {.name = "nothing_added",
       .op = Pad{.before = {0, 0}, .after = {0, 0}, .value = 1},
       .inputs = {floats({3, 4})}},
      {.name = "far_before_and_after",
       .op = Pad{.before = {0, 5}, .after = {0, 6}, .value = -0.5},
       .inputs = {floats({2, 1})}},
      {.name = "all_dimensions",
       .op = Pad{.before = {1, 0, 2}, .after = {0, 3, 1}, .value = 1.5},
       .inputs = {floats({2, 3, 4})}},
      {.name = "frame_of_a_channels_last_image",
       .op = Pad{.before = {0, 0, 1, 2}, .after = {0, 0, 2, 1}, .value = 0.25},
       .inputs = {image({2, 3, 4, 5})}},
      {.name = "channels_of_a_row_major_image",
       .op = Pad{.before = {0, 1, 0, 0}, .after = {0, 2, 0, 0}},
       .inputs = {floats({2, 3, 4, 2})}},
      {.name = "several_blocks",
       .op = Pad{.before = {0, 7001}, .after = {1, 9}, .value = 2},
       .inputs = {floats({3, 9001})},
       .large = true},
      {.name = "nothing_but_padding",
       .op = Pad{.before = {0, 2}, .after = {0, 1}, .value = 7},
       .inputs = {floats({3, 0})}},
      {.name = "empty_batch",
       .op = Pad{.before = {0, 1}, .after = {0, 1}},
       .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Pad, PutsTheValueAroundTheInputAndSlicesTheGradient) {
  const auto r = evaluate(Pad{.before = {0, 1}, .after = {1, 0}, .value = 9}, {floats({1, 2})},
                          {{"x", {1, 2}}, {"grad y", {10, 20, 30, 40, 50, 60}}});
  EXPECT_THAT(r.at("y"), ElementsAre(9, 1, 2, 9, 9, 9));
  EXPECT_THAT(r.at("grad x"), ElementsAre(20, 30));
}

TEST(Pad, RefusesWhatDoesNotFit) {
  const auto matrix = floats({3, 4});
  EXPECT_EQ(refusal(Pad{.before = {0, 0}, .after = {0, 0}}, {}), "takes one input, got 0");
  EXPECT_EQ(refusal(Pad{.before = {1}, .after = {0, 1}}, {matrix}),
            "before = [1], after = [0, 1]: input [3, 4] wants 2 of each");
  EXPECT_EQ(refusal(Pad{.before = {0, -1}, .after = {0, 1}}, {matrix}),
            "before = [0, -1], after = [0, 1]: must be at least 0 in every dimension");
}

}  // namespace
}  // namespace soapstone::conformance
