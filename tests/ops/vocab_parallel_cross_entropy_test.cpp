#include "core/ops/vocab_parallel_cross_entropy.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::SoftmaxCrossEntropy;
using core::VocabParallelCrossEntropy;

std::vector<OpCase> vocab_parallel_cross_entropy_cases() {
  using Op = VocabParallelCrossEntropy;
  return {
      {.name = "one_class", .op = Op{}, .inputs = {floats({2, 1}), integers({2})}},
      {.name = "few_classes", .op = Op{}, .inputs = {floats({7, 5}), integers({7})}, .classes = 5},
      {.name = "sequences",
       .op = Op{},
       .inputs = {floats({3, 5, 11}), integers({3, 5})},
       .classes = 11},
      {.name = "as_many_classes_as_blocks",
       .op = Op{},
       .inputs = {floats({3, 64}), integers({3})},
       .classes = 64},
      {.name = "last_block_of_one_class",
       .op = Op{},
       .inputs = {floats({5, 65}), integers({5})},
       .classes = 65},
      {.name = "last_block_shorter",
       .op = Op{},
       .inputs = {floats({3, 1009}), integers({3})},
       .classes = 1009},
      {.name = "fewer_blocks_than_the_most",
       .op = Op{},
       .inputs = {floats({2, 2, 130}), integers({2, 2})},
       .classes = 130},
      {.name = "largest_logits_tied",
       .op = Op{},
       .inputs = {floats({31, 6}), integers({31})},
       .values = Values::kTied,
       .classes = 6},
      {.name = "largest_logits_tied_in_blocks",
       .op = Op{},
       .inputs = {floats({40, 70}), integers({40})},
       .values = Values::kTied,
       .classes = 5},
      {.name = "large_logits",
       .op = Op{},
       .inputs = {floats({5, 4}), integers({5})},
       .offset = 200,
       .classes = 4},
      {.name = "part_of_a_mini_batch",
       .op = Op{.mean_over = 24},
       .inputs = {floats({6, 4}), integers({6})},
       .classes = 4},
      {.name = "some_without_a_label",
       .op = Op{},
       .inputs = {floats({7, 2, 5}), integers({7, 2})},
       .classes = 5,
       .third = core::kNoLabel},
      {.name = "many_rows",
       .op = Op{},
       .inputs = {floats({1500, 3}), integers({1500})},
       .large = true,
       .classes = 3},
      {.name = "many_classes",
       .op = Op{},
       .inputs = {floats({9, 20011}), integers({9})},
       .large = true,
       .classes = 20011},
      {.name = "empty_micro_batch",
       .op = Op{.mean_over = 24},
       .inputs = {floats({0, 4}), integers({0})},
       .classes = 4},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

std::string refusal(const core::Op& op, std::vector<core::TensorDesc> inputs) {
  const auto definition = op.define(inputs);
  return definition ? "accepted" : definition.error().message;
}

TEST(VocabParallelCrossEntropy, AveragesTheNegativeLogProbabilities) {
  const double l = std::log(3.0);  // probabilities 1/4, 3/4 and 1/2, 1/2
  const auto r = evaluate(VocabParallelCrossEntropy{}, {floats({2, 2}), integers({2})},
                          {{"logits", {0, l, 7, 7}}, {"labels", {0, 0}}});
  EXPECT_THAT(r.at("statistics"), ElementsAre(0, l, 1, 1, 0, 1, 7, 7, 1, 1, 7, 1));
  EXPECT_THAT(r.at("loss"), ElementsAre(DoubleNear((std::log(4.0) + std::log(2.0)) / 2, 1e-15)));
  EXPECT_THAT(r.at("correct"), ElementsAre(1));  // the first of equals counts
  EXPECT_THAT(r.at("grad logits"), ElementsAre(DoubleNear(-0.375, 1e-15), DoubleNear(0.375, 1e-15),
                                               DoubleNear(-0.25, 1e-15), DoubleNear(0.25, 1e-15)));
}

TEST(VocabParallelCrossEntropy, BlocksAreAsLargeAsNeededForSixtyFour) {
  using Op = VocabParallelCrossEntropy;
  EXPECT_EQ(Op::block_size(1), 1);
  EXPECT_EQ(Op::blocks(1), 1);
  EXPECT_EQ(Op::block_size(64), 1);
  EXPECT_EQ(Op::blocks(64), 64);
  EXPECT_EQ(Op::block_size(65), 2);
  EXPECT_EQ(Op::blocks(65), 33);
  EXPECT_EQ(Op::block_size(50257), 786);
  EXPECT_EQ(Op::blocks(50257), 64);
}

// Of 70 classes in blocks of 2 the classes 4, 5 and 9 have the largest logit.
TEST(VocabParallelCrossEntropy, OfEqualMaximaTheFirstOfAllBlocksIsTheAnswer) {
  const auto correct = [](double label) {
    std::vector<double> logits(70, 1);
    logits[4] = logits[5] = logits[9] = 2;
    return evaluate(VocabParallelCrossEntropy{}, {floats({1, 70}), integers({1})},
                    {{"logits", logits}, {"labels", {label}}})
        .at("correct")[0];
  };
  EXPECT_EQ(correct(4), 1);
  EXPECT_EQ(correct(5), 0);
  EXPECT_EQ(correct(9), 0);
  EXPECT_EQ(correct(8), 0);
}

TEST(VocabParallelCrossEntropy, IsTheLossOfSoftmaxCrossEntropy) {
  constexpr std::int64_t kRows = 6, kClasses = 131;
  std::vector<double> logits, labels;
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t k = 0; k < kClasses; ++k)
      logits.push_back(static_cast<double>((r * 57 + k * 31) % 17) / 4);
    labels.push_back(r == 2 ? core::kNoLabel : static_cast<double>(r * 26 % kClasses));
  }
  const auto run = [&](const core::Op& op) {
    return evaluate(op, {floats({kRows, kClasses}), integers({kRows})},
                    {{"logits", logits}, {"labels", labels}});
  };
  const auto got = run(VocabParallelCrossEntropy{.mean_over = 10}),
             want = run(SoftmaxCrossEntropy{.mean_over = 10});
  for (const char* name : {"loss", "correct", "lse", "grad logits"})
    EXPECT_THAT(got.at(name), Pointwise(testing::DoubleNear(1e-14), want.at(name))) << name;
}

TEST(VocabParallelCrossEntropy, WhatDoesNotFitIsRefusedWithItsValues) {
  using Op = VocabParallelCrossEntropy;
  EXPECT_EQ(refusal(Op{}, {floats({2, 3})}), "takes logits and labels, got 1 inputs");
  EXPECT_EQ(refusal(Op{}, {floats({2, 3}), integers({3})}),
            "takes logits [n, …, c] and i32 labels [n, …], got f32 [2, 3] and i32 [3]");
  EXPECT_EQ(refusal(Op{}, {floats({2, 0}), integers({2})}),
            "logits [2, 0] have no classes: at least 1 is wanted");
  EXPECT_EQ(refusal(Op{.mean_over = -1}, {floats({2, 3}), integers({2})}),
            "mean_over = -1: must be 0 (the number of labels) or more");
}

}  // namespace
}  // namespace soapstone::conformance
