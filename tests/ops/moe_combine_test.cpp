#include "core/ops/moe_combine.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::MoeCombine;

namespace {

// x [n, e, c, d], `top_k` routes of each of `tokens` tokens, every third of which was dropped.
OpCase combine(std::string name, core::Shape x, std::int64_t tokens, std::int64_t top_k,
               bool large = false) {
  return {.name = std::move(name),
          .op = MoeCombine{},
          .inputs = {floats(x), floats({x[0], tokens, top_k}), integers({x[0], tokens, top_k})},
          .large = large,
          .classes = std::max<std::int64_t>(1, x[1] * x[2]),
          .third = -1};
}

}  // namespace

std::vector<OpCase> moe_combine_cases() {
  OpCase channels_last = combine("channels_last", {2, 3, 4, 5}, 4, 2);
  channels_last.inputs[0] = image({2, 3, 4, 5});
  OpCase all_kept = combine("nothing_dropped", {2, 2, 3, 4}, 5, 1);
  all_kept.third = 0;
  return {
      combine("single_numbers", {1, 1, 1, 1}, 1, 1),
      combine("two_routes", {2, 4, 3, 5}, 6, 2),
      combine("three_routes", {3, 3, 2, 4}, 4, 3),
      combine("one_expert", {2, 1, 6, 3}, 5, 1),
      combine("slots_met_often", {2, 2, 1, 3}, 9, 2),
      channels_last,
      all_kept,
      combine("more_features_than_a_block", {1, 4, 6, 300}, 11, 2, true),
      combine("many_tokens", {2, 8, 300, 3}, 1200, 2, true),
      combine("no_tokens", {2, 2, 3, 4}, 0, 2),
      combine("no_slots", {2, 2, 0, 4}, 3, 2),
      combine("empty_batch", {0, 2, 3, 4}, 3, 2),
  };
}

namespace {

using testing::ElementsAre;

TEST(MoeCombine, AddsTheWeightedRowsOfAToken) {
  // Two experts with two slots; token 0 has slots 3 and 0, token 1 slot 3 and none.
  const auto r =
      evaluate(MoeCombine{}, {floats({1, 2, 2, 1}), floats({1, 2, 2}), integers({1, 2, 2})},
               {{"x", {1, 10, 100, 1000}},
                {"weights", {0.5, 2, 0.25, 7}},
                {"slots", {3, 0, 3, -1}},
                {"grad y", {4, 8}}});
  EXPECT_THAT(r.at("y"), ElementsAre(502, 250));
  EXPECT_THAT(r.at("grad x"), ElementsAre(8, 0, 0, 2 + 2));
  EXPECT_THAT(r.at("grad weights"), ElementsAre(4000, 4, 8000, 0));
}

TEST(MoeCombine, WhatDoesNotFitIsRefusedWithItsValues) {
  const auto refusal = [](const std::vector<core::TensorDesc>& inputs) {
    const auto definition = MoeCombine{}.define(inputs);
    return definition ? "accepted" : definition.error().message;
  };
  EXPECT_EQ(refusal({floats({1, 2, 2, 1}), floats({1, 3, 2})}),
            "takes x, weights and slots, got 2 inputs");
  EXPECT_EQ(refusal({floats({1, 2, 2, 1}), floats({1, 3, 2}), integers({1, 4, 2})}),
            "takes x [n, e, c, d], weights [n, s, k] of its dtype and i32 slots [n, s, k], got f32 "
            "[1, 2, 2, 1], f32 [1, 3, 2] and i32 [1, 4, 2]");
}

}  // namespace
}  // namespace soapstone::conformance
