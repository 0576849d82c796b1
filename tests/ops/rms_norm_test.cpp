#include "core/ops/rms_norm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::RmsNorm;

std::vector<OpCase> rms_norm_cases() {
  return {
      {.name = "matrix", .op = RmsNorm{}, .inputs = {floats({5, 7})}},
      {.name = "sequence", .op = RmsNorm{}, .inputs = {floats({3, 4, 16})}},
      {.name = "four_dimensions", .op = RmsNorm{}, .inputs = {floats({2, 3, 2, 9})}},
      {.name = "one_row", .op = RmsNorm{}, .inputs = {floats({1, 33})}},
      {.name = "one_number_per_row", .op = RmsNorm{.epsilon = 0.1}, .inputs = {floats({5, 1})}},
      {.name = "mean_far_from_zero",
       .op = RmsNorm{},
       .inputs = {floats({4, 3, 12})},
       .offset = 100},
      {.name = "large_epsilon", .op = RmsNorm{.epsilon = 0.5}, .inputs = {floats({3, 5})}},
      {.name = "many_features", .op = RmsNorm{}, .inputs = {floats({5, 259})}},
      {.name = "many_rows", .op = RmsNorm{}, .inputs = {floats({2100, 3})}, .large = true},
      {.name = "long_rows", .op = RmsNorm{}, .inputs = {floats({3, 4099})}, .large = true},
      {.name = "empty_batch", .op = RmsNorm{}, .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(RmsNorm, EveryRowIsDividedByItsRootMeanSquare) {
  // mean(1², 7²) = 25.
  const auto r = evaluate(RmsNorm{.epsilon = 1e-12}, {floats({1, 2})},
                          {{"x", {1, 7}}, {"gamma", {10, 100}}, {"grad y", {5, 0.5}}});
  constexpr double kNear = 1e-10;  // epsilon moves the root
  EXPECT_THAT(r.at("inverse_rms"), ElementsAre(DoubleNear(0.2, kNear)));
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(2, kNear), DoubleNear(140, kNear)));
  EXPECT_THAT(r.at("grad gamma"), ElementsAre(DoubleNear(1, kNear), DoubleNear(0.7, kNear)));
  // g = (50, 50), x̂ = (0.2, 1.4), mean(g x̂) = 40: dx = 0.2 (50 - 8, 50 - 56).
  EXPECT_THAT(r.at("grad x"), ElementsAre(DoubleNear(8.4, kNear), DoubleNear(-1.2, kNear)));
}

TEST(RmsNorm, RefusesWhatDoesNotFit) {
  EXPECT_EQ(refusal(RmsNorm{}, {floats({2, 3}), floats({3})}), "takes one input, got 2");
  EXPECT_EQ(refusal(RmsNorm{}, {floats({3})}), "takes an input [n, …, c], got [3]");
  EXPECT_EQ(refusal(RmsNorm{.epsilon = -1}, {floats({2, 3})}),
            "epsilon = -1: must be greater than 0");
}

}  // namespace
}  // namespace soapstone::conformance
