#include "core/ops/local_response_norm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::LocalResponseNorm;

std::vector<OpCase> local_response_norm_cases() {
  return {
      {.name = "single_number",
       .op = LocalResponseNorm{.alpha = 2},
       .inputs = {image({1, 1, 1, 1})}},
      {.name = "as_in_alexnet",
       .op = LocalResponseNorm{.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 2},
       .inputs = {image({2, 7, 3, 2})}},
      {.name = "strong",
       .op = LocalResponseNorm{.size = 5, .alpha = 3, .beta = 0.75, .k = 1},
       .inputs = {image({2, 9, 2, 3})}},
      {.name = "even_window",
       .op = LocalResponseNorm{.size = 4, .alpha = 2, .beta = 0.75},
       .inputs = {image({2, 7, 2, 2})}},
      {.name = "window_of_one",
       .op = LocalResponseNorm{.size = 1, .alpha = 2},
       .inputs = {image({2, 5, 2, 2})}},
      {.name = "window_of_two",
       .op = LocalResponseNorm{.size = 2, .alpha = 2, .beta = 0.5},
       .inputs = {image({2, 4, 2, 2})}},
      {.name = "window_wider_than_the_channels",
       .op = LocalResponseNorm{.size = 9, .alpha = 4, .beta = 1},
       .inputs = {image({2, 4, 2, 2})}},
      {.name = "any_power",
       .op = LocalResponseNorm{.size = 3, .alpha = 2, .beta = 1.3, .k = 0.5},
       .inputs = {image({2, 6, 2, 3})}},
      {.name = "row_major_image",
       .op = LocalResponseNorm{.size = 3, .alpha = 2},
       .inputs = {floats({2, 7, 3, 4})}},
      {.name = "even_window_in_a_row_major_image",
       .op = LocalResponseNorm{.size = 4, .alpha = 2, .beta = 0.5},
       .inputs = {floats({2, 6, 2, 5})}},
      {.name = "many_channels",
       .op = LocalResponseNorm{.size = 5, .alpha = 2},
       .inputs = {image({1, 301, 2, 2})}},
      {.name = "large_image",
       .op = LocalResponseNorm{.size = 5, .alpha = 2},
       .inputs = {image({2, 35, 13, 11})},
       .large = true},
      {.name = "large_row_major_image",
       .op = LocalResponseNorm{.size = 5, .alpha = 2, .beta = 0.9},
       .inputs = {floats({2, 5, 31, 37})},
       .large = true},
      {.name = "empty_batch", .op = LocalResponseNorm{}, .inputs = {image({0, 4, 2, 2})}},
  };
}

namespace {

using testing::DoubleEq;
using testing::ElementsAre;

TEST(LocalResponseNorm, DividesByTheSquaresOfTheNeighbouringChannels) {
  // alpha / size = 1: scale = 1 + 0 + 4, 1 + 4 + 9, …; of an even window more channels lie before.
  const auto odd = evaluate(LocalResponseNorm{.size = 3, .alpha = 3, .beta = 1},
                            {floats({1, 3, 1, 1})}, {{"x", {0, 2, 3}}, {"grad y", {0, 0, 0}}});
  EXPECT_THAT(odd.at("scale"), ElementsAre(5, 14, 14));
  EXPECT_THAT(odd.at("y"), ElementsAre(0, DoubleEq(2.0 / 14), DoubleEq(3.0 / 14)));
  const auto even = evaluate(LocalResponseNorm{.size = 2, .alpha = 2, .beta = 1},
                             {floats({1, 3, 1, 1})}, {{"x", {1, 2, 3}}, {"grad y", {0, 0, 0}}});
  EXPECT_THAT(even.at("scale"), ElementsAre(2, 6, 14));
}

TEST(LocalResponseNorm, TheGradientReachesTheNeighbours) {
  // y1 = x1 / (1 + x0² + x1²) with x = (1, 2): dy1/dx0 = -2·1·2 / 36, dy1/dx1 = 1/6 - 2·2·2 / 36.
  const auto r = evaluate(LocalResponseNorm{.size = 2, .alpha = 2, .beta = 1},
                          {floats({1, 2, 1, 1})}, {{"x", {1, 2}}, {"grad y", {0, 36}}});
  EXPECT_THAT(r.at("grad x"), ElementsAre(DoubleEq(-4), DoubleEq(-2)));
}

TEST(LocalResponseNorm, RefusesWhatDoesNotFit) {
  const auto picture = image({2, 6, 3, 3});
  EXPECT_EQ(refusal(LocalResponseNorm{}, {}), "takes one input, got 0");
  EXPECT_EQ(refusal(LocalResponseNorm{}, {floats({2, 3})}),
            "takes an input [n, c, h, w], got [2, 3]");
  EXPECT_EQ(refusal(LocalResponseNorm{.size = 0}, {picture}), "size = 0: must be at least 1");
  EXPECT_EQ(refusal(LocalResponseNorm{.alpha = -1}, {picture}),
            "alpha = -1, beta = 0.75, k = 1: alpha and beta must be at least 0, k greater than 0");
  EXPECT_EQ(refusal(LocalResponseNorm{.k = 0}, {picture}),
            "alpha = 0.0001, beta = 0.75, k = 0: alpha and beta must be at least 0, k greater than "
            "0");
}

}  // namespace
}  // namespace soapstone::conformance
