#include "core/ops/rotary_embedding.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::RotaryEmbedding;

std::vector<OpCase> rotary_embedding_cases() {
  return {
      {.name = "one_pair", .op = RotaryEmbedding{}, .inputs = {floats({1, 3, 1, 2})}},
      {.name = "interleaved", .op = RotaryEmbedding{}, .inputs = {floats({2, 5, 3, 8})}},
      {.name = "halves",
       .op = RotaryEmbedding{.interleaved = false},
       .inputs = {floats({2, 5, 3, 8})}},
      {.name = "halves_of_odd_count",
       .op = RotaryEmbedding{.interleaved = false},
       .inputs = {floats({2, 4, 2, 6})}},
      {.name = "small_theta",
       .op = RotaryEmbedding{.theta = 10, .interleaved = false},
       .inputs = {floats({2, 7, 1, 10})}},
      {.name = "later_positions",
       .op = RotaryEmbedding{.position_offset = 1000},
       .inputs = {floats({2, 3, 2, 4})}},
      {.name = "zigzag",
       .op = RotaryEmbedding{.position_offset = 2, .zigzag = 4},
       .inputs = {floats({2, 8, 3, 4})}},
      {.name = "one_token",
       .op = RotaryEmbedding{.position_offset = 3},
       .inputs = {floats({3, 1, 4, 6})}},
      {.name = "features_not_innermost", .op = RotaryEmbedding{}, .inputs = {image({2, 3, 4, 6})}},
      {.name = "halves_not_innermost",
       .op = RotaryEmbedding{.interleaved = false},
       .inputs = {image({2, 3, 4, 6})}},
      {.name = "long_sequence",
       .op = RotaryEmbedding{.interleaved = false},
       .inputs = {floats({2, 67, 5, 64})},
       .large = true},
      {.name = "many_features",
       .op = RotaryEmbedding{},
       .inputs = {floats({1, 3, 2, 5002})},
       .large = true},
      {.name = "empty_batch", .op = RotaryEmbedding{}, .inputs = {floats({0, 3, 2, 4})}},
  };
}

namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;

TEST(RotaryEmbedding, TheFirstPositionStaysAndALaterOneTurns) {
  // d = 4 and theta = 4 / π²: pair 0 turns by 1 radian per position, pair 1 by θ^(-1/2) = π / 2.
  constexpr double kPi = 3.14159265358979323846, kNear = 1e-14;
  const double c = std::cos(1.0), s = std::sin(1.0);
  RotaryEmbedding rotary{.theta = 4 / (kPi * kPi)};
  const std::vector<double> x{1, 2, 3, 4, 1, 0, 3, 4}, dy{0, 0, 0, 0, 1, 0, 5, 6};
  const auto pairs = evaluate(rotary, {floats({1, 2, 1, 4})}, {{"x", x}, {"grad y", dy}});
  EXPECT_THAT(pairs.at("y"), ElementsAre(1, 2, 3, 4, DoubleEq(c), DoubleEq(s),
                                         DoubleNear(-4, kNear), DoubleNear(3, kNear)));
  EXPECT_THAT(pairs.at("grad x"), ElementsAre(0, 0, 0, 0, DoubleEq(c), DoubleEq(-s),
                                              DoubleNear(6, kNear), DoubleNear(-5, kNear)));
  rotary.interleaved = false;  // pairs (1, 3) and (0, 4)
  const auto halves = evaluate(rotary, {floats({1, 2, 1, 4})}, {{"x", x}, {"grad y", dy}});
  EXPECT_THAT(halves.at("y"), ElementsAre(1, 2, 3, 4, DoubleEq(c - 3 * s), DoubleNear(-4, kNear),
                                          DoubleEq(s + 3 * c), DoubleNear(0, kNear)));
}

TEST(RotaryEmbedding, AnOffsetMovesThePositions) {
  const auto r = evaluate(RotaryEmbedding{.position_offset = 5}, {floats({1, 2, 1, 2})},
                          {{"x", {1, 0, 0, 1}}, {"grad y", {0, 0, 0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleEq(std::cos(5.0)), DoubleEq(std::sin(5.0)),
                                     DoubleEq(-std::sin(6.0)), DoubleEq(std::cos(6.0))));
}

TEST(RotaryEmbedding, InZigzagTheSecondTokenStandsAtTheEnd) {
  const auto r = evaluate(RotaryEmbedding{.zigzag = 4}, {floats({1, 4, 1, 2})},
                          {{"x", {1, 0, 1, 0, 1, 0, 1, 0}}, {"grad y", {0, 0, 0, 0, 0, 0, 0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1, 0, DoubleEq(std::cos(3.0)), DoubleEq(std::sin(3.0)),
                                     DoubleEq(std::cos(1.0)), DoubleEq(std::sin(1.0)),
                                     DoubleEq(std::cos(2.0)), DoubleEq(std::sin(2.0))));
}

TEST(RotaryEmbedding, RefusesWhatDoesNotFit) {
  const auto heads = floats({2, 3, 4, 6});
  EXPECT_EQ(refusal(RotaryEmbedding{}, {heads, heads}), "takes one input, got 2");
  for (const core::Shape& shape : {core::Shape{2, 3, 4}, core::Shape{2, 3, 4, 5}})
    EXPECT_EQ(refusal(RotaryEmbedding{}, {floats(shape)}),
              "takes an input [n, s, heads, d] with an even d, got " + core::print(shape));
  EXPECT_EQ(refusal(RotaryEmbedding{.theta = 0}, {heads}), "theta = 0: must be greater than 0");
  EXPECT_EQ(refusal(RotaryEmbedding{.position_offset = -1}, {heads}),
            "position_offset = -1: must be at least 0");
}

}  // namespace
}  // namespace soapstone::conformance
