#include "core/ops/reduce.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Reduce;
using core::ReduceKind;

namespace {

Reduce sum(std::vector<std::int64_t> dims) { return {.kind = ReduceKind::kSum, .dims = dims}; }
Reduce mean(std::vector<std::int64_t> dims) { return {.kind = ReduceKind::kMean, .dims = dims}; }
Reduce maximum(std::vector<std::int64_t> dims) { return {.kind = ReduceKind::kMax, .dims = dims}; }
Reduce keeping(Reduce reduce) {
  reduce.keep_dims = true;
  return reduce;
}

}  // namespace

std::vector<OpCase> reduce_cases() {
  return {
      {.name = "single_number", .op = sum({0}), .inputs = {floats({1})}},
      {.name = "sum_of_rows", .op = sum({1}), .inputs = {floats({5, 7})}},
      {.name = "sum_of_columns", .op = sum({0}), .inputs = {floats({5, 7})}},
      {.name = "sum_of_all", .op = sum({0, 1}), .inputs = {floats({5, 7})}},
      {.name = "sum_of_all_kept", .op = keeping(sum({1, 0})), .inputs = {floats({5, 7})}},
      {.name = "sum_of_the_middle", .op = sum({1}), .inputs = {floats({3, 4, 6})}},
      {.name = "sum_of_the_ends", .op = sum({2, 0}), .inputs = {floats({3, 4, 6})}},
      {.name = "mean_of_rows", .op = mean({1}), .inputs = {floats({5, 7})}},
      {.name = "mean_of_the_middle_kept", .op = keeping(mean({1})), .inputs = {floats({3, 4, 6})}},
      {.name = "mean_of_a_channels_last_image",
       .op = mean({2, 3}),
       .inputs = {image({2, 3, 5, 4})}},
      {.name = "mean_of_its_channels_kept",
       .op = keeping(mean({1})),
       .inputs = {image({2, 3, 5, 4})}},
      {.name = "mean_of_its_rows_kept", .op = keeping(mean({2})), .inputs = {image({2, 3, 5, 4})}},
      {.name = "mean_over_the_batch", .op = mean({0}), .inputs = {image({4, 3, 2, 5})}},
      {.name = "mean_of_a_part_of_the_batch",
       .op = Reduce{.kind = ReduceKind::kMean, .dims = {0, 1}, .mean_over = 60},
       .inputs = {floats({4, 5})}},
      {.name = "largest_of_rows", .op = maximum({1}), .inputs = {floats({5, 7})}},
      {.name = "largest_of_long_rows", .op = maximum({1}), .inputs = {floats({3, 67})}},
      {.name = "largest_of_columns", .op = maximum({0}), .inputs = {floats({5, 7})}},
      {.name = "largest_of_all", .op = maximum({0, 1}), .inputs = {floats({5, 7})}},
      {.name = "largest_of_the_middle_kept",
       .op = keeping(maximum({1})),
       .inputs = {floats({3, 4, 6})}},
      {.name = "largest_of_a_channels_last_image",
       .op = maximum({2, 3}),
       .inputs = {image({2, 3, 5, 4})}},
      {.name = "largest_negative", .op = maximum({1}), .inputs = {floats({5, 7})}, .offset = -9},
      {.name = "largest_of_tied_rows",
       .op = maximum({1}),
       .inputs = {floats({5, 37})},
       .values = Values::kTied},
      {.name = "largest_of_tied_columns",
       .op = maximum({0, 1}),
       .inputs = {floats({3, 5, 7})},
       .values = Values::kTied},
      {.name = "largest_of_tied_channels_and_rows",
       .op = maximum({1, 2}),
       .inputs = {image({2, 5, 3, 4})},
       .values = Values::kTied},
      {.name = "largest_of_tied_channels_and_columns",
       .op = keeping(maximum({1, 3})),
       .inputs = {image({2, 5, 3, 4})},
       .values = Values::kTied},
      {.name = "long_sum", .op = sum({1}), .inputs = {floats({3, 6007})}, .large = true},
      {.name = "mean_of_many_rows", .op = mean({0}), .inputs = {floats({2100, 5})}, .large = true},
      {.name = "sum_of_many_columns",
       .op = sum({0}),
       .inputs = {floats({40, 1300})},
       .large = true},
      {.name = "largest_of_many_columns",
       .op = maximum({0}),
       .inputs = {floats({40, 300})},
       .large = true},
      {.name = "largest_of_many_rows",
       .op = maximum({1}),
       .inputs = {floats({2100, 5})},
       .large = true},
      {.name = "empty_batch", .op = mean({1}), .inputs = {floats({0, 3})}},
      {.name = "largest_of_an_empty_batch", .op = maximum({1}), .inputs = {floats({0, 3})}},
      {.name = "sum_of_an_empty_batch", .op = sum({0}), .inputs = {floats({0, 3})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Reduce, SumsAndMeansSpreadTheirGradient) {
  const std::vector<double> x{1, 2, 3, 4, 5, 6};
  const auto rows = evaluate(sum({1}), {floats({2, 3})}, {{"x", x}, {"grad y", {10, 20}}});
  EXPECT_THAT(rows.at("y"), ElementsAre(6, 15));
  EXPECT_THAT(rows.at("grad x"), ElementsAre(10, 10, 10, 20, 20, 20));
  const auto columns = evaluate(mean({0}), {floats({2, 3})}, {{"x", x}, {"grad y", {10, 20, 30}}});
  EXPECT_THAT(columns.at("y"), ElementsAre(2.5, 3.5, 4.5));
  EXPECT_THAT(columns.at("grad x"), ElementsAre(5, 10, 15, 5, 10, 15));
}

TEST(Reduce, TheFirstOfEqualMaximaGetsTheGradient) {
  const auto r =
      evaluate(maximum({0, 1}), {floats({2, 3})}, {{"x", {1, 2, 7, 7, 0, 7}}, {"grad y", {5}}});
  EXPECT_THAT(r.at("y"), ElementsAre(7));
  EXPECT_THAT(r.at("grad x"), ElementsAre(0, 0, 5, 0, 0, 0));
}

TEST(Reduce, MicroBatchesDivideAMeanByTheMiniBatch) {
  const std::vector inputs{floats({6, 2})};
  EXPECT_EQ(mean({0}).for_micro_batches(3, inputs).mean_over, 6);
  EXPECT_EQ(mean({0, 1}).for_micro_batches(3, inputs).mean_over, 12);
  EXPECT_EQ(mean({1}).for_micro_batches(3, inputs), mean({1}));
  EXPECT_EQ(sum({0}).for_micro_batches(3, inputs), sum({0}));
}

TEST(Reduce, ItsShapeLosesTheDimensionsUnlessTheyAreKept) {
  const auto shape_of = [](const Reduce& op) {
    const auto d = op.define(std::vector{floats({2, 3, 4})});
    return d->operands[static_cast<std::size_t>(d->operand("y"))].desc.shape;
  };
  EXPECT_EQ(shape_of(sum({1})), (core::Shape{2, 4}));
  EXPECT_EQ(shape_of(keeping(sum({1}))), (core::Shape{2, 1, 4}));
  EXPECT_EQ(shape_of(sum({0, 1, 2})), (core::Shape{1}));
}

TEST(Reduce, DimensionsThatDoNotFitAreRefused) {
  const auto message = [](const Reduce& op, core::Shape shape = {2, 3}) {
    const auto d = op.define(std::vector{floats(shape)});
    return d ? std::string("accepted") : d.error().message;
  };
  EXPECT_EQ(message(sum({})), "dims is empty: give at least one dimension");
  EXPECT_EQ(message(sum({2})), "dims = [2]: an input of rank 2 allows 0 to 1, each once");
  EXPECT_EQ(message(sum({1, 1})), "dims = [1, 1]: an input of rank 2 allows 0 to 1, each once");
  EXPECT_EQ(message(maximum({0}), {0, 3}),
            "the max of an input [0, 3] over dims [0] is that of no elements");
  EXPECT_EQ(message({.kind = ReduceKind::kSum, .dims = {0}, .mean_over = 4}),
            "mean_over = 4 of a sum: must be 0, or for a mean the number of elements to divide by");
}

}  // namespace
}  // namespace soapstone::conformance
