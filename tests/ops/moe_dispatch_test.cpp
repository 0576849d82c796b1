#include "core/ops/moe_dispatch.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::MoeDispatch;

namespace {

std::vector<core::TensorDesc> gated(std::int64_t n, std::int64_t s, std::int64_t d,
                                    std::int64_t e) {
  return {floats({n, s, d}), floats({n, s, e})};
}

}  // namespace

std::vector<OpCase> moe_dispatch_cases() {
  return {
      {.name = "single_numbers", .op = MoeDispatch{}, .inputs = gated(1, 1, 1, 1)},
      {.name = "switch_with_few_slots",
       .op = MoeDispatch{.top_k = 1, .capacity_factor = 1},
       .inputs = gated(2, 8, 3, 4)},
      {.name = "switch_with_a_load_loss",
       .op = MoeDispatch{.top_k = 1, .capacity_factor = 1.25, .load_loss = 0.5},
       .inputs = gated(3, 6, 2, 4)},
      {.name = "two_of_four", .op = MoeDispatch{.top_k = 2}, .inputs = gated(2, 5, 4, 4)},
      {.name = "two_of_four_with_few_slots",
       .op = MoeDispatch{.top_k = 2, .capacity_factor = 0.75},
       .inputs = gated(3, 7, 3, 4)},
      {.name = "renormalized",
       .op = MoeDispatch{.top_k = 2, .renormalize = true},
       .inputs = gated(2, 5, 3, 5)},
      {.name = "renormalized_with_few_slots_and_a_load_loss",
       .op = MoeDispatch{.top_k = 3, .capacity_factor = 0.5, .renormalize = true, .load_loss = 0.3},
       .inputs = gated(2, 6, 3, 5)},
      {.name = "zigzag_with_few_slots",
       .op = MoeDispatch{.top_k = 2, .capacity_factor = 0.75, .zigzag = 4},
       .inputs = gated(3, 8, 3, 4)},
      {.name = "all_experts", .op = MoeDispatch{.top_k = 3}, .inputs = gated(2, 4, 2, 3)},
      {.name = "part_of_a_mini_batch",
       .op = MoeDispatch{.top_k = 2, .load_loss = 0.5, .mean_over = 12},
       .inputs = gated(3, 4, 2, 4)},
      {.name = "tied_logits",
       .op = MoeDispatch{.top_k = 2, .capacity_factor = 1},
       .inputs = gated(2, 7, 3, 5),
       .values = Values::kTied},
      {.name = "large_logits",
       .op = MoeDispatch{.top_k = 2},
       .inputs = gated(2, 4, 3, 4),
       .offset = 90},
      {.name = "more_features_than_a_block",
       .op = MoeDispatch{.top_k = 2, .capacity_factor = 1},
       .inputs = gated(1, 9, 300, 4),
       .large = true},
      {.name = "many_tokens",
       .op = MoeDispatch{.top_k = 2, .capacity_factor = 1.1, .load_loss = 1},
       .inputs = gated(2, 700, 3, 16),
       .large = true},
      {.name = "no_tokens", .op = MoeDispatch{.load_loss = 1}, .inputs = gated(2, 0, 3, 4)},
      {.name = "no_features", .op = MoeDispatch{.top_k = 2}, .inputs = gated(2, 3, 0, 4)},
      {.name = "empty_batch",
       .op = MoeDispatch{.load_loss = 1, .mean_over = 8},
       .inputs = gated(0, 3, 2, 4)},
  };
}

namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;

TEST(MoeDispatch, TokensTakeTheSlotsOfTheirExpertInOrder) {
  // Experts of the tokens: 1, 0, 1, 1; one slot each and 4 · 1 / 2 = 2 slots an expert.
  const double l = std::log(3.0);
  const auto r = evaluate(MoeDispatch{.top_k = 1, .capacity_factor = 1}, gated(1, 4, 1, 2),
                          {{"x", {10, 20, 30, 40}},
                           {"logits", {0, l, l, 0, 0, l, 0, l}},
                           {"grad y", {1, 2, 3, 4}},
                           {"grad weights", {16, 16, 16, 16}}});
  EXPECT_THAT(r.at("slots"), ElementsAre(2, 0, 3, -1));
  EXPECT_THAT(r.at("y"), ElementsAre(20, 0, 10, 30));
  EXPECT_THAT(r.at("weights"), ElementsAre(DoubleEq(0.75), DoubleEq(0.75), DoubleEq(0.75), 0));
  EXPECT_THAT(r.at("grad x"), ElementsAre(3, 1, 4, 0));
  // p (1 - p) = 3 / 16
  EXPECT_THAT(r.at("grad logits"), ElementsAre(DoubleEq(-3), DoubleEq(3), DoubleEq(3), DoubleEq(-3),
                                               DoubleEq(-3), DoubleEq(3), 0, 0));
}

// The same tokens in the order of positions 0, 3, 1, 2: the last one still finds no slot.
TEST(MoeDispatch, InZigzagTokensTakeSlotsInTheOrderOfTheirPositions) {
  const double l = std::log(3.0);
  const auto r =
      evaluate(MoeDispatch{.top_k = 1, .capacity_factor = 1, .zigzag = 4}, gated(1, 4, 1, 2),
               {{"x", {10, 40, 20, 30}},
                {"logits", {0, l, 0, l, l, 0, 0, l}},
                {"grad y", {1, 2, 3, 4}},
                {"grad weights", {16, 16, 16, 16}}});
  EXPECT_THAT(r.at("slots"), ElementsAre(2, -1, 0, 3));
  EXPECT_THAT(r.at("y"), ElementsAre(20, 0, 10, 30));
  EXPECT_THAT(r.at("grad x"), ElementsAre(3, 0, 1, 4));
}

TEST(MoeDispatch, ATokenGoesToItsTopExpertsAndEqualLogitsToTheLowerOne) {
  const auto r = evaluate(MoeDispatch{.top_k = 2, .renormalize = true}, gated(1, 2, 1, 3),
                          {{"x", {10, 20}},
                           {"logits", {5, 7, 5, 1, 1, 1}},
                           {"grad y", {1, 2, 3, 4, 5, 6}},
                           {"grad weights", {0, 0, 0, 0}}});
  // C = 2: token 0 to experts 1 and 0, token 1 to experts 0 and 1.
  EXPECT_THAT(r.at("slots"), ElementsAre(2, 0, 1, 3));
  EXPECT_THAT(r.at("y"), ElementsAre(10, 20, 10, 20, 0, 0));
  const double e = std::exp(-2.0);
  EXPECT_THAT(r.at("weights"), ElementsAre(DoubleEq(1 / (1 + e)), DoubleEq(e / (1 + e)), 0.5, 0.5));
  EXPECT_THAT(r.at("grad x"), ElementsAre(3 + 1, 2 + 4));
}

TEST(MoeDispatch, TheLoadLossIsItsCoefficientWhereAllExpertsGetTheSame) {
  const auto r = evaluate(MoeDispatch{.load_loss = 0.5}, gated(1, 2, 1, 2),
                          {{"x", {0, 0}},
                           {"logits", {0, 2, 2, 0}},
                           {"grad y", {0, 0, 0, 0}},
                           {"grad weights", {0, 0}}});
  EXPECT_THAT(r.at("load"), ElementsAre(1, 1));
  EXPECT_THAT(r.at("load_loss"), ElementsAre(DoubleEq(0.5)));
  EXPECT_THAT(r.at("grad logits"), Each(DoubleNear(0, 1e-16)));
}

TEST(MoeDispatch, TheLoadLossGrowsWhereOneExpertGetsAll) {
  // f = (1, 0), mean p = (3/4, 1/4): 2 · 3/4; its gradient by p is (2, 0) / 2 per token.
  const double l = std::log(3.0);
  const auto r = evaluate(MoeDispatch{.load_loss = 1}, gated(1, 2, 1, 2),
                          {{"x", {0, 0}},
                           {"logits", {l, 0, l, 0}},
                           {"grad y", {0, 0, 0, 0}},
                           {"grad weights", {0, 0}}});
  EXPECT_THAT(r.at("load_loss"), ElementsAre(DoubleEq(1.5)));
  EXPECT_THAT(r.at("grad logits"), ElementsAre(DoubleEq(0.1875), DoubleEq(-0.1875),
                                               DoubleEq(0.1875), DoubleEq(-0.1875)));
}

TEST(MoeDispatch, CapacityIsRoundedUpAndAtMostTheTokens) {
  const auto capacity = [](double factor, std::int64_t top_k, std::int64_t s, std::int64_t e) {
    return MoeDispatch{.top_k = top_k, .capacity_factor = factor}.capacity(s, e);
  };
  EXPECT_EQ(capacity(0, 2, 10, 4), 10);
  EXPECT_EQ(capacity(1, 2, 10, 4), 5);
  EXPECT_EQ(capacity(1.25, 1, 10, 4), 4);  // of 3.125
  EXPECT_EQ(capacity(1.1, 1, 10, 1), 10);  // of 11
  EXPECT_EQ(capacity(1.1, 1, 100, 10), 11);
  EXPECT_EQ(capacity(2, 4, 10, 4), 10);
  EXPECT_EQ(capacity(0.01, 1, 10, 4), 1);
  EXPECT_EQ(capacity(1, 1, 0, 4), 0);
}

TEST(MoeDispatch, MicroBatchesShareTheCountOfTheLoadLoss) {
  const MoeDispatch whole{.load_loss = 1};
  const auto part = whole.for_micro_batches(2, gated(8, 2, 1, 2));
  EXPECT_EQ(part.mean_over, 8);
  EXPECT_EQ(MoeDispatch{}.for_micro_batches(2, gated(8, 2, 1, 2)), MoeDispatch{});
}

TEST(MoeDispatch, WhatDoesNotFitIsRefusedWithItsValues) {
  const auto refusal = [](const MoeDispatch& op, const std::vector<core::TensorDesc>& inputs) {
    const auto definition = op.define(inputs);
    return definition ? "accepted" : definition.error().message;
  };
  EXPECT_EQ(refusal({}, {floats({2, 3, 4})}), "takes x and logits, got 1 inputs");
  EXPECT_EQ(refusal({}, {floats({2, 3, 4}), floats({2, 4, 5})}),
            "takes x [n, s, d] and logits [n, s, e] of one dtype, got f32 [2, 3, 4] and f32 [2, 4, "
            "5]");
  EXPECT_EQ(refusal({.top_k = 6}, gated(2, 3, 4, 5)), "top_k = 6: 5 experts allow 1 to 5");
  EXPECT_EQ(refusal({.top_k = 0}, gated(2, 3, 4, 5)), "top_k = 0: 5 experts allow 1 to 5");
  EXPECT_EQ(refusal({.capacity_factor = -1}, gated(2, 3, 4, 5)),
            "capacity_factor = -1: must be 0 (no limit) or more");
  EXPECT_EQ(refusal({.load_loss = -1}, gated(2, 3, 4, 5)),
            "load_loss = -1: must be 0 (none) or more");
  EXPECT_EQ(refusal({.mean_over = -1}, gated(2, 3, 4, 5)),
            "mean_over = -1: must be 0 (the number of samples) or more");
  EXPECT_EQ(refusal({}, gated(1, 1 << 20, 1, 1 << 12)),
            "1048576 slots of 4096 experts: i32 cannot number so many");
}

}  // namespace
}  // namespace soapstone::conformance
