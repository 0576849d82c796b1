#include "core/ops/batch_norm.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::BatchNorm;

std::vector<OpCase> batch_norm_cases() {
  return {
      {.name = "matrix", .op = BatchNorm{}, .inputs = {floats({7, 5})}},
      {.name = "one_channel", .op = BatchNorm{}, .inputs = {floats({4, 1})}},
      {.name = "channels_last_image", .op = BatchNorm{}, .inputs = {image({3, 4, 5, 3})}},
      {.name = "row_major_image", .op = BatchNorm{}, .inputs = {floats({3, 4, 3, 5})}},
      {.name = "one_sample", .op = BatchNorm{}, .inputs = {image({1, 3, 4, 4})}},
      {.name = "mean_far_from_zero",
       .op = BatchNorm{},
       .inputs = {image({3, 3, 4, 4})},
       .offset = 300},
      {.name = "large_epsilon", .op = BatchNorm{.epsilon = 0.5}, .inputs = {image({2, 3, 3, 5})}},
      {.name = "many_channels", .op = BatchNorm{}, .inputs = {image({2, 37, 2, 2})}},
      {.name = "many_rows", .op = BatchNorm{}, .inputs = {floats({2100, 3})}, .large = true},
      {.name = "more_channels_than_a_block",
       .op = BatchNorm{},
       .inputs = {floats({40, 300})},
       .large = true},
      {.name = "large_row_major_image",
       .op = BatchNorm{},
       .inputs = {floats({2, 3, 31, 37})},
       .large = true},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(BatchNorm, EveryChannelGetsMeanBetaAndDeviationGamma) {
  // Channel 0: 1, 3 (mean 2, variance 1); channel 1: 10, 50 (mean 30, variance 400).
  const auto r = evaluate(BatchNorm{.epsilon = 1e-12}, {floats({2, 2})},
                          {{"x", {1, 10, 3, 50}},
                           {"gamma", {5, 7}},
                           {"beta", {100, 200}},
                           {"running_mean", {0, 10}},
                           {"running_var", {1, 100}},
                           {"grad y", {1, 2, 3, 4}}});
  EXPECT_THAT(r.at("sums"), ElementsAre(4, 60, 10, 2600));
  constexpr double kNear = 1e-10;  // epsilon moves the deviation
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(95, kNear), DoubleNear(193, kNear),
                                     DoubleNear(105, kNear), DoubleNear(207, kNear)));
  EXPECT_THAT(r.at("grad beta"), ElementsAre(4, 6));
  EXPECT_THAT(r.at("grad gamma"), ElementsAre(DoubleNear(2, kNear), DoubleNear(2, kNear)));
  // A tenth of the batch's mean and unbiased variance (2 and 800), nine of what was.
  EXPECT_THAT(r.at("running_mean"), ElementsAre(DoubleNear(0.2, kNear), DoubleNear(12, kNear)));
  EXPECT_THAT(r.at("running_var"), ElementsAre(DoubleNear(1.1, kNear), DoubleNear(170, kNear)));
}

TEST(BatchNorm, EvaluationUsesTheRunningAveragesAndLeavesThem) {
  const auto r = evaluate_without_training(BatchNorm{.epsilon = 1e-12}, {floats({2, 2})},
                                           {{"x", {1, 10, 3, 50}},
                                            {"gamma", {5, 7}},
                                            {"beta", {100, 200}},
                                            {"running_mean", {1, 20}},
                                            {"running_var", {4, 100}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(100, 1e-9), DoubleNear(193, 1e-9),
                                     DoubleNear(105, 1e-9), DoubleNear(221, 1e-9)));
  EXPECT_FALSE(r.contains("running_mean"));
}

}  // namespace
}  // namespace soapstone::conformance
