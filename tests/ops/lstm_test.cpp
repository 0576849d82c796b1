#include "core/ops/lstm.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Lstm;

namespace {

OpCase lstm(std::string name, core::Shape x, std::int64_t hidden, bool large = false) {
  return {.name = std::move(name),
          .op = Lstm{.hidden = hidden},
          .inputs = {floats(x), floats({x[0], hidden}), floats({x[0], hidden})},
          .large = large};
}

}  // namespace

std::vector<OpCase> lstm_cases() {
  OpCase saturated = lstm("gates_nearly_closed", {2, 3, 3}, 3);
  saturated.offset = 6;
  return {
      lstm("single_numbers", {1, 1, 1}, 1),
      lstm("odd_sizes", {3, 5, 4}, 3),
      lstm("one_time_step", {5, 1, 3}, 2),
      lstm("one_feature", {3, 4, 1}, 2),
      lstm("many_features", {2, 3, 19}, 5),
      lstm("many_states", {2, 3, 3}, 35),
      saturated,
      lstm("blocks_of_every_kind", {75, 3, 40}, 37, true),
      lstm("many_time_steps", {3, 50, 5}, 7, true),
      lstm("long_sums_backward", {40, 30, 17}, 10, true),
      lstm("empty_batch", {0, 3, 4}, 2),
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

constexpr double kNear = 1e-14;

std::string refusal(const core::Op& op, std::vector<core::TensorDesc> inputs) {
  const auto definition = op.define(inputs);
  return definition ? "accepted" : definition.error().message;
}

TEST(Lstm, WithoutWeightsEveryGateIsHalfOpen) {
  // c = ln 3 / 2, whose tanh is 1/2.
  const double l = std::log(3.0);
  const auto r = evaluate(Lstm{.hidden = 1}, {floats({1, 1, 1}), floats({1, 1}), floats({1, 1})},
                          {{"x", {3}},
                           {"h0", {7}},
                           {"c0", {l}},
                           {"w_ih", {0, 0, 0, 0}},
                           {"w_hh", {0, 0, 0, 0}},
                           {"bias", {0, 0, 0, 0}},
                           {"grad y", {1}},
                           {"grad h", {1}},
                           {"grad c", {1}}});
  EXPECT_THAT(r.at("gates"), ElementsAre(0.5, 0.5, 0, 0.5));
  EXPECT_THAT(r.at("c"), ElementsAre(DoubleNear(l / 2, kNear)));
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(0.25, kNear)));
  EXPECT_THAT(r.at("h"), ElementsAre(DoubleNear(0.25, kNear)));
  // The gradient of h is 1 + 1, that of c 1 + 2 · 1/2 · (1 - 1/4) = 1.75.
  const std::vector<double> pre{0, 1.75 * l / 4, 1.75 / 2, 2 * 0.5 / 4};
  const auto times = [&](double factor) {
    return ElementsAre(DoubleNear(pre[0] * factor, kNear), DoubleNear(pre[1] * factor, kNear),
                       DoubleNear(pre[2] * factor, kNear), DoubleNear(pre[3] * factor, kNear));
  };
  EXPECT_THAT(r.at("grad c0"), ElementsAre(DoubleNear(1.75 / 2, kNear)));
  EXPECT_THAT(r.at("grad h0"), ElementsAre(0));
  EXPECT_THAT(r.at("grad bias"), times(1));
  EXPECT_THAT(r.at("grad w_ih"), times(3));
  EXPECT_THAT(r.at("grad w_hh"), times(7));
}

TEST(Lstm, OpenGatesAddUpWhatComesIn) {
  // i, f and o are 1 by their biases; g = tanh(x) = 1/2 in both time steps.
  const double half = std::log(3.0) / 2;
  const auto r = evaluate(Lstm{.hidden = 1}, {floats({1, 2, 1}), floats({1, 1}), floats({1, 1})},
                          {{"x", {half, half}},
                           {"h0", {5}},
                           {"c0", {10}},
                           {"w_ih", {0, 0, 1, 0}},
                           {"w_hh", {0, 0, 0, 0}},
                           {"bias", {50, 50, 0, 50}},
                           {"grad y", {0, 0}},
                           {"grad h", {0}},
                           {"grad c", {4}}});
  EXPECT_THAT(r.at("cells"), ElementsAre(DoubleNear(10.5, kNear), DoubleNear(11, kNear)));
  EXPECT_THAT(r.at("c"), ElementsAre(DoubleNear(11, kNear)));
  EXPECT_THAT(r.at("grad x"), ElementsAre(DoubleNear(3, kNear), DoubleNear(3, kNear)));
  EXPECT_THAT(r.at("grad c0"), ElementsAre(DoubleNear(4, kNear)));
}

TEST(Lstm, TheStateComesBackThroughW_hh) {
  // g[1] = tanh(w h[0]) with h[0] = tanh(c[0]), c[0] = 10 · σ(50): h[0] = tanh(10).
  const double h = std::tanh(10.0), g = std::tanh(0.3 * h);
  const auto r = evaluate(Lstm{.hidden = 1}, {floats({1, 2, 1}), floats({1, 1}), floats({1, 1})},
                          {{"x", {0, 0}},
                           {"h0", {0}},
                           {"c0", {10}},
                           {"w_ih", {0, 0, 0, 0}},
                           {"w_hh", {0, 0, 0.3, 0}},
                           {"bias", {50, 50, 0, 50}},
                           {"grad y", {0, 0}},
                           {"grad h", {0}},
                           {"grad c", {1}}});
  EXPECT_THAT(r.at("c"), ElementsAre(DoubleNear(10 + g, kNear)));
  EXPECT_THAT(r.at("grad w_hh"),
              ElementsAre(testing::_, testing::_, DoubleNear((1 - g * g) * h, kNear), testing::_));
}

TEST(Lstm, InputsThatDoNotFitAreRefusedWithTheirValues) {
  const auto x = floats({2, 3, 4}), state = floats({2, 5});
  EXPECT_EQ(refusal(Lstm{.hidden = 5}, {x, state}), "takes x, h0 and c0, got 2 inputs");
  EXPECT_EQ(refusal(Lstm{}, {x, state, state}), "hidden = 0: must be at least 1");
  EXPECT_EQ(refusal(Lstm{.hidden = 5}, {floats({2, 4}), state, state}),
            "takes x [n, s, i], got [2, 4]");
  EXPECT_EQ(refusal(Lstm{.hidden = 5}, {floats({2, 0, 4}), state, state}),
            "x [2, 0, 4] has 0 time steps of 4 features: at least 1 of each is wanted");
  EXPECT_EQ(refusal(Lstm{.hidden = 5}, {x, state, floats({2, 6})}),
            "state 1 is f32 [2, 6]: x is f32 [2, 3, 4] and hidden = 5, so f32 [2, 5] is wanted");
}

}  // namespace
}  // namespace soapstone::conformance
