#include "core/ops/binary_cross_entropy.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::BinaryCrossEntropy;

// The suite's targets leave [0, 1]: the loss is linear in them, and the formula holds there too.
std::vector<OpCase> binary_cross_entropy_cases() {
  return {
      {.name = "single_numbers", .op = BinaryCrossEntropy{}, .inputs = {floats({1}), floats({1})}},
      {.name = "matrix", .op = BinaryCrossEntropy{}, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "sequence",
       .op = BinaryCrossEntropy{},
       .inputs = {floats({3, 4, 6}), floats({3, 4, 6})}},
      {.name = "channels_last_images",
       .op = BinaryCrossEntropy{},
       .inputs = {image({2, 3, 5, 4}), image({2, 3, 5, 4})}},
      {.name = "images_of_different_orders",
       .op = BinaryCrossEntropy{},
       .inputs = {image({2, 3, 5, 4}), floats({2, 3, 5, 4})}},
      {.name = "part_of_a_mini_batch",
       .op = BinaryCrossEntropy{.mean_over = 72},
       .inputs = {floats({6, 4}), floats({6, 4})}},
      {.name = "sure_logits",
       .op = BinaryCrossEntropy{},
       .inputs = {floats({5, 4}), floats({5, 4})},
       .offset = 90},
      {.name = "sure_logits_below_zero",
       .op = BinaryCrossEntropy{},
       .inputs = {floats({5, 4}), floats({5, 4})},
       .offset = -90},
      {.name = "long_rows",
       .op = BinaryCrossEntropy{},
       .inputs = {floats({3, 6007}), floats({3, 6007})},
       .large = true},
      {.name = "empty_micro_batch",
       .op = BinaryCrossEntropy{.mean_over = 24},
       .inputs = {floats({0, 4}), floats({0, 4})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(BinaryCrossEntropy, AveragesTheNegativeLogProbabilities) {
  const double l = std::log(3.0);  // probabilities 1/2, 3/4, 1/4 and 3/4
  const auto r = evaluate(BinaryCrossEntropy{}, {floats({4}), floats({4})},
                          {{"logits", {0, l, -l, l}}, {"targets", {1, 1, 1, 0.25}}});
  const double half = std::log(2.0), quarter = std::log(4.0), three = std::log(4.0 / 3);
  EXPECT_THAT(
      r.at("loss"),
      ElementsAre(DoubleNear((half + three + quarter + three / 4 + quarter * 3 / 4) / 4, 1e-15)));
  EXPECT_THAT(r.at("correct"), ElementsAre(1));  // a logit of 0 says no
  EXPECT_THAT(r.at("grad logits"),
              ElementsAre(-0.125, DoubleNear(-0.0625, 1e-15), DoubleNear(-0.1875, 1e-15),
                          DoubleNear(0.125, 1e-15)));
}

TEST(BinaryCrossEntropy, ASureAnswerCostsItsLogit) {
  const auto r = evaluate(BinaryCrossEntropy{}, {floats({2}), floats({2})},
                          {{"logits", {1000, -1000}}, {"targets", {0, 0}}});
  EXPECT_THAT(r.at("loss"), ElementsAre(500));
  EXPECT_THAT(r.at("correct"), ElementsAre(1));
  EXPECT_THAT(r.at("grad logits"), ElementsAre(0.5, 0));
}

TEST(BinaryCrossEntropy, MicroBatchesDivideByTheMiniBatch) {
  const std::vector inputs{floats({6, 2}), floats({6, 2})};
  EXPECT_EQ(BinaryCrossEntropy{}.for_micro_batches(3, inputs), BinaryCrossEntropy{.mean_over = 12});
}

TEST(BinaryCrossEntropy, InputsThatDoNotFitAreRefused) {
  EXPECT_EQ(BinaryCrossEntropy{}.define(std::vector{floats({2, 3})}).error().message,
            "takes logits and targets, got 1 inputs");
  EXPECT_EQ(BinaryCrossEntropy{}.define(std::vector{floats({2}), integers({2})}).error().message,
            "logits are f32 [2] and targets i32 [2]: both must have one shape and dtype");
  EXPECT_EQ(BinaryCrossEntropy{.mean_over = -1}
                .define(std::vector{floats({2}), floats({2})})
                .error()
                .message,
            "mean_over = -1: must be 0 (the number of elements) or more");
}

}  // namespace
}  // namespace soapstone::conformance
