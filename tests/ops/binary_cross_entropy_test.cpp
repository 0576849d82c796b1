#include "core/ops/binary_cross_entropy.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/metric.hpp"
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
      {.name = "tied",
       .op = BinaryCrossEntropy{},
       .inputs = {floats({31, 2}), floats({31, 2})},
       .values = Values::kTied},
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

TEST(BinaryCrossEntropy, WithoutATargetNothingIsAdded) {
  const double l = std::log(3.0);
  const auto r = evaluate(BinaryCrossEntropy{}, {floats({2}), floats({2})},
                          {{"logits", {l, 5}}, {"targets", {1, core::kNoLabel}}});
  EXPECT_THAT(r.at("loss"), ElementsAre(DoubleNear(std::log(4.0 / 3) / 2, 1e-15)));
  EXPECT_THAT(r.at("correct"), ElementsAre(1));
  EXPECT_THAT(r.at("labelled"), ElementsAre(1));
  EXPECT_THAT(r.at("grad logits"), ElementsAre(DoubleNear(-0.125, 1e-15), 0));
}

core::MetricValue auc_of(std::vector<double> logits, std::vector<double> targets) {
  const auto n = static_cast<std::int64_t>(logits.size());
  const auto r =
      evaluate_without_training(BinaryCrossEntropy{}, {floats({n}), floats({n})},
                                {{"logits", std::move(logits)}, {"targets", std::move(targets)}});
  return core::metric_value("auc", core::MetricKind::kAreaUnderCurve, r.at("scores"),
                            r.at("labelled"));
}

// The formula: of all pairs of a no and a yes, those with the larger logit for yes, and half of the
// equal ones.
double area_of(const std::vector<double>& logits, const std::vector<double>& targets) {
  double ahead = 0, pairs = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    for (std::size_t j = 0; j < logits.size(); ++j) {
      if (targets[i] != 0 || targets[j] != 1) continue;
      pairs += 1;
      ahead += logits[j] > logits[i] ? 1 : logits[j] == logits[i] ? 0.5 : 0;
    }
  return ahead / pairs;
}

TEST(BinaryCrossEntropy, TheAreaOfScoresFarApartIsExact) {
  const std::vector<double> logits{-40, -2, -2, -0.001, 0, 0, 0.001, 3, 900, 1000};
  const std::vector<double> targets{0, 1, 0, 0, 1, 0, 1, core::kNoLabel, 0, 1};
  const core::MetricValue auc = auc_of(logits, targets);
  // Pairs: five of no with four of yes. -2 beats -40 and ties once: 1.5; 0 beats three and ties
  // once: 3.5; 0.001 beats four; 1000 beats all five.
  EXPECT_DOUBLE_EQ(auc.value, (1.5 + 3.5 + 4 + 5) / 20);
  EXPECT_DOUBLE_EQ(auc.value, area_of(logits, targets));
  EXPECT_DOUBLE_EQ(auc.error, (0.5 + 0.5) / 20);  // the ties
}

// The worst case of the bins: 4000 scores within ± 1, many to a bin.
TEST(BinaryCrossEntropy, TheAreaIsAsNearAsItsErrorSays) {
  std::vector<double> logits, targets;
  std::uint64_t state = 1;
  const auto uniform = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  for (int k = 0; k < 4000; ++k) {
    targets.push_back(k % 4 == 0 ? 1 : 0);
    logits.push_back(2 * uniform() - 1 + 0.3 * targets.back());
  }
  const core::MetricValue auc = auc_of(logits, targets);
  const double off = std::abs(auc.value - area_of(logits, targets));
  EXPECT_LE(off, auc.error);
  EXPECT_LT(auc.error, 1e-4);
  EXPECT_LT(off, 1e-5);
}

TEST(BinaryCrossEntropy, BinsAscendWithTheLogitAndHoldEveryNumber) {
  using Op = BinaryCrossEntropy;
  const double huge = 1e300;
  const double logits[] = {-INFINITY, -huge, -50, -1, -0x1p-12, 0, 0x1p-12, 1, 50, huge, INFINITY};
  std::int64_t before = 0;
  for (const double z : logits) {
    const std::int64_t bin = Op::bin_of(z);
    EXPECT_GE(bin, before) << z;
    EXPECT_LT(bin, Op::kBins) << z;
    before = bin;
  }
  EXPECT_EQ(Op::bin_of(-INFINITY), 0);
  EXPECT_EQ(Op::bin_of(0), Op::kBins / 2);
  EXPECT_EQ(Op::bin_of(INFINITY), Op::kBins - 1);
  // 2^-12 wide at 0, four times that at 8.
  EXPECT_EQ(Op::bin_of(10 * 0x1p-12 + 1e-5), Op::kBins / 2 + 10);
  EXPECT_NEAR(static_cast<double>(Op::bin_of(8 + 100 * 0x1p-10) - Op::bin_of(8)), 100, 2);
}

TEST(BinaryCrossEntropy, MicroBatchesDivideByTheMiniBatch) {
  const std::vector inputs{floats({6, 2}), floats({6, 2})};
  EXPECT_EQ(BinaryCrossEntropy{}.for_micro_batches(3, inputs), BinaryCrossEntropy{.mean_over = 12});
}

TEST(BinaryCrossEntropy, InputsThatDoNotFitAreRefused) {
  EXPECT_EQ(BinaryCrossEntropy{}.define(std::vector{floats({2, 3})}).error().message,
            "takes logits and targets, got 1 inputs");
  EXPECT_EQ(BinaryCrossEntropy{}.define(std::vector{floats({2}), integers({2})}).error().message,
            "logits f32 [2] and targets i32 [2]: both must have one shape and dtype");
  EXPECT_EQ(BinaryCrossEntropy{.mean_over = -1}
                .define(std::vector{floats({2}), floats({2})})
                .error()
                .message,
            "mean_over = -1: must be 0 (the number of elements) or more");
}

}  // namespace
}  // namespace soapstone::conformance
