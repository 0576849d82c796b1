#include "core/ops/gru.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Gru;

namespace {

OpCase gru(std::string name, core::Shape x, std::int64_t hidden, bool large = false) {
  return {.name = std::move(name),
          .op = Gru{.hidden = hidden},
          .inputs = {floats(x), floats({x[0], hidden})},
          .large = large};
}

}  // namespace

std::vector<OpCase> gru_cases() {
  OpCase saturated = gru("gates_nearly_closed", {2, 3, 3}, 3);
  saturated.offset = 6;
  return {
      gru("single_numbers", {1, 1, 1}, 1),
      gru("odd_sizes", {3, 5, 4}, 3),
      gru("one_time_step", {5, 1, 3}, 2),
      gru("one_feature", {3, 4, 1}, 2),
      gru("many_features", {2, 3, 19}, 5),
      gru("many_states", {2, 3, 3}, 35),
      saturated,
      gru("blocks_of_every_kind", {75, 3, 40}, 37, true),
      gru("many_time_steps", {3, 50, 5}, 7, true),
      gru("long_sums_backward", {40, 30, 17}, 10, true),
      gru("empty_batch", {0, 3, 4}, 2),
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

TEST(Gru, WithoutWeightsTheStateHalvesInEveryTimeStep) {
  const auto r = evaluate(Gru{.hidden = 1}, {floats({1, 2, 1}), floats({1, 1})},
                          {{"x", {3, 5}},
                           {"h0", {8}},
                           {"w_ih", {0, 0, 0}},
                           {"w_hh", {0, 0, 0}},
                           {"b_ih", {0, 0, 0}},
                           {"b_hh", {0, 0, 0}},
                           {"grad y", {0, 1}},
                           {"grad h", {3}}});
  EXPECT_THAT(r.at("y"), ElementsAre(4, 2));
  EXPECT_THAT(r.at("h"), ElementsAre(2));
  EXPECT_THAT(r.at("grad h0"), ElementsAre(1));
  // n: (1 - z) dh of both time steps; z: dh h[t-1] z (1 - z).
  EXPECT_THAT(r.at("grad b_ih"), ElementsAre(0, 4 * 4 * 0.25 + 2 * 8 * 0.25, 4 * 0.5 + 2 * 0.5));
  EXPECT_THAT(r.at("grad w_ih"), ElementsAre(0, 4 * 5 + 4 * 3, 2 * 5 + 1 * 3));
  EXPECT_THAT(r.at("grad b_hh"), ElementsAre(0, 8, 1.5));  // n: times r
}

TEST(Gru, TheResetGateScalesTheProductAndItsBias) {
  // q = h0 + 1 = ln 3, r = 1/2: n = tanh(ln 3 / 2) = 1/2.
  const double l = std::log(3.0);
  const auto r = evaluate(Gru{.hidden = 1}, {floats({1, 1, 1}), floats({1, 1})},
                          {{"x", {2}},
                           {"h0", {l - 1}},
                           {"w_ih", {0, 0, 0}},
                           {"w_hh", {0, 0, 1}},
                           {"b_ih", {0, 0, 0}},
                           {"b_hh", {0, 0, 1}},
                           {"grad y", {1}},
                           {"grad h", {0}}});
  EXPECT_THAT(r.at("gates"), ElementsAre(0.5, 0.5, DoubleNear(0.5, kNear), DoubleNear(l, kNear)));
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(0.5 * 0.5 + 0.5 * (l - 1), kNear)));
  const double dn = 0.5 * 0.75;
  EXPECT_THAT(r.at("grad b_ih"),
              ElementsAre(DoubleNear(dn * l / 4, kNear), DoubleNear((l - 1 - 0.5) / 4, kNear),
                          DoubleNear(dn, kNear)));
  EXPECT_THAT(r.at("grad b_hh"),
              ElementsAre(DoubleNear(dn * l / 4, kNear), DoubleNear((l - 1 - 0.5) / 4, kNear),
                          DoubleNear(dn / 2, kNear)));
  EXPECT_THAT(r.at("grad h0"), ElementsAre(DoubleNear(0.5 + dn / 2, kNear)));
}

TEST(Gru, InputsThatDoNotFitAreRefusedWithTheirValues) {
  const auto x = floats({2, 3, 4}), state = floats({2, 5});
  EXPECT_EQ(refusal(Gru{.hidden = 5}, {x}), "takes x and h0, got 1 inputs");
  EXPECT_EQ(refusal(Gru{.hidden = -1}, {x, state}), "hidden = -1: must be at least 1");
  EXPECT_EQ(refusal(Gru{.hidden = 5}, {x, floats({3, 5})}),
            "state 0 is f32 [3, 5]: x is f32 [2, 3, 4] and hidden = 5, so f32 [2, 5] is wanted");
}

}  // namespace
}  // namespace soapstone::conformance
