#include "core/ops/group_norm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::GroupNorm;

std::vector<OpCase> group_norm_cases() {
  return {
      {.name = "matrix", .op = GroupNorm{.groups = 2}, .inputs = {floats({5, 6})}},
      {.name = "channels_last_image",
       .op = GroupNorm{.groups = 3},
       .inputs = {image({2, 6, 3, 4})}},
      {.name = "row_major_image", .op = GroupNorm{.groups = 2}, .inputs = {floats({3, 4, 3, 5})}},
      {.name = "one_group", .op = GroupNorm{}, .inputs = {image({2, 5, 3, 2})}},
      {.name = "a_group_per_channel",
       .op = GroupNorm{.groups = 5},
       .inputs = {image({2, 5, 3, 4})}},
      {.name = "a_group_per_channel_row_major",
       .op = GroupNorm{.groups = 3},
       .inputs = {floats({2, 3, 4, 5})}},
      {.name = "sequence", .op = GroupNorm{.groups = 2}, .inputs = {floats({2, 4, 7})}},
      {.name = "volume", .op = GroupNorm{.groups = 2}, .inputs = {floats({2, 4, 2, 3, 2})}},
      {.name = "one_channel", .op = GroupNorm{}, .inputs = {image({2, 1, 3, 3})}},
      {.name = "one_position", .op = GroupNorm{.groups = 2}, .inputs = {image({3, 8, 1, 1})}},
      {.name = "mean_far_from_zero",
       .op = GroupNorm{.groups = 2},
       .inputs = {image({2, 4, 4, 4})},
       .offset = 300},
      {.name = "large_epsilon",
       .op = GroupNorm{.groups = 2, .epsilon = 0.5},
       .inputs = {image({2, 4, 3, 5})}},
      {.name = "many_groups", .op = GroupNorm{.groups = 37}, .inputs = {image({2, 74, 2, 2})}},
      {.name = "large_image",
       .op = GroupNorm{.groups = 4},
       .inputs = {image({2, 32, 23, 19})},
       .large = true},
      {.name = "large_row_major_image",
       .op = GroupNorm{.groups = 2},
       .inputs = {floats({2, 6, 31, 37})},
       .large = true},
      {.name = "more_groups_than_a_block",
       .op = GroupNorm{.groups = 1100},
       .inputs = {floats({3, 1100, 9})},
       .large = true},
      {.name = "more_groups_than_a_block_channels_last",
       .op = GroupNorm{.groups = 1100},
       .inputs = {image({2, 1100, 3, 3})},
       .large = true},
      {.name = "empty_batch", .op = GroupNorm{.groups = 2}, .inputs = {image({0, 4, 3, 3})}},
      {.name = "no_positions", .op = GroupNorm{.groups = 2}, .inputs = {image({2, 4, 0, 3})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr double kNear = 1e-10;  // epsilon moves the deviation

TEST(GroupNorm, EveryGroupOfASampleHasItsOwnMeanAndDeviation) {
  // Group 0: 1, 3 (mean 2, variance 1); group 1: 10, 50 (mean 30, variance 400).
  const auto r = evaluate(GroupNorm{.groups = 2, .epsilon = 1e-12}, {floats({1, 4})},
                          {{"x", {1, 3, 10, 50}},
                           {"gamma", {5, 6, 7, 8}},
                           {"beta", {100, 200, 300, 400}},
                           {"grad y", {1, 2, 3, 4}}});
  EXPECT_THAT(r.at("sums"), ElementsAre(4, 10, 60, 2600));
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(95, kNear), DoubleNear(206, kNear),
                                     DoubleNear(293, kNear), DoubleNear(408, kNear)));
  EXPECT_THAT(r.at("grad beta"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(r.at("grad gamma"), ElementsAre(DoubleNear(-1, kNear), DoubleNear(2, kNear),
                                              DoubleNear(-3, kNear), DoubleNear(4, kNear)));
  // g = 5, 12 and x̂ = -1, 1 in group 0; two numbers have no other direction: dx = 0.
  EXPECT_THAT(r.at("grad_sums"), ElementsAre(17, DoubleNear(7, kNear), 53, DoubleNear(11, kNear)));
  EXPECT_THAT(r.at("grad x"), ElementsAre(DoubleNear(0, kNear), DoubleNear(0, kNear),
                                          DoubleNear(0, kNear), DoubleNear(0, kNear)));
}

TEST(GroupNorm, PositionsBelongToTheGroup) {
  // One channel of 2 positions is like 2 channels of one group.
  const auto r = evaluate(
      GroupNorm{.groups = 2, .epsilon = 1e-12}, {floats({1, 2, 2})},
      {{"x", {1, 3, 10, 50}}, {"gamma", {5, 7}}, {"beta", {100, 200}}, {"grad y", {1, 2, 3, 4}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(95, kNear), DoubleNear(105, kNear),
                                     DoubleNear(193, kNear), DoubleNear(207, kNear)));
  EXPECT_THAT(r.at("grad beta"), ElementsAre(3, 7));
  EXPECT_THAT(r.at("grad gamma"), ElementsAre(DoubleNear(1, kNear), DoubleNear(1, kNear)));
}

TEST(GroupNorm, RefusesWhatDoesNotFit) {
  const auto picture = image({2, 6, 3, 3});
  EXPECT_EQ(refusal(GroupNorm{}, {picture, picture}), "takes one input, got 2");
  EXPECT_EQ(refusal(GroupNorm{}, {floats({4})}),
            "takes an input [n, c, …] of rank 2 to 5, got [4]");
  for (const std::int64_t groups : {0, 4, 12})
    EXPECT_EQ(
        refusal(GroupNorm{.groups = groups}, {picture}),
        "groups = " + std::to_string(groups) + " must divide the 6 channels of input [2, 6, 3, 3]");
  EXPECT_EQ(refusal(GroupNorm{.epsilon = 0}, {picture}), "epsilon = 0: must be greater than 0");
}

}  // namespace
}  // namespace soapstone::conformance
