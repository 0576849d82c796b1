#include "core/ops/linear.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Activation;
using core::Linear;

std::vector<OpCase> linear_cases() {
  return {
      {.name = "single_numbers", .op = Linear{.out_features = {1}}, .inputs = {floats({1, 1})}},
      {.name = "odd_sizes", .op = Linear{.out_features = {3}}, .inputs = {floats({5, 7})}},
      {.name = "without_bias",
       .op = Linear{.out_features = {4}, .bias = false},
       .inputs = {floats({3, 6})}},
      {.name = "relu",
       .op = Linear{.out_features = {5}, .activation = Activation::kRelu},
       .inputs = {floats({6, 8})}},
      {.name = "relu_without_bias",
       .op = Linear{.out_features = {4}, .bias = false, .activation = Activation::kRelu},
       .inputs = {floats({5, 3})}},
      {.name = "sequence", .op = Linear{.out_features = {6}}, .inputs = {floats({2, 3, 8})}},
      {.name = "packed_projection_to_heads",
       .op = Linear{.out_features = {3, 2, 5}, .packed = true},
       .inputs = {floats({2, 3, 8})}},
      {.name = "projection_from_heads",
       .op = Linear{.out_features = {5}, .contracted_dims = 2},
       .inputs = {floats({2, 3, 4, 3})}},
      {.name = "projection_from_heads_with_relu",
       .op = Linear{.out_features = {3}, .contracted_dims = 2, .activation = Activation::kRelu},
       .inputs = {floats({2, 2, 3, 4})}},
      {.name = "contracted_channels_last_image",
       .op = Linear{.out_features = {4}, .contracted_dims = 3},
       .inputs = {image({3, 2, 3, 5})}},
      {.name = "many_inputs", .op = Linear{.out_features = {19}}, .inputs = {floats({3, 131})}},
      {.name = "many_rows", .op = Linear{.out_features = {17}}, .inputs = {floats({67, 33})}},
      {.name = "blocks_of_every_kind",
       .op = Linear{.out_features = {140}},
       .inputs = {floats({75, 133})},
       .large = true},
      {.name = "long_sum_forward",
       .op = Linear{.out_features = {40}},
       .inputs = {floats({7, 2100})},
       .large = true},
      {.name = "long_sum_backward",
       .op = Linear{.out_features = {15}, .activation = Activation::kRelu},
       .inputs = {floats({2100, 20})},
       .large = true},
      {.name = "empty_batch", .op = Linear{.out_features = {3}}, .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Linear, MultipliesByTheTransposedWeightAndAddsTheBias) {
  const auto r =
      evaluate(Linear{.out_features = {2}}, {floats({1, 2})},
               {{"x", {1, 2}}, {"weight", {3, 4, 5, 6}}, {"bias", {10, 20}}, {"grad y", {1, 100}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1 * 3 + 2 * 4 + 10, 1 * 5 + 2 * 6 + 20));
  EXPECT_THAT(r.at("grad x"), ElementsAre(1 * 3 + 100 * 5, 1 * 4 + 100 * 6));
  EXPECT_THAT(r.at("grad weight"), ElementsAre(1, 2, 100, 200));
  EXPECT_THAT(r.at("grad bias"), ElementsAre(1, 100));
}

TEST(Linear, ReluStopsTheGradientWhereTheOutputIsZero) {
  const auto r =
      evaluate(Linear{.out_features = {2}, .bias = false, .activation = Activation::kRelu},
               {floats({1, 1})}, {{"x", {2}}, {"weight", {3, -3}}, {"grad y", {5, 7}}});
  EXPECT_THAT(r.at("y"), ElementsAre(6, 0));
  EXPECT_THAT(r.at("grad pre"), ElementsAre(5, 0));
  EXPECT_THAT(r.at("grad x"), ElementsAre(15));
}

}  // namespace
}  // namespace soapstone::conformance
