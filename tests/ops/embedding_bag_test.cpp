#include "core/ops/embedding_bag.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::BagMode;
using core::DType;
using core::EmbeddingBag;
using core::kPaddingId;

namespace {

OpCase bags(std::string name, std::int64_t vocab, std::int64_t features, core::Shape ids,
            BagMode mode, std::int64_t third = 0, bool large = false) {
  EmbeddingBag op{.vocab = vocab, .features = features, .mode = mode};
  EmbeddingBag in_f64 = op;
  in_f64.dtype = DType::kF64;
  EmbeddingBag in_bf16 = in_f64;
  in_bf16.dtype = DType::kBF16;
  return {.name = std::move(name),
          .op = op,
          .inputs = {integers(ids)},
          .op_in_f64 = in_f64,
          .op_in_bf16 = in_bf16,
          .large = large,
          .classes = vocab,
          .third = third};
}

}  // namespace

std::vector<OpCase> embedding_bag_cases() {
  return {
      bags("single_numbers", 1, 1, {1, 1}, BagMode::kSum),
      bags("sums", 13, 6, {3, 5}, BagMode::kSum),
      bags("means", 11, 5, {4, 3}, BagMode::kMean),
      bags("sums_with_padding", 7, 3, {5, 4}, BagMode::kSum, kPaddingId),
      bags("means_with_padding", 7, 3, {5, 4}, BagMode::kMean, kPaddingId),
      bags("means_of_padding_alone", 5, 3, {7, 1}, BagMode::kMean, kPaddingId),
      bags("rows_met_often", 3, 4, {9, 4}, BagMode::kMean),
      bags("rows_hardly_met", 101, 3, {4, 2}, BagMode::kSum),
      bags("long_bags", 17, 3, {2, 41}, BagMode::kSum, kPaddingId),
      bags("many_features", 7, 67, {3, 3}, BagMode::kMean),
      bags("more_features_than_a_block", 5, 300, {4, 9}, BagMode::kMean, kPaddingId, true),
      bags("one_row_met_very_often", 2, 3, {150, 10}, BagMode::kSum, 0, true),
      bags("empty_bags", 5, 3, {4, 0}, BagMode::kSum),
      bags("empty_bags_mean", 5, 3, {4, 0}, BagMode::kMean),
      bags("empty_batch", 5, 3, {0, 4}, BagMode::kSum),
  };
}

namespace {

using testing::ElementsAre;

std::string refusal(const core::Op& op, std::vector<core::TensorDesc> inputs) {
  const auto definition = op.define(inputs);
  return definition ? "accepted" : definition.error().message;
}

TEST(EmbeddingBag, AddsTheRowsOfABag) {
  const auto r = evaluate(
      EmbeddingBag{.vocab = 3, .features = 2, .dtype = DType::kF64}, {integers({2, 2})},
      {{"ids", {2, 0, 2, 2}}, {"table", {1, 2, 3, 4, 5, 6}}, {"grad y", {1, 10, 100, 1000}}});
  EXPECT_THAT(r.at("y"), ElementsAre(5 + 1, 6 + 2, 10, 12));
  EXPECT_THAT(r.at("grad table"), ElementsAre(1, 10, 0, 0, 1 + 200, 10 + 2000));
}

TEST(EmbeddingBag, AMeanDoesNotCountPadding) {
  const auto r = evaluate(
      EmbeddingBag{.vocab = 2, .features = 1, .mode = BagMode::kMean, .dtype = DType::kF64},
      {integers({2, 3})},
      {{"ids", {1, kPaddingId, 0, kPaddingId, kPaddingId, kPaddingId}},
       {"table", {10, 20}},
       {"grad y", {8, 100}}});
  EXPECT_THAT(r.at("y"), ElementsAre(15, 0));
  EXPECT_THAT(r.at("grad table"), ElementsAre(4, 4));
}

TEST(EmbeddingBag, ASumMayBeSplitAlongTheBagAMeanMayNot) {
  const auto coupling = [](BagMode mode) {
    const std::vector<core::TensorDesc> inputs{integers({2, 3})};
    const auto definition =
        core::Op(EmbeddingBag{.vocab = 2, .features = 1, .mode = mode}).define(inputs);
    return definition->axes[static_cast<std::size_t>(definition->axis("l"))].coupling;
  };
  EXPECT_EQ(coupling(BagMode::kSum), core::Coupling::kNone);
  EXPECT_EQ(coupling(BagMode::kMean), core::Coupling::kUnsplittable);
}

TEST(EmbeddingBag, WhatDoesNotFitIsRefusedWithItsValues) {
  const EmbeddingBag small{.vocab = 3, .features = 2};
  EXPECT_EQ(refusal(small, {integers({2, 3}), integers({2})}), "takes one input, got 2");
  EXPECT_EQ(refusal(small, {floats({2, 3})}), "takes i32 ids, got f32");
  EXPECT_EQ(refusal(small, {integers({2})}), "takes ids [n, l], got [2]");
  EXPECT_EQ(refusal(EmbeddingBag{.vocab = 3}, {integers({2, 3})}),
            "vocab = 3 and features = 0 must be at least 1");
  EXPECT_EQ(
      refusal(EmbeddingBag{.vocab = 3, .features = 2, .dtype = DType::kI32}, {integers({2, 3})}),
      "dtype = i32: bf16, f32 and f64 are accepted");
}

}  // namespace
}  // namespace soapstone::conformance
