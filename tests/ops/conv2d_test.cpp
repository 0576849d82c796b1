#include "core/ops/conv2d.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Activation;
using core::Conv2D;

std::vector<OpCase> conv2d_cases() {
  return {
      {.name = "single_numbers", .op = Conv2D{.out_channels = 1}, .inputs = {image({1, 1, 1, 1})}},
      {.name = "one_by_one", .op = Conv2D{.out_channels = 19}, .inputs = {image({3, 17, 3, 2})}},
      {.name = "three_by_three_padded",
       .op = Conv2D{.out_channels = 4, .kernel = {3, 3}, .padding = {1, 1, 1, 1}},
       .inputs = {image({2, 3, 7, 5})}},
      {.name = "without_bias",
       .op = Conv2D{.out_channels = 3, .kernel = {2, 3}, .bias = false},
       .inputs = {image({2, 2, 5, 6})}},
      {.name = "relu",
       .op = Conv2D{.out_channels = 4,
                    .kernel = {3, 3},
                    .padding = {1, 1, 1, 1},
                    .activation = Activation::kRelu},
       .inputs = {image({2, 4, 4, 5})}},
      {.name = "stride_two",
       .op = Conv2D{.out_channels = 3, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1, 1, 1}},
       .inputs = {image({2, 2, 9, 8})}},
      {.name = "stride_longer_than_kernel",
       .op = Conv2D{.out_channels = 2, .kernel = {1, 2}, .stride = {3, 4}},
       .inputs = {image({2, 3, 11, 10})}},
      {.name = "last_rows_unread",
       .op = Conv2D{.out_channels = 2, .kernel = {2, 2}, .stride = {2, 3}},
       .inputs = {image({2, 2, 5, 7})}},
      {.name = "dilated",
       .op =
           Conv2D{.out_channels = 2, .kernel = {3, 2}, .padding = {2, 1, 0, 3}, .dilation = {2, 3}},
       .inputs = {image({2, 2, 7, 6})}},
      {.name = "padding_longer_than_kernel",
       .op = Conv2D{.out_channels = 2, .kernel = {2, 1}, .padding = {4, 3, 2, 2}},
       .inputs = {image({1, 3, 3, 4})}},
      {.name = "grouped",
       .op = Conv2D{.out_channels = 6, .kernel = {3, 3}, .padding = {1, 1, 1, 1}, .groups = 3},
       .inputs = {image({2, 6, 4, 5})}},
      {.name = "grouped_with_relu",
       .op =
           Conv2D{
               .out_channels = 8, .kernel = {2, 2}, .groups = 2, .activation = Activation::kRelu},
       .inputs = {image({2, 4, 4, 3})}},
      {.name = "depthwise",
       .op = Conv2D{.out_channels = 10,
                    .kernel = {3, 3},
                    .stride = {2, 1},
                    .padding = {1, 1, 1, 1},
                    .groups = 5},
       .inputs = {image({2, 5, 6, 5})}},
      {.name = "large_kernel",
       .op = Conv2D{.out_channels = 2, .kernel = {7, 7}, .stride = {2, 2}, .padding = {3, 3, 3, 3}},
       .inputs = {image({2, 3, 11, 12})}},
      {.name = "row_major_input",
       .op = Conv2D{.out_channels = 3, .kernel = {3, 3}, .padding = {1, 1, 1, 1}},
       .inputs = {floats({2, 3, 5, 4})}},
      {.name = "many_channels",
       .op = Conv2D{.out_channels = 132, .kernel = {3, 3}, .padding = {1, 1, 1, 1}},
       .inputs = {image({1, 40, 5, 6})},
       .large = true},
      {.name = "many_positions",
       .op = Conv2D{.out_channels = 7,
                    .kernel = {3, 3},
                    .stride = {2, 2},
                    .padding = {1, 1, 1, 1},
                    .activation = Activation::kRelu},
       .inputs = {image({3, 5, 39, 41})},
       .large = true},
      {.name = "many_groups",
       .op = Conv2D{.out_channels = 66,
                    .kernel = {3, 3},
                    .padding = {1, 1, 1, 1},
                    .groups = 66,
                    .bias = false},
       .inputs = {image({2, 66, 9, 11})},
       .large = true},
      {.name = "empty_batch",
       .op = Conv2D{.out_channels = 2, .kernel = {2, 2}},
       .inputs = {image({0, 2, 3, 3})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Conv2D, SlidesTheKernelWithoutTurningItAround) {
  const auto r =
      evaluate(Conv2D{.out_channels = 1, .kernel = {1, 2}}, {image({1, 1, 1, 3})},
               {{"x", {1, 2, 3}}, {"weight", {10, 100}}, {"bias", {0.5}}, {"grad y", {1, 2}}});
  EXPECT_THAT(r.at("y"), ElementsAre(210.5, 320.5));
  EXPECT_THAT(r.at("grad x"), ElementsAre(10, 120, 200));
  EXPECT_THAT(r.at("grad weight"), ElementsAre(1 * 1 + 2 * 2, 1 * 2 + 2 * 3));
  EXPECT_THAT(r.at("grad bias"), ElementsAre(3));
}

TEST(Conv2D, PadsWithZerosAndStrides) {
  const auto r = evaluate(Conv2D{.out_channels = 1,
                                 .kernel = {1, 3},
                                 .stride = {1, 2},
                                 .padding = {0, 0, 1, 0},
                                 .bias = false},
                          {image({1, 1, 1, 4})},
                          {{"x", {1, 2, 3, 4}}, {"weight", {1, 10, 100}}, {"grad y", {1, 1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(10 * 1 + 100 * 2, 1 * 2 + 10 * 3 + 100 * 4));
}

TEST(Conv2D, AGroupSeesItsOwnChannelsOnly) {
  const auto r =
      evaluate(Conv2D{.out_channels = 2, .groups = 2, .bias = false}, {image({1, 4, 1, 1})},
               {{"x", {1, 2, 3, 4}}, {"weight", {1, 10, 100, 1000}}, {"grad y", {1, 1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(21, 4300));
}

}  // namespace
}  // namespace soapstone::conformance
