#include "core/ops/matmul.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Matmul;

std::vector<OpCase> matmul_cases() {
  return {
      {.name = "single_numbers", .op = Matmul{}, .inputs = {floats({1, 1, 1}), floats({1, 1, 1})}},
      {.name = "odd_sizes", .op = Matmul{}, .inputs = {floats({3, 5, 7}), floats({3, 7, 4})}},
      {.name = "without_batch", .op = Matmul{}, .inputs = {floats({5, 3}), floats({3, 7})}},
      {.name = "transposed_a",
       .op = Matmul{.transpose_a = true},
       .inputs = {floats({2, 6, 5}), floats({2, 6, 3})}},
      {.name = "transposed_b",
       .op = Matmul{.transpose_b = true},
       .inputs = {floats({2, 3, 4}), floats({2, 5, 4})}},
      {.name = "both_transposed",
       .op = Matmul{.transpose_a = true, .transpose_b = true},
       .inputs = {floats({3, 5, 2}), floats({3, 4, 5})}},
      {.name = "two_batch_dimensions",
       .op = Matmul{.transpose_b = true},
       .inputs = {floats({2, 3, 4, 5}), floats({2, 3, 6, 5})}},
      {.name = "channels_last_times_row_major",
       .op = Matmul{},
       .inputs = {image({2, 3, 4, 5}), floats({2, 3, 5, 3})}},
      {.name = "transposed_row_major_times_channels_last",
       .op = Matmul{.transpose_a = true},
       .inputs = {floats({2, 3, 4, 5}), image({2, 3, 4, 2})}},
      {.name = "row_times_column",
       .op = Matmul{},
       .inputs = {floats({4, 1, 9}), floats({4, 9, 1})}},
      {.name = "column_times_row",
       .op = Matmul{},
       .inputs = {floats({4, 7, 1}), floats({4, 1, 6})}},
      {.name = "many_small", .op = Matmul{}, .inputs = {floats({67, 3, 2}), floats({67, 2, 5})}},
      {.name = "blocks_of_every_kind",
       .op = Matmul{},
       .inputs = {floats({2, 75, 133}), floats({2, 133, 140})},
       .large = true},
      {.name = "blocks_of_every_kind_transposed",
       .op = Matmul{.transpose_a = true, .transpose_b = true},
       .inputs = {floats({2, 133, 75}), floats({2, 140, 133})},
       .large = true},
      {.name = "many_of_several_blocks",
       .op = Matmul{.transpose_b = true},
       .inputs = {floats({33, 80, 9}), floats({33, 70, 9})},
       .large = true},
      {.name = "long_sum",
       .op = Matmul{.transpose_a = true},
       .inputs = {floats({2, 2100, 7}), floats({2, 2100, 40})},
       .large = true},
      {.name = "long_sums_backward",
       .op = Matmul{},
       .inputs = {floats({1, 2100, 9}), floats({1, 9, 35})},
       .large = true},
      {.name = "empty_batch", .op = Matmul{}, .inputs = {floats({0, 3, 4}), floats({0, 4, 2})}},
      {.name = "sum_of_nothing", .op = Matmul{}, .inputs = {floats({2, 3, 0}), floats({2, 0, 4})}},
      {.name = "no_rows", .op = Matmul{}, .inputs = {floats({2, 0, 3}), floats({2, 3, 4})}},
  };
}

namespace {

using testing::ElementsAre;

std::string refusal(const core::Op& op, std::vector<core::TensorDesc> inputs) {
  const auto definition = op.define(inputs);
  return definition ? "accepted" : definition.error().message;
}

TEST(Matmul, MultipliesTheMatricesOfEveryIndexOfTheBatch) {
  const auto r = evaluate(Matmul{}, {floats({2, 1, 2}), floats({2, 2, 1})},
                          {{"a", {1, 2, 3, 4}}, {"b", {5, 6, 7, 8}}, {"grad y", {1, 10}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1 * 5 + 2 * 6, 3 * 7 + 4 * 8));
  EXPECT_THAT(r.at("grad a"), ElementsAre(5, 6, 70, 80));
  EXPECT_THAT(r.at("grad b"), ElementsAre(1, 2, 30, 40));
}

TEST(Matmul, TransposedInputsAreReadByColumns) {
  const auto r =
      evaluate(Matmul{.transpose_a = true, .transpose_b = true}, {floats({2, 1}), floats({2, 2})},
               {{"a", {1, 10}}, {"b", {2, 3, 4, 5}}, {"grad y", {1, 100}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1 * 2 + 10 * 3, 1 * 4 + 10 * 5));
  EXPECT_THAT(r.at("grad a"), ElementsAre(1 * 2 + 100 * 4, 1 * 3 + 100 * 5));
  EXPECT_THAT(r.at("grad b"), ElementsAre(1, 10, 100, 1000));
}

TEST(Matmul, InputsThatDoNotFitAreRefusedWithTheirValues) {
  EXPECT_EQ(refusal(Matmul{}, {floats({2, 3})}), "takes two inputs, got 1");
  EXPECT_EQ(refusal(Matmul{}, {floats({2, 3}), {{3, 2}, core::DType::kF64, {}}}),
            "inputs are f32 and f64: both must have one dtype");
  EXPECT_EQ(
      refusal(Matmul{}, {floats({2, 3}), floats({1, 3, 4})}),
      "takes a [n…, m, k] and b [n…, k, p] of one rank from 2 to 6, got [2, 3] and [1, 3, 4]");
  EXPECT_EQ(refusal(Matmul{}, {floats({5, 2, 3}), floats({1, 3, 4})}),
            "batch dimension 0 is 5 in a [5, 2, 3] and 1 in b [1, 3, 4]: batch dimensions must be "
            "equal");
  EXPECT_EQ(refusal(Matmul{.transpose_b = true}, {floats({2, 3}), floats({3, 4})}),
            "the sum runs over dimension 1 of a [2, 3], which is 3, and dimension 1 of b [3, 4], "
            "which is 4: they must be equal");
}

}  // namespace
}  // namespace soapstone::conformance
