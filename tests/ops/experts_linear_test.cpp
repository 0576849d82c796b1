#include "core/ops/experts_linear.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::ExpertsLinear;

std::vector<OpCase> experts_linear_cases() {
  return {
      {.name = "single_numbers",
       .op = ExpertsLinear{.out_features = 1},
       .inputs = {floats({1, 1, 1, 1})}},
      {.name = "few_experts",
       .op = ExpertsLinear{.out_features = 5},
       .inputs = {floats({2, 4, 3, 6})}},
      {.name = "without_a_bias",
       .op = ExpertsLinear{.out_features = 4, .bias = false},
       .inputs = {floats({3, 2, 5, 7})}},
      {.name = "one_expert",
       .op = ExpertsLinear{.out_features = 3},
       .inputs = {floats({2, 1, 4, 5})}},
      {.name = "channels_last",
       .op = ExpertsLinear{.out_features = 3},
       .inputs = {image({2, 3, 4, 5})}},
      {.name = "larger_than_a_tile",
       .op = ExpertsLinear{.out_features = 70},
       .inputs = {floats({3, 2, 30, 150})},
       .large = true},
      {.name = "long_sums",
       .op = ExpertsLinear{.out_features = 3, .bias = false},
       .inputs = {floats({1, 2, 5, 1100})},
       .large = true},
      {.name = "no_slots",
       .op = ExpertsLinear{.out_features = 3},
       .inputs = {floats({2, 3, 0, 4})}},
      {.name = "empty_batch",
       .op = ExpertsLinear{.out_features = 3},
       .inputs = {floats({0, 3, 2, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(ExpertsLinear, EveryExpertHasALayerOfItsOwn) {
  // Two experts with a slot each: 2 → 1 features.
  const auto r = evaluate(ExpertsLinear{.out_features = 1}, {floats({1, 2, 1, 2})},
                          {{"x", {1, 2, 3, 4}},
                           {"weight", {10, 20, 100, 1000}},
                           {"bias", {0.5, 0.25}},
                           {"grad y", {1, 2}}});
  EXPECT_THAT(r.at("y"), ElementsAre(50.5, 4300.25));
  EXPECT_THAT(r.at("grad x"), ElementsAre(10, 20, 200, 2000));
  EXPECT_THAT(r.at("grad weight"), ElementsAre(1, 2, 6, 8));
  EXPECT_THAT(r.at("grad bias"), ElementsAre(1, 2));
}

TEST(ExpertsLinear, WhatDoesNotFitIsRefusedWithItsValues) {
  const auto refusal = [](const ExpertsLinear& op, const std::vector<core::TensorDesc>& inputs) {
    const auto definition = op.define(inputs);
    return definition ? "accepted" : definition.error().message;
  };
  EXPECT_EQ(refusal({.out_features = 3}, {floats({2, 3, 4})}),
            "takes an input [n, e, c, i], got [2, 3, 4]");
  EXPECT_EQ(refusal({}, {floats({2, 3, 4, 5})}), "out_features = 0: must be at least 1");
  EXPECT_EQ(refusal({.out_features = 3}, {}), "takes one input, got 0");
}

}  // namespace
}  // namespace soapstone::conformance
