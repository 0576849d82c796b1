#include "core/ops/adaptive_pool2d.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::AdaptivePool2D;
using core::PoolKind;

std::vector<OpCase> adaptive_pool2d_cases() {
  return {
      {.name = "mean_of_the_whole_image", .op = AdaptivePool2D{}, .inputs = {image({3, 5, 5, 7})}},
      {.name = "mean_of_windows_that_overlap",
       .op = AdaptivePool2D{.output = {3, 2}},
       .inputs = {image({2, 3, 7, 5})}},
      {.name = "mean_of_windows_that_tile",
       .op = AdaptivePool2D{.output = {3, 2}},
       .inputs = {image({2, 3, 6, 8})}},
      {.name = "mean_tiled_in_one_dimension",
       .op = AdaptivePool2D{.output = {4, 4}},
       .inputs = {image({2, 2, 8, 7})}},
      {.name = "mean_of_more_places_than_there_are",
       .op = AdaptivePool2D{.output = {5, 7}},
       .inputs = {image({2, 3, 3, 2})}},
      {.name = "mean_of_whole_columns",
       .op = AdaptivePool2D{.output = {1, 3}},
       .inputs = {image({2, 3, 4, 6})}},
      {.name = "max_of_the_whole_image",
       .op = AdaptivePool2D{.kind = PoolKind::kMax},
       .inputs = {image({3, 5, 4, 3})}},
      {.name = "max_of_windows_that_overlap",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {4, 3}},
       .inputs = {image({2, 3, 6, 7})}},
      {.name = "max_of_windows_that_tile",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {3, 4}},
       .inputs = {image({2, 3, 6, 4})}},
      {.name = "max_of_more_places_than_there_are",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {5, 3}},
       .inputs = {image({2, 3, 3, 2})}},
      {.name = "max_tied",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {2, 3}},
       .inputs = {image({2, 3, 5, 7})},
       .values = Values::kTied},
      {.name = "max_all_negative",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {2, 2}},
       .inputs = {image({1, 3, 4, 5})},
       .offset = -5},
      {.name = "whole_mean_of_a_row_major_image",
       .op = AdaptivePool2D{},
       .inputs = {floats({2, 3, 4, 5})}},
      {.name = "mean_row_major_input",
       .op = AdaptivePool2D{.output = {2, 3}},
       .inputs = {floats({2, 3, 5, 6})}},
      {.name = "max_row_major_input",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {2, 3}},
       .inputs = {floats({2, 3, 5, 6})}},
      {.name = "many_channels",
       .op = AdaptivePool2D{.output = {2, 2}},
       .inputs = {image({1, 301, 3, 3})}},
      {.name = "large_whole_mean",
       .op = AdaptivePool2D{},
       .inputs = {image({2, 65, 37, 29})},
       .large = true},
      {.name = "large_max",
       .op = AdaptivePool2D{.kind = PoolKind::kMax, .output = {7, 7}},
       .inputs = {image({2, 300, 15, 13})},
       .large = true},
      {.name = "empty_batch",
       .op = AdaptivePool2D{.output = {2, 2}},
       .inputs = {image({0, 2, 4, 4})}},
      {.name = "empty_batch_whole_mean", .op = AdaptivePool2D{}, .inputs = {image({0, 2, 4, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(AdaptivePool2D, WindowsOverlapWhereTheExtentIsNoMultiple) {
  // 5 places in 3 windows: [0, 2), [1, 4), [3, 5).
  const auto mean = evaluate(AdaptivePool2D{.output = {1, 3}}, {floats({1, 1, 1, 5})},
                             {{"x", {1, 3, 5, 10, 20}}, {"grad y", {2, 3, 4}}});
  EXPECT_THAT(mean.at("y"), ElementsAre(2, 6, 15));
  EXPECT_THAT(mean.at("grad x"), ElementsAre(1, 2, 1, 3, 2));
  const auto max =
      evaluate(AdaptivePool2D{.kind = PoolKind::kMax, .output = {1, 3}}, {floats({1, 1, 1, 5})},
               {{"x", {1, 3, 2, 3, 0}}, {"grad y", {2, 3, 4}}});
  EXPECT_THAT(max.at("y"), ElementsAre(3, 3, 3));
  EXPECT_THAT(max.at("grad x"), ElementsAre(0, 5, 0, 4, 0));
}

TEST(AdaptivePool2D, AWholeMeanGivesEveryPlaceTheSameGradient) {
  const auto r =
      evaluate(AdaptivePool2D{}, {floats({1, 1, 2, 2})}, {{"x", {1, 2, 3, 6}}, {"grad y", {8}}});
  EXPECT_THAT(r.at("y"), ElementsAre(3));
  EXPECT_THAT(r.at("grad x"), ElementsAre(2, 2, 2, 2));
}

TEST(AdaptivePool2D, OnlyAxesWhoseWindowsTileMayBeSplit) {
  const auto definition =
      AdaptivePool2D{.output = {3, 3}}.define(std::vector{image({2, 4, 6, 7})}).value();
  EXPECT_EQ(core::largest_degree(definition.axes[2]), 3);
  EXPECT_EQ(core::largest_degree(definition.axes[3]), 1);
  const auto whole = AdaptivePool2D{}.define(std::vector{image({2, 4, 6, 7})}).value();
  EXPECT_EQ(core::largest_degree(whole.axes[2]), 6);
  EXPECT_EQ(core::largest_degree(whole.axes[3]), 7);
}

TEST(AdaptivePool2D, RefusesWhatDoesNotFit) {
  const auto picture = image({2, 6, 3, 3});
  EXPECT_EQ(refusal(AdaptivePool2D{}, {picture, picture}), "takes one input, got 2");
  EXPECT_EQ(refusal(AdaptivePool2D{}, {image({2, 6, 0, 3})}),
            "takes an input [n, c, h, w] with h and w at least 1, got [2, 6, 0, 3]");
  EXPECT_EQ(refusal(AdaptivePool2D{.output = {0, 2}}, {picture}),
            "output = [0, 2]: height and width must be at least 1");
}

}  // namespace
}  // namespace soapstone::conformance
