#include "core/ops/softmax_cross_entropy.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ops/vocab_parallel_cross_entropy.hpp"
#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::SoftmaxCrossEntropy;

std::vector<OpCase> softmax_cross_entropy_cases() {
  return {
      {.name = "one_class", .op = SoftmaxCrossEntropy{}, .inputs = {floats({2, 1}), integers({2})}},
      {.name = "few_classes",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({7, 5}), integers({7})},
       .classes = 5},
      {.name = "sequences",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({3, 5, 11}), integers({3, 5})},
       .classes = 11},
      {.name = "many_classes",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({3, 1009}), integers({3})},
       .classes = 1009},
      {.name = "largest_logits_tied",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({31, 6}), integers({31})},
       .values = Values::kTied,
       .classes = 6},
      {.name = "large_logits",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({5, 4}), integers({5})},
       .offset = 200,
       .classes = 4},
      {.name = "part_of_a_mini_batch",
       .op = SoftmaxCrossEntropy{.mean_over = 24},
       .inputs = {floats({6, 4}), integers({6})},
       .classes = 4},
      {.name = "some_without_a_label",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({7, 2, 5}), integers({7, 2})},
       .classes = 5,
       .third = core::kNoLabel},
      {.name = "many_rows",
       .op = SoftmaxCrossEntropy{},
       .inputs = {floats({1500, 3}), integers({1500})},
       .large = true,
       .classes = 3},
      {.name = "empty_micro_batch",
       .op = SoftmaxCrossEntropy{.mean_over = 24},
       .inputs = {floats({0, 4}), integers({0})},
       .classes = 4},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(SoftmaxCrossEntropy, AveragesTheNegativeLogProbabilities) {
  const double l = std::log(3.0);  // probabilities 1/4, 3/4 and 1/2, 1/2
  const auto r = evaluate(SoftmaxCrossEntropy{}, {floats({2, 2}), integers({2})},
                          {{"logits", {0, l, 7, 7}}, {"labels", {0, 0}}});
  EXPECT_THAT(r.at("loss"), ElementsAre(DoubleNear((std::log(4.0) + std::log(2.0)) / 2, 1e-15)));
  EXPECT_THAT(r.at("correct"), ElementsAre(1));  // the first of equals counts
  EXPECT_THAT(r.at("grad logits"), ElementsAre(DoubleNear(-0.375, 1e-15), DoubleNear(0.375, 1e-15),
                                               DoubleNear(-0.25, 1e-15), DoubleNear(0.25, 1e-15)));
}

TEST(SoftmaxCrossEntropy, WithoutALabelNothingIsAdded) {
  const double l = std::log(3.0);
  const auto r = evaluate(SoftmaxCrossEntropy{}, {floats({2, 2}), integers({2})},
                          {{"logits", {0, l, 7, 7}}, {"labels", {1, core::kNoLabel}}});
  EXPECT_THAT(r.at("loss"), ElementsAre(DoubleNear(std::log(4.0 / 3) / 2, 1e-15)));
  EXPECT_THAT(r.at("correct"), ElementsAre(1));
  EXPECT_THAT(r.at("labelled"), ElementsAre(1));
  EXPECT_THAT(r.at("grad logits"),
              ElementsAre(DoubleNear(0.125, 1e-15), DoubleNear(-0.125, 1e-15), 0, 0));
  EXPECT_FALSE(r.contains("top5"));  // of evaluations alone
}

std::vector<double> top5_of(const core::Op& op, std::vector<double> logits,
                            std::vector<double> labels) {
  const auto rows = static_cast<std::int64_t>(labels.size());
  const auto classes = static_cast<std::int64_t>(logits.size()) / rows;
  return evaluate_without_training(op, {floats({rows, classes}), integers({rows})},
                                   {{"logits", std::move(logits)}, {"labels", std::move(labels)}})
      .at("top5");
}

// Of seven logits the labels' are the fifth and the sixth; where all are equal, the first five
// classes are the answer.
TEST(SoftmaxCrossEntropy, TheFiveLargestLogitsAreTheAnswer) {
  const auto top5 = [](std::vector<double> logits, std::vector<double> labels) {
    const auto one = top5_of(SoftmaxCrossEntropy{}, logits, labels);
    EXPECT_EQ(one, top5_of(core::VocabParallelCrossEntropy{}, logits, labels));
    return one.at(0);
  };
  const std::vector<double> descending{7, 6, 5, 4, 3, 2, 1};
  EXPECT_EQ(top5(descending, {4}), 1);
  EXPECT_EQ(top5(descending, {5}), 0);
  EXPECT_EQ(top5(descending, {core::kNoLabel}), 0);
  const std::vector<double> equal(7, 1.5);
  EXPECT_EQ(top5(equal, {4}), 1);
  EXPECT_EQ(top5(equal, {5}), 0);
  EXPECT_EQ(top5({1, 2, 1, 2, 1, 2, 7, 6, 5, 4, 3, 2}, {4, 4}),
            1);  // one is the sixth, one the fifth
}

std::vector<std::string> metrics_of(std::vector<core::TensorDesc> inputs) {
  std::vector<std::string> names;
  const auto definition = SoftmaxCrossEntropy{}.define(inputs);
  for (const core::Metric& m : definition->metrics) names.push_back(m.name);
  return names;
}

TEST(SoftmaxCrossEntropy, MetricsAreThoseThatMakeSense) {
  EXPECT_THAT(metrics_of({floats({8, 5}), integers({8})}), ElementsAre("accuracy"));
  EXPECT_THAT(metrics_of({floats({8, 6}), integers({8})}),
              ElementsAre("accuracy", "top5_accuracy"));
  EXPECT_THAT(metrics_of({floats({8, 3, 50}), integers({8, 3})}),
              ElementsAre("accuracy", "top5_accuracy", "perplexity"));
  EXPECT_THAT(metrics_of({floats({8, 3, 4, 2}), integers({8, 3, 4})}), ElementsAre("accuracy"));
}

}  // namespace
}  // namespace soapstone::conformance
