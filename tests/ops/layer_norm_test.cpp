#include "core/ops/layer_norm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::LayerNorm;

std::vector<OpCase> layer_norm_cases() {
  return {
      {.name = "matrix", .op = LayerNorm{}, .inputs = {floats({5, 7})}},
      {.name = "sequence", .op = LayerNorm{}, .inputs = {floats({3, 4, 16})}},
      {.name = "image", .op = LayerNorm{}, .inputs = {floats({2, 3, 2, 9})}},
      {.name = "one_row", .op = LayerNorm{}, .inputs = {floats({1, 33})}},
      {.name = "two_numbers", .op = LayerNorm{}, .inputs = {floats({3, 2})}},
      {.name = "mean_far_from_zero",
       .op = LayerNorm{},
       .inputs = {floats({4, 3, 12})},
       .offset = 100},
      {.name = "large_epsilon", .op = LayerNorm{.epsilon = 0.5}, .inputs = {floats({3, 5})}},
      {.name = "many_features", .op = LayerNorm{}, .inputs = {floats({5, 259})}},
      {.name = "many_rows", .op = LayerNorm{}, .inputs = {floats({2100, 3})}, .large = true},
      {.name = "long_rows", .op = LayerNorm{}, .inputs = {floats({3, 4099})}, .large = true},
      {.name = "empty_batch", .op = LayerNorm{}, .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(LayerNorm, EveryRowGetsMeanBetaAndDeviationGamma) {
  const auto r =
      evaluate(LayerNorm{.epsilon = 1e-12}, {floats({1, 2})},
               {{"x", {10, 50}}, {"gamma", {5, 7}}, {"beta", {100, 200}}, {"grad y", {3, 4}}});
  constexpr double kNear = 1e-10;  // epsilon moves the deviation
  EXPECT_THAT(r.at("statistics"), ElementsAre(30, DoubleNear(1.0 / 20, kNear)));
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(95, kNear), DoubleNear(207, kNear)));
  EXPECT_THAT(r.at("grad gamma"), ElementsAre(DoubleNear(-3, kNear), DoubleNear(4, kNear)));
  EXPECT_THAT(r.at("grad beta"), ElementsAre(3, 4));
}

}  // namespace
}  // namespace soapstone::conformance
