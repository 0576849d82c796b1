#include "core/ops/attention.hpp"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Attention;

namespace {

std::vector<core::TensorDesc> separate(std::int64_t n, std::int64_t queries, std::int64_t keys,
                                       std::int64_t heads, std::int64_t d) {
  return {floats({n, queries, heads, d}), floats({n, keys, heads, d}), floats({n, keys, heads, d})};
}

// Keys and values of `groups` heads.
std::vector<core::TensorDesc> grouped(std::int64_t n, std::int64_t queries, std::int64_t keys,
                                      std::int64_t heads, std::int64_t groups, std::int64_t d) {
  return {floats({n, queries, heads, d}), floats({n, keys, groups, d}),
          floats({n, keys, groups, d})};
}

std::vector<core::TensorDesc> with_mask(std::vector<core::TensorDesc> inputs,
                                        const core::Shape& mask) {
  inputs.push_back(floats(mask));
  return inputs;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  return {
      {.name = "single_numbers", .op = Attention{}, .inputs = separate(1, 1, 1, 1, 1)},
      {.name = "queries_over_other_keys", .op = Attention{}, .inputs = separate(2, 3, 5, 2, 4)},
      {.name = "causal", .op = Attention{.causal = true}, .inputs = separate(2, 5, 5, 2, 3)},
      {.name = "causal_with_more_keys",
       .op = Attention{.causal = true},
       .inputs = separate(2, 4, 7, 3, 5)},
      {.name = "packed", .op = Attention{}, .inputs = {floats({3, 4, 3, 2, 4})}},
      {.name = "packed_causal",
       .op = Attention{.causal = true},
       .inputs = {floats({2, 6, 3, 4, 3})}},
      {.name = "long_causal",
       .op = Attention{.causal = true},
       .inputs = {floats({1, 35, 3, 2, 4})}},
      {.name = "large_scores", .op = Attention{}, .inputs = separate(1, 3, 4, 2, 2), .offset = 9},
      {.name = "many_features", .op = Attention{}, .inputs = separate(1, 3, 4, 2, 37)},
      {.name = "several_blocks",
       .op = Attention{},
       .inputs = separate(1, 70, 135, 2, 3),
       .large = true},
      {.name = "several_blocks_causal",
       .op = Attention{.causal = true},
       .inputs = separate(1, 70, 135, 1, 5),
       .large = true},
      {.name = "groups_of_heads", .op = Attention{}, .inputs = grouped(2, 3, 5, 6, 2, 4)},
      {.name = "one_group_of_heads",
       .op = Attention{.causal = true},
       .inputs = grouped(2, 4, 4, 4, 1, 3)},
      {.name = "window",
       .op = Attention{.causal = true, .window = 2},
       .inputs = separate(2, 6, 6, 2, 3)},
      {.name = "window_with_more_keys",
       .op = Attention{.causal = true, .window = 3},
       .inputs = separate(2, 4, 9, 2, 2)},
      {.name = "window_wider_than_the_keys",
       .op = Attention{.causal = true, .window = 20},
       .inputs = separate(2, 4, 5, 2, 2)},
      {.name = "window_of_groups",
       .op = Attention{.causal = true, .window = 3},
       .inputs = grouped(1, 5, 6, 6, 3, 2)},
      {.name = "packed_window",
       .op = Attention{.causal = true, .window = 3},
       .inputs = {floats({2, 6, 3, 2, 3})}},
      {.name = "mask_of_keys",
       .op = Attention{},
       .inputs = with_mask(separate(3, 4, 5, 2, 3), {3, 5})},
      {.name = "mask_of_queries_and_keys",
       .op = Attention{},
       .inputs = with_mask(separate(2, 4, 5, 2, 3), {2, 4, 5})},
      {.name = "packed_with_a_mask",
       .op = Attention{.causal = true},
       .inputs = with_mask({floats({2, 5, 3, 2, 3})}, {2, 5})},
      {.name = "mask_over_a_window_of_groups",
       .op = Attention{.causal = true, .window = 3},
       .inputs = with_mask(grouped(2, 4, 6, 4, 2, 2), {2, 4, 6})},
      {.name = "several_blocks_of_a_window",
       .op = Attention{.causal = true, .window = 40},
       .inputs = grouped(1, 150, 200, 12, 1, 3),
       .large = true},
      {.name = "several_blocks_of_groups",
       .op = Attention{},
       .inputs = with_mask(grouped(1, 70, 135, 8, 2, 3), {1, 70, 135}),
       .large = true},
      {.name = "several_blocks_of_one_group",
       .op = Attention{.causal = true},
       .inputs = with_mask(grouped(1, 130, 135, 12, 1, 3), {1, 135}),
       .large = true},
      {.name = "zigzag",
       .op = Attention{.causal = true, .zigzag = 4},
       .inputs = separate(2, 8, 8, 2, 3)},
      {.name = "packed_zigzag",
       .op = Attention{.causal = true, .zigzag = 6},
       .inputs = {floats({1, 12, 3, 2, 3})}},
      {.name = "zigzag_with_more_keys",
       .op = Attention{.causal = true, .zigzag = 4},
       .inputs = grouped(2, 4, 8, 4, 2, 2)},
      {.name = "zigzag_of_a_window_and_a_mask",
       .op = Attention{.causal = true, .window = 3, .zigzag = 4},
       .inputs = with_mask(grouped(2, 8, 8, 4, 2, 2), {2, 8})},
      {.name = "several_blocks_in_zigzag",
       .op = Attention{.causal = true, .zigzag = 4},
       .inputs = separate(1, 140, 280, 1, 3),
       .large = true},
      {.name = "several_blocks_of_one_group_in_zigzag",
       .op = Attention{.causal = true, .window = 90, .zigzag = 2},
       .inputs = grouped(1, 150, 150, 12, 1, 3),
       .large = true},
      {.name = "no_keys", .op = Attention{}, .inputs = separate(2, 3, 0, 2, 2)},
      {.name = "empty_batch", .op = Attention{}, .inputs = separate(0, 3, 3, 2, 2)},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(Attention, EqualScoresGiveTheMeanOfTheValues) {
  const auto r = evaluate(Attention{}, separate(1, 1, 2, 1, 1),
                          {{"q", {0}}, {"k", {3, 4}}, {"v", {10, 20}}, {"grad y", {1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(15));
  EXPECT_THAT(r.at("lse"), ElementsAre(DoubleNear(std::log(2), 1e-15)));
  EXPECT_THAT(r.at("grad v"), ElementsAre(0.5, 0.5));
  EXPECT_THAT(r.at("grad q"), ElementsAre(0.5 * (10 - 15) * 3 + 0.5 * (20 - 15) * 4));
}

TEST(Attention, ScoresAreScaledByTheRootOfTheFeatures) {
  // Scores (2 · ln 3 · 2) / √4 = 2 ln 3 and 0: weights 9 / 10 and 1 / 10.
  const double l = std::log(3.0);
  const auto r = evaluate(Attention{}, separate(1, 1, 2, 1, 4),
                          {{"q", {2 * l, 0, 0, 0}},
                           {"k", {2, 0, 0, 0, 0, 0, 0, 0}},
                           {"v", {10, 0, 0, 0, 20, 0, 0, 0}},
                           {"grad y", {0, 0, 0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(11, 1e-14), 0, 0, 0));
}

TEST(Attention, ACausalQuerySeesTheKeysUpToItself) {
  const auto r =
      evaluate(Attention{.causal = true}, separate(1, 2, 3, 1, 1),
               {{"q", {0, 0}}, {"k", {0, 0, 0}}, {"v", {10, 20, 60}}, {"grad y", {0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(15, 1e-14), DoubleNear(30, 1e-14)));
}

TEST(Attention, InZigzagAQuerySeesTheKeysOfLowerPositions) {
  // Positions 0, 3, 1, 2; the key at position p has value 10^p.
  const auto r = evaluate(Attention{.causal = true, .zigzag = 4}, separate(1, 4, 4, 1, 1),
                          {{"q", {0, 0, 0, 0}},
                           {"k", {0, 0, 0, 0}},
                           {"v", {1, 1000, 10, 100}},
                           {"grad y", {0, 0, 0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(1, 1e-14), DoubleNear(1111.0 / 4, 1e-12),
                                     DoubleNear(11.0 / 2, 1e-14), DoubleNear(111.0 / 3, 1e-13)));
}

TEST(Attention, ConsecutiveHeadsShareTheKeysAndValuesOfTheirGroup) {
  const auto r = evaluate(
      Attention{}, grouped(1, 1, 1, 4, 2, 1),
      {{"q", {1, 2, 3, 4}}, {"k", {5, 6}}, {"v", {10, 20}}, {"grad y", {1, 10, 100, 1000}}});
  EXPECT_THAT(r.at("y"), ElementsAre(10, 10, 20, 20));
  EXPECT_THAT(r.at("grad v"), ElementsAre(11, 1100));
}

TEST(Attention, AnIndexOfTheHeadAxisIsAGroupButForOneGroup) {
  const auto heads_of = [](std::int64_t heads, std::int64_t groups) {
    const auto d = Attention{}.define(grouped(1, 2, 2, heads, groups, 2));
    auto axes = core::axis_intervals(*d, {}, 0);
    auto& head = axes[static_cast<std::size_t>(d->axis("head"))];
    head.begin = head.end / 2;  // the second of two parts
    const auto box = [&](const char* operand) {
      return core::operand_box(d->operands[static_cast<std::size_t>(d->operand(operand))], axes)[2];
    };
    return std::pair(box("q"), box("k"));
  };
  const core::Interval heads{6, 12}, half{2, 4}, one{0, 1};
  EXPECT_EQ(heads_of(12, 4), std::pair(heads, half));
  EXPECT_EQ(heads_of(12, 12), std::pair(heads, heads));
  EXPECT_EQ(heads_of(12, 1), std::pair(heads, one));
}

TEST(Attention, AWindowEndsAtTheQueryItself) {
  const auto r =
      evaluate(Attention{.causal = true, .window = 2}, separate(1, 3, 3, 1, 1),
               {{"q", {0, 0, 0}}, {"k", {0, 0, 0}}, {"v", {10, 20, 60}}, {"grad y", {0, 0, 0}}});
  EXPECT_THAT(r.at("y"),
              ElementsAre(DoubleNear(10, 1e-14), DoubleNear(15, 1e-14), DoubleNear(40, 1e-14)));
}

TEST(Attention, APartReadsTheKeysOfItsWindow) {
  const auto d = Attention{.causal = true, .window = 3}.define(separate(1, 4, 10, 1, 1));
  auto axes = core::axis_intervals(*d, {}, 0);
  axes[static_cast<std::size_t>(d->axis("s"))] = {2, 4};
  // Query 2 stands at key 8 and sees 6, 7, 8; query 3 sees 7, 8, 9.
  const core::Box k =
      core::operand_box(d->operands[static_cast<std::size_t>(d->operand("k"))], axes);
  EXPECT_EQ(k[1], (core::Interval{6, 10}));
}

TEST(Attention, TheMaskIsAddedToTheScores) {
  const auto r = evaluate(
      Attention{}, with_mask(separate(1, 1, 2, 1, 1), {1, 2}),
      {{"q", {0}}, {"k", {0, 0}}, {"v", {10, 20}}, {"mask", {0, std::log(3.0)}}, {"grad y", {1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(17.5, 1e-14)));
  EXPECT_THAT(r.at("lse"), ElementsAre(DoubleNear(std::log(4.0), 1e-15)));
  EXPECT_THAT(r.at("grad v"), ElementsAre(DoubleNear(0.25, 1e-15), DoubleNear(0.75, 1e-15)));
}

TEST(Attention, AQueryOfWhichAllKeysAreMaskedGivesZeros) {
  constexpr double kHidden = -std::numeric_limits<double>::infinity();
  const auto r = evaluate(Attention{}, with_mask(separate(1, 2, 2, 1, 1), {1, 2, 2}),
                          {{"q", {3, 4}},
                           {"k", {5, 6}},
                           {"v", {10, 20}},
                           {"mask", {kHidden, kHidden, 0, kHidden}},
                           {"grad y", {1, 10}}});
  EXPECT_THAT(r.at("y"), ElementsAre(0, 10));
  EXPECT_THAT(r.at("lse"), ElementsAre(0, 20));
  EXPECT_THAT(r.at("grad q"), ElementsAre(0, 0));
  EXPECT_THAT(r.at("grad k"), ElementsAre(0, 0));
  EXPECT_THAT(r.at("grad v"), ElementsAre(10, 0));
}

TEST(Attention, WhatDoesNotFitIsRefusedWithItsValues) {
  const auto refusal = [](const Attention& op, const std::vector<core::TensorDesc>& inputs) {
    const auto definition = op.define(inputs);
    return definition ? "accepted" : definition.error().message;
  };
  EXPECT_EQ(refusal({}, grouped(1, 2, 2, 6, 4, 1)),
            "6 heads of queries over 4 of keys: must be a multiple");
  EXPECT_EQ(refusal({.window = 2}, separate(1, 2, 2, 1, 1)),
            "window = 2 with causal = false: must be 0 (none), or at least 1 and causal");
  EXPECT_EQ(refusal({.causal = true, .window = -1}, separate(1, 2, 2, 1, 1)),
            "window = -1 with causal = true: must be 0 (none), or at least 1 and causal");
  EXPECT_EQ(refusal({}, with_mask(separate(3, 2, 5, 1, 1), {2, 5})),
            "the mask is f32 [2, 5]: f32 [3, 5] or [3, 2, 5] is wanted");
  EXPECT_EQ(refusal({.zigzag = 2}, separate(1, 2, 2, 1, 1)),
            "zigzag = 2 with causal = false: 0 is accepted: all keys are seen");
  EXPECT_EQ(refusal({.causal = true, .zigzag = 6}, separate(1, 8, 8, 1, 1)),
            "axis s: zigzag = 6: 8 indices are not so many equal chunks: 4 is accepted");
  EXPECT_EQ(refusal({}, {floats({1, 2, 2, 1, 1}), integers({1, 2})}),
            "takes a packed input [b, s, 3, heads, d], got [1, 2, 2, 1, 1]");
  EXPECT_EQ(refusal({.causal = true}, separate(1, 3, 2, 1, 1)),
            "causal attention of 3 queries over 2 keys: there must be at least as many keys");
}

}  // namespace
}  // namespace soapstone::conformance
