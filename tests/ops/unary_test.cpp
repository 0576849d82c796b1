#include "core/ops/unary.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Unary;
using core::UnaryFunction;

namespace {

OpCase unary(std::string name, Unary op, core::Shape shape, double offset = 0) {
  return {.name = std::move(name), .op = op, .inputs = {floats(shape)}, .offset = offset};
}

}  // namespace

std::vector<OpCase> unary_cases() {
  // Larger offsets go where a function is flat, is steep or turns; log and roots want x > 0.
  std::vector<OpCase> cases{
      unary("sigmoid", {.function = UnaryFunction::kSigmoid}, {5, 7}),
      unary("sigmoid_far_below_zero", {.function = UnaryFunction::kSigmoid}, {3, 5}, -40),
      unary("sigmoid_far_above_zero", {.function = UnaryFunction::kSigmoid}, {3, 5}, 40),
      unary("tanh", {.function = UnaryFunction::kTanh}, {2, 3, 11}),
      unary("tanh_far_below_zero", {.function = UnaryFunction::kTanh}, {3, 5}, -5),
      unary("silu", {.function = UnaryFunction::kSilu}, {5, 7}),
      unary("silu_far_below_zero", {.function = UnaryFunction::kSilu}, {3, 5}, -9),
      unary("silu_far_above_zero", {.function = UnaryFunction::kSilu}, {3, 5}, 30),
      unary("exp", {.function = UnaryFunction::kExp}, {1, 1031}),
      unary("exp_near_the_largest_number", {.function = UnaryFunction::kExp}, {4, 5}, 87.5),
      unary("exp_far_below_zero", {.function = UnaryFunction::kExp}, {4, 5}, -30),
      unary("log", {.function = UnaryFunction::kLog}, {5, 7}, 1),
      unary("log_of_large_numbers", {.function = UnaryFunction::kLog}, {5, 7}, 1000),
      unary("sqrt", {.function = UnaryFunction::kSqrt}, {5, 9}, 1),
      unary("sqrt_of_large_numbers", {.function = UnaryFunction::kSqrt}, {5, 7}, 1000),
      unary("erf", {.function = UnaryFunction::kErf}, {5, 7}),
      unary("erf_above_zero", {.function = UnaryFunction::kErf}, {5, 7}, 2),
      unary("leaky_relu", {.function = UnaryFunction::kLeakyRelu}, {5, 7}),
      unary("leaky_relu_of_another_slope", {.function = UnaryFunction::kLeakyRelu, .alpha = 0.3},
            {2, 3, 11}),
      unary("leaky_relu_without_slope", {.function = UnaryFunction::kLeakyRelu, .alpha = 0},
            {5, 7}),
      unary("elu", {.function = UnaryFunction::kElu}, {5, 7}),
      unary("elu_of_another_depth", {.function = UnaryFunction::kElu, .alpha = 2.5}, {5, 7}, -0.5),
      unary("elu_far_below_zero", {.function = UnaryFunction::kElu}, {5, 7}, -20),
      unary("hard_sigmoid", {.function = UnaryFunction::kHardSigmoid}, {5, 7}),
      unary("hard_sigmoid_where_it_ends", {.function = UnaryFunction::kHardSigmoid}, {5, 7}, 3),
      unary("hard_sigmoid_where_it_begins", {.function = UnaryFunction::kHardSigmoid}, {5, 7}, -3),
      unary("hard_swish", {.function = UnaryFunction::kHardSwish}, {5, 7}),
      unary("hard_swish_where_it_ends", {.function = UnaryFunction::kHardSwish}, {5, 7}, 3),
      unary("hard_swish_where_it_begins", {.function = UnaryFunction::kHardSwish}, {5, 7}, -3),
      unary("power_of_three", {.function = UnaryFunction::kPower, .exponent = 3}, {5, 7}),
      unary("power_of_minus_two", {.function = UnaryFunction::kPower, .exponent = -2}, {5, 7}),
      unary("power_of_one", {.function = UnaryFunction::kPower, .exponent = 1}, {5, 7}),
      unary("power_of_a_fraction", {.function = UnaryFunction::kPower, .exponent = 1.5}, {5, 7}, 1),
      unary("power_of_large_numbers", {.function = UnaryFunction::kPower, .exponent = 2.5}, {5, 7},
            300),
      unary("abs", {.function = UnaryFunction::kAbs}, {5, 7}),
      unary("negate", {.function = UnaryFunction::kNegate}, {5, 7}),
      unary("reciprocal", {.function = UnaryFunction::kReciprocal}, {5, 7}),
      unary("square", {.function = UnaryFunction::kSquare}, {5, 7}),
      unary("gelu_tanh", {.function = UnaryFunction::kGeluTanh}, {5, 7}),
      unary("gelu_tanh_far_below_zero", {.function = UnaryFunction::kGeluTanh}, {5, 7}, -5),
      unary("gelu_tanh_far_above_zero", {.function = UnaryFunction::kGeluTanh}, {5, 7}, 20),
      unary("softplus", {.function = UnaryFunction::kSoftplus}, {5, 7}),
      unary("softplus_far_below_zero", {.function = UnaryFunction::kSoftplus}, {5, 7}, -20),
      unary("softplus_far_above_zero", {.function = UnaryFunction::kSoftplus}, {5, 7}, 50),
      unary("scale", {.function = UnaryFunction::kScale, .alpha = -1.75}, {5, 7}),
      unary("single_number", {.function = UnaryFunction::kTanh}, {1}),
      unary("six_dimensions", {.function = UnaryFunction::kSilu}, {2, 1, 3, 2, 1, 2}),
      unary("empty", {.function = UnaryFunction::kSilu}, {0, 5}),
  };
  cases.push_back({.name = "channels_last_image",
                   .op = Unary{.function = UnaryFunction::kSilu},
                   .inputs = {image({2, 3, 5, 4})}});
  cases.push_back({.name = "several_blocks",
                   .op = Unary{.function = UnaryFunction::kHardSwish},
                   .inputs = {floats({3, 7001})},
                   .large = true});
  return cases;
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

std::map<std::string, std::vector<double>> at(const Unary& op, std::vector<double> x) {
  const auto n = static_cast<std::int64_t>(x.size());
  return evaluate(op, {floats({n})}, {{"x", x}, {"grad y", std::vector<double>(x.size(), 10)}});
}

TEST(Unary, WholePowersTakeNegativeNumbers) {
  const auto cube = at({.function = UnaryFunction::kPower, .exponent = 3}, {-2, 0, 3});
  EXPECT_THAT(cube.at("y"), ElementsAre(-8, 0, 27));
  EXPECT_THAT(cube.at("grad x"), ElementsAre(120, 0, 270));
  const auto root = at({.function = UnaryFunction::kPower, .exponent = 0.5}, {-1, 4});
  EXPECT_TRUE(std::isnan(root.at("y")[0]));
  EXPECT_EQ(root.at("y")[1], 2);
  EXPECT_EQ(root.at("grad x")[1], 10 * 0.25);
}

TEST(Unary, HardFunctionsAreFlatOutsideOfThreeEachWay) {
  const auto sigmoid = at({.function = UnaryFunction::kHardSigmoid}, {-4, -3, 0, 3, 4});
  EXPECT_THAT(sigmoid.at("y"), ElementsAre(0, 0, 0.5, 1, 1));
  EXPECT_THAT(sigmoid.at("grad x"), ElementsAre(0, 0, DoubleNear(10.0 / 6, 1e-15), 0, 0));
  const auto swish = at({.function = UnaryFunction::kHardSwish}, {-4, -1.5, 0, 3, 4});
  EXPECT_THAT(swish.at("y"), ElementsAre(0, -0.375, 0, 3, 4));
  EXPECT_THAT(swish.at("grad x"), ElementsAre(0, 0, 5, 10, 10));
}

TEST(Unary, BelowZeroLeakyReluAndEluFollowAlpha) {
  const auto leaky = at({.function = UnaryFunction::kLeakyRelu}, {-100, 0, 2});
  EXPECT_THAT(leaky.at("y"), ElementsAre(-1, 0, 2));
  EXPECT_THAT(leaky.at("grad x"), ElementsAre(0.1, 0.1, 10));
  const auto elu = at({.function = UnaryFunction::kElu, .alpha = 3}, {-std::log(2.0), 2});
  EXPECT_THAT(elu.at("y"), ElementsAre(DoubleNear(-1.5, 1e-15), 2));
  EXPECT_THAT(elu.at("grad x"), ElementsAre(DoubleNear(15, 1e-14), 10));
}

TEST(Unary, TheSlopeOfAbsIsZeroAtZero) {
  const auto abs = at({.function = UnaryFunction::kAbs}, {-3, 0, 3});
  EXPECT_THAT(abs.at("y"), ElementsAre(3, 0, 3));
  EXPECT_THAT(abs.at("grad x"), ElementsAre(-10, 0, 10));
}

TEST(Unary, ExponentialsAndLogarithmsAreNatural) {
  const double l = std::log(3.0);
  EXPECT_THAT(at({.function = UnaryFunction::kSigmoid}, {l}).at("y"),
              ElementsAre(DoubleNear(0.75, 1e-15)));
  EXPECT_THAT(at({.function = UnaryFunction::kTanh}, {l}).at("y"),
              ElementsAre(DoubleNear(0.8, 1e-15)));
  EXPECT_THAT(at({.function = UnaryFunction::kSoftplus}, {l}).at("y"),
              ElementsAre(DoubleNear(std::log(4.0), 1e-15)));
  EXPECT_THAT(at({.function = UnaryFunction::kSilu}, {0}).at("grad x"), ElementsAre(5));
}

// PyTorch 2: torch.nn.functional.gelu(torch.tensor(1.0, dtype=float64), approximate="tanh").
TEST(Unary, GeluTanhIsThatOfGpt2) {
  EXPECT_THAT(at({.function = UnaryFunction::kGeluTanh}, {1}).at("y"),
              ElementsAre(DoubleNear(0.8411919906082768, 1e-15)));
}

TEST(Unary, AttributesThatDoNotFitAreRefused) {
  const auto message = [](const Unary& op) {
    const auto d = op.define(std::vector{floats({2, 3})});
    return d ? std::string("accepted") : d.error().message;
  };
  EXPECT_EQ(message({.function = UnaryFunction::kTanh}), "accepted");
  EXPECT_EQ(message({.function = UnaryFunction::kTanh, .alpha = 2}),
            "alpha = 2: tanh has none, leaky_relu, elu and scale have");
  EXPECT_EQ(message({.function = UnaryFunction::kSquare, .exponent = 2}),
            "exponent = 2: square has none, power has");
  EXPECT_EQ(message({.function = UnaryFunction::kScale}), "scale wants an alpha");
  EXPECT_EQ(message({.function = UnaryFunction::kPower}), "power wants an exponent");
  EXPECT_EQ(message({.function = UnaryFunction::kPower, .exponent = 0}),
            "exponent = 0: must be finite and not 0");
  EXPECT_EQ(message({.function = UnaryFunction::kScale, .alpha = INFINITY}),
            "alpha = inf: must be finite");
  EXPECT_EQ(message({.function = UnaryFunction::kLeakyRelu, .alpha = -0.1}),
            "alpha = -0.1: leaky_relu takes 0 or more");
  EXPECT_EQ(Unary{}.define(std::vector{floats({2}), floats({2})}).error().message,
            "takes one input, got 2");
}

}  // namespace
}  // namespace soapstone::conformance
