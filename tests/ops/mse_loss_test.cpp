#include "core/ops/mse_loss.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::MseLoss;

std::vector<OpCase> mse_loss_cases() {
  return {
      {.name = "single_numbers", .op = MseLoss{}, .inputs = {floats({1}), floats({1})}},
      {.name = "matrix", .op = MseLoss{}, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "sequence", .op = MseLoss{}, .inputs = {floats({3, 4, 6}), floats({3, 4, 6})}},
      {.name = "channels_last_images",
       .op = MseLoss{},
       .inputs = {image({2, 3, 5, 4}), image({2, 3, 5, 4})}},
      {.name = "images_of_different_orders",
       .op = MseLoss{},
       .inputs = {image({2, 3, 5, 4}), floats({2, 3, 5, 4})}},
      {.name = "part_of_a_mini_batch",
       .op = MseLoss{.mean_over = 72},
       .inputs = {floats({6, 4}), floats({6, 4})}},
      {.name = "large_numbers",
       .op = MseLoss{},
       .inputs = {floats({5, 4}), floats({5, 4})},
       .offset = 100},
      {.name = "long_rows",
       .op = MseLoss{},
       .inputs = {floats({3, 6007}), floats({3, 6007})},
       .large = true},
      {.name = "empty_micro_batch",
       .op = MseLoss{.mean_over = 24},
       .inputs = {floats({0, 4}), floats({0, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(MseLoss, AveragesTheSquaresOfTheDifferences) {
  const auto r = evaluate(MseLoss{}, {floats({2, 2}), floats({2, 2})},
                          {{"prediction", {1, 2, 3, 4}}, {"target", {1, 4, 0, 5}}});
  EXPECT_THAT(r.at("loss"), ElementsAre((4.0 + 9 + 1) / 4));
  EXPECT_THAT(r.at("grad prediction"), ElementsAre(0, -1, 1.5, -0.5));
}

TEST(MseLoss, MicroBatchesDivideByTheMiniBatch) {
  const std::vector inputs{floats({6, 2}), floats({6, 2})};
  EXPECT_EQ(MseLoss{}.for_micro_batches(3, inputs), MseLoss{.mean_over = 12});
  EXPECT_EQ(MseLoss{.mean_over = 40}.for_micro_batches(3, inputs), MseLoss{.mean_over = 40});
}

TEST(MseLoss, InputsThatDoNotFitAreRefused) {
  EXPECT_EQ(MseLoss{}.define(std::vector{floats({2, 3})}).error().message,
            "takes prediction and target, got 1 inputs");
  EXPECT_EQ(MseLoss{}.define(std::vector{floats({2, 3}), floats({2})}).error().message,
            "prediction f32 [2, 3] and target f32 [2]: both must have one shape and dtype");
  EXPECT_EQ(MseLoss{.mean_over = -1}.define(std::vector{floats({2}), floats({2})}).error().message,
            "mean_over = -1: must be 0 (the number of elements) or more");
}

}  // namespace
}  // namespace soapstone::conformance
