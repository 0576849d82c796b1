#include "core/ops/softmax.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Softmax;

std::vector<OpCase> softmax_cases() {
  return {
      {.name = "matrix", .op = Softmax{}, .inputs = {floats({5, 7})}},
      {.name = "sequence", .op = Softmax{}, .inputs = {floats({3, 4, 16})}},
      {.name = "image", .op = Softmax{}, .inputs = {floats({2, 3, 2, 9})}},
      {.name = "channels_last_image", .op = Softmax{}, .inputs = {image({2, 3, 4, 5})}},
      {.name = "one_class", .op = Softmax{}, .inputs = {floats({3, 1})}},
      {.name = "far_from_zero", .op = Softmax{}, .inputs = {floats({4, 3, 12})}, .offset = 300},
      {.name = "many_classes", .op = Softmax{}, .inputs = {floats({3, 1009})}},
      {.name = "logarithm", .op = Softmax{.log = true}, .inputs = {floats({5, 7})}},
      {.name = "logarithm_of_a_sequence",
       .op = Softmax{.log = true},
       .inputs = {floats({3, 4, 16})}},
      {.name = "logarithm_of_a_channels_last_image",
       .op = Softmax{.log = true},
       .inputs = {image({2, 3, 4, 5})}},
      {.name = "logarithm_far_from_zero",
       .op = Softmax{.log = true},
       .inputs = {floats({4, 3, 12})},
       .offset = 300},
      {.name = "many_rows", .op = Softmax{}, .inputs = {floats({1500, 9})}, .large = true},
      {.name = "logarithm_of_many_classes",
       .op = Softmax{.log = true},
       .inputs = {floats({3, 9001})},
       .large = true},
      {.name = "empty_batch", .op = Softmax{}, .inputs = {floats({0, 5})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(Softmax, GivesSharesOfOne) {
  const double l = std::log(3.0);  // shares 1/4 and 3/4
  const auto r = evaluate(Softmax{}, {floats({1, 2})}, {{"x", {0, l}}, {"grad y", {8, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(0.25, 1e-15), DoubleNear(0.75, 1e-15)));
  // Σ dy y = 2: 1/4 (8 - 2) and 3/4 (0 - 2).
  EXPECT_THAT(r.at("grad x"), ElementsAre(DoubleNear(1.5, 1e-14), DoubleNear(-1.5, 1e-14)));
}

TEST(Softmax, ItsLogarithmNeedsNoDivision) {
  const double l = std::log(3.0);
  const auto r = evaluate(Softmax{.log = true}, {floats({1, 2})},
                          {{"x", {1000, 1000 + l}}, {"grad y", {8, 0}}});
  EXPECT_THAT(r.at("y"),
              ElementsAre(DoubleNear(-std::log(4.0), 1e-12), DoubleNear(l - std::log(4.0), 1e-12)));
  EXPECT_THAT(r.at("grad x"), ElementsAre(DoubleNear(8 - 2, 1e-11), DoubleNear(-6, 1e-11)));
}

TEST(Softmax, InputsThatDoNotFitAreRefused) {
  EXPECT_EQ(Softmax{}.define(std::vector{floats({5})}).error().message,
            "takes an input [n, …, c], got [5]");
  EXPECT_EQ(Softmax{}.define({}).error().message, "takes one input, got 0");
}

}  // namespace
}  // namespace soapstone::conformance
