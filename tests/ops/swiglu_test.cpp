#include "core/ops/swiglu.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Swiglu;

std::vector<OpCase> swiglu_cases() {
  return {
      {.name = "single_numbers", .op = Swiglu{}, .inputs = {floats({1}), floats({1})}},
      {.name = "matrix", .op = Swiglu{}, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "sequence", .op = Swiglu{}, .inputs = {floats({2, 3, 11}), floats({2, 3, 11})}},
      {.name = "channels_last_images",
       .op = Swiglu{},
       .inputs = {image({2, 3, 5, 4}), image({2, 3, 5, 4})}},
      {.name = "images_of_different_orders",
       .op = Swiglu{},
       .inputs = {image({2, 3, 5, 4}), floats({2, 3, 5, 4})}},
      {.name = "far_below_zero",
       .op = Swiglu{},
       .inputs = {floats({4, 9}), floats({4, 9})},
       .offset = -6},
      {.name = "far_above_zero",
       .op = Swiglu{},
       .inputs = {floats({4, 9}), floats({4, 9})},
       .offset = 30},
      {.name = "several_blocks",
       .op = Swiglu{},
       .inputs = {floats({2, 9001}), floats({2, 9001})},
       .large = true},
      {.name = "empty", .op = Swiglu{}, .inputs = {floats({0, 5}), floats({0, 5})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(Swiglu, WeighsTheGateByItsSigmoid) {
  const double l = std::log(3.0);  // σ = 3/4
  const auto r = evaluate(Swiglu{}, {floats({2}), floats({2})},
                          {{"gate", {0, l}}, {"up", {5, 8}}, {"grad y", {10, 1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(0, DoubleNear(6 * l, 1e-14)));
  EXPECT_THAT(r.at("grad up"), ElementsAre(0, DoubleNear(0.75 * l, 1e-15)));
  EXPECT_THAT(r.at("grad gate"), ElementsAre(25, DoubleNear(8 * 0.75 * (1 + l / 4), 1e-14)));
}

TEST(Swiglu, InputsThatDoNotFitAreRefused) {
  EXPECT_EQ(Swiglu{}.define(std::vector{floats({2, 6})}).error().message,
            "takes gate and up, got 1 inputs");
  EXPECT_EQ(Swiglu{}.define(std::vector{floats({2, 3}), floats({3})}).error().message,
            "gate f32 [2, 3] and up f32 [3]: both must have one shape and dtype");
}

}  // namespace
}  // namespace soapstone::conformance
