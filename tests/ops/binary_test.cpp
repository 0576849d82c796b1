#include "core/ops/binary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Binary;
using core::BinaryFunction;

namespace {

constexpr Binary kSubtract{BinaryFunction::kSubtract}, kMultiply{BinaryFunction::kMultiply},
    kDivide{BinaryFunction::kDivide}, kMaximum{BinaryFunction::kMaximum},
    kMinimum{BinaryFunction::kMinimum};

}  // namespace

std::vector<OpCase> binary_cases() {
  return {
      {.name = "single_numbers", .op = kSubtract, .inputs = {floats({1}), floats({1})}},
      {.name = "difference", .op = kSubtract, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "product", .op = kMultiply, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "quotient", .op = kDivide, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "maximum", .op = kMaximum, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "minimum", .op = kMinimum, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "maximum_tied",
       .op = kMaximum,
       .inputs = {floats({5, 7}), floats({5, 7})},
       .values = Values::kTied},
      {.name = "minimum_tied_and_repeated",
       .op = kMinimum,
       .inputs = {floats({2, 5, 7}), floats({5, 1})},
       .values = Values::kTied},
      {.name = "product_of_channels_last_images",
       .op = kMultiply,
       .inputs = {image({2, 3, 5, 4}), image({2, 3, 5, 4})}},
      {.name = "quotient_of_images_of_different_orders",
       .op = kDivide,
       .inputs = {image({2, 3, 5, 4}), floats({2, 3, 5, 4})}},
      {.name = "image_by_the_weight_of_each_channel",
       .op = kMultiply,
       .inputs = {image({2, 3, 4, 5}), floats({3, 1, 1})}},
      {.name = "difference_from_a_mean",
       .op = kSubtract,
       .inputs = {floats({3, 4, 6}), floats({3, 4, 1})}},
      {.name = "row_by_a_matrix", .op = kDivide, .inputs = {floats({1, 6}), floats({5, 6})}},
      {.name = "each_repeated_in_one_dimension",
       .op = kDivide,
       .inputs = {floats({5, 1}), floats({1, 6})}},
      {.name = "maximum_of_a_matrix_and_a_number",
       .op = kMaximum,
       .inputs = {floats({1}), floats({3, 4})}},
      {.name = "number_less_a_matrix", .op = kSubtract, .inputs = {floats({1}), floats({3, 4})}},
      {.name = "many_rows_by_one",
       .op = kMultiply,
       .inputs = {floats({2100, 5}), floats({5})},
       .large = true},
      {.name = "many_columns_by_one_row",
       .op = kDivide,
       .inputs = {floats({40, 300}), floats({300})},
       .large = true},
      {.name = "long_rows_by_a_number_each",
       .op = kMultiply,
       .inputs = {floats({3, 6007}), floats({3, 1})},
       .large = true},
      {.name = "empty", .op = kMultiply, .inputs = {floats({0, 3}), floats({1, 3})}},
  };
}

namespace {

using testing::ElementsAre;

std::map<std::string, std::vector<double>> of(const Binary& op, std::vector<double> a,
                                              std::vector<double> b, std::vector<double> dy) {
  const auto n = static_cast<std::int64_t>(dy.size());
  return evaluate(op, {floats({n}), floats({static_cast<std::int64_t>(b.size())})},
                  {{"a", a}, {"b", b}, {"grad y", dy}});
}

TEST(Binary, GradientsOfARepeatedOperandAreAddedUp) {
  const auto product = of(kMultiply, {1, 2, 3}, {10}, {1, 10, 100});
  EXPECT_THAT(product.at("y"), ElementsAre(10, 20, 30));
  EXPECT_THAT(product.at("grad a"), ElementsAre(10, 100, 1000));
  EXPECT_THAT(product.at("grad b"), ElementsAre(321));
  const auto difference = of(kSubtract, {1, 2, 3}, {10}, {1, 10, 100});
  EXPECT_THAT(difference.at("y"), ElementsAre(-9, -8, -7));
  EXPECT_THAT(difference.at("grad b"), ElementsAre(-111));
}

TEST(Binary, AQuotientFallsWithTheSquareOfItsDivisor) {
  const auto r = of(kDivide, {12, 3}, {4, 2}, {1, 8});
  EXPECT_THAT(r.at("y"), ElementsAre(3, 1.5));
  EXPECT_THAT(r.at("grad a"), ElementsAre(0.25, 4));
  EXPECT_THAT(r.at("grad b"), ElementsAre(-0.75, -6));
}

TEST(Binary, EqualsShareTheGradientOfAMaximum) {
  const auto larger = of(kMaximum, {1, 5, 2}, {3, 4, 2}, {10, 20, 30});
  EXPECT_THAT(larger.at("y"), ElementsAre(3, 5, 2));
  EXPECT_THAT(larger.at("grad a"), ElementsAre(0, 20, 15));
  EXPECT_THAT(larger.at("grad b"), ElementsAre(10, 0, 15));
  const auto smaller = of(kMinimum, {1, 5, 2}, {3, 4, 2}, {10, 20, 30});
  EXPECT_THAT(smaller.at("y"), ElementsAre(1, 4, 2));
  EXPECT_THAT(smaller.at("grad a"), ElementsAre(10, 0, 15));
  EXPECT_THAT(smaller.at("grad b"), ElementsAre(0, 20, 15));
}

TEST(Binary, InputsThatDoNotFitAreRefused) {
  const auto message = [](std::vector<core::TensorDesc> inputs) {
    const auto d = kMultiply.define(inputs);
    return d ? std::string("accepted") : d.error().message;
  };
  EXPECT_EQ(message({floats({2, 3})}), "takes two inputs, got 1");
  EXPECT_EQ(message({floats({2, 3}), floats({2})}),
            "shapes [2, 3] and [2] do not broadcast: dimension 1 from the end is 3 and 2");
  EXPECT_EQ(message({floats({2, 3}), integers({2, 3})}),
            "inputs are f32 and i32: both must have one dtype");
}

}  // namespace
}  // namespace soapstone::conformance
