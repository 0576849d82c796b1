#include "core/metric.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace soapstone::core {
namespace {

MetricValue of(MetricKind kind, std::vector<double> value, double over = 0) {
  return metric_value("m", kind, value, std::vector{over});
}

TEST(Metric, AShareIsWhatIsRightOfWhatIsAsked) {
  EXPECT_EQ(of(MetricKind::kShare, {3}, 4).value, 0.75);
  EXPECT_TRUE(std::isnan(of(MetricKind::kShare, {0}, 0).value));
}

// Three tokens that cost ln 8 each are as surprising as a die of eight faces.
TEST(Metric, PerplexityIsTheExponentialOfTheMean) {
  EXPECT_NEAR(of(MetricKind::kExpOfMean, {3 * std::log(8.0)}, 3).value, 8, 1e-12);
  EXPECT_TRUE(std::isnan(of(MetricKind::kExpOfMean, {0}, 0).value));
}

// scikit-learn's example of roc_auc_score: scores 0.1 (no), 0.35 (yes), 0.4 (no), 0.8 (yes). Of the
// four pairs, three are in order.
TEST(Metric, TheAreaIsTheShareOfPairsInOrder) {
  const MetricValue m = of(MetricKind::kAreaUnderCurve, {1, 0, 1, 0, /**/ 0, 1, 0, 1});
  EXPECT_EQ(m.value, 0.75);
  EXPECT_EQ(m.error, 0);
}

// No: 1 in the first bin, 1 in the second; yes: the same. Of four pairs one is in order, one is
// not, two lie in one bin and could be either.
TEST(Metric, PairsInOneBinCountHalf) {
  const MetricValue m = of(MetricKind::kAreaUnderCurve, {1, 1, /**/ 1, 1});
  EXPECT_EQ(m.value, 0.5);
  EXPECT_EQ(m.error, 0.25);
}

TEST(Metric, APerfectOrderIsOneAndItsOppositeZero) {
  EXPECT_EQ(of(MetricKind::kAreaUnderCurve, {5, 0, 0, /**/ 0, 2, 7}).value, 1);
  EXPECT_EQ(of(MetricKind::kAreaUnderCurve, {0, 2, 7, /**/ 5, 0, 0}).value, 0);
}

TEST(Metric, WithOneClassAloneThereIsNoArea) {
  EXPECT_TRUE(std::isnan(of(MetricKind::kAreaUnderCurve, {5, 1, /**/ 0, 0}).value));
}

TEST(Metric, TextsSayAsMuchAsIsKnown) {
  EXPECT_EQ(text({"top5_accuracy", MetricKind::kShare, 0.98765, 0}), "top5 accuracy 98.77 %");
  EXPECT_EQ(text({"perplexity", MetricKind::kExpOfMean, 1234.5678, 0}), "perplexity 1235");
  EXPECT_EQ(text({"auc", MetricKind::kAreaUnderCurve, 0.80126, 1e-6}), "auc 0.8013");
  EXPECT_EQ(text({"auc", MetricKind::kAreaUnderCurve, 0.80126, 0.004}), "auc 0.801 ± 0.004");
  EXPECT_EQ(text({"auc", MetricKind::kAreaUnderCurve, 0.5, 0.25}), "auc 0.5 ± 0.2");
  EXPECT_EQ(text({"auc", MetricKind::kAreaUnderCurve, NAN, 0}), "auc no number");
}

}  // namespace
}  // namespace soapstone::core
