// What kernels are chosen for and costs are looked up by.
#include "core/local_problem.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ops/conv2d.hpp"
#include "core/ops/relu.hpp"

namespace soapstone::core {
namespace {

struct Problem {
  OpDefinition definition;
  LocalProblem local;

  Problem(const Op& op, const TensorDesc& input)
      : definition(op.define(std::span(&input, 1)).value()) {
    local = {op, &definition, axis_intervals(definition, {}, 0)};
  }
};

TEST(LocalProblem, AnotherOrderOfDimensionsIsAnotherProblem) {
  const Shape images{2, 3, 5, 4};
  for (const Op& op : {Op(Conv2D{.out_channels = 4, .kernel = {3, 3}}), Op(Relu{})}) {
    const Problem plain(op, {images, DType::kF32, {}});
    const Problem named(op, {images, DType::kF32, row_major(4)});
    const Problem last(op, {images, DType::kF32, channels_last(4)});
    EXPECT_EQ(plain.local.key(), named.local.key());
    EXPECT_EQ(plain.local.signature(), named.local.signature());
    EXPECT_NE(plain.local.key(), last.local.key());
    EXPECT_NE(plain.local.signature(), last.local.signature());
    EXPECT_THAT(plain.local.key(), testing::Not(testing::HasSubstr(" x.order")));
    EXPECT_THAT(last.local.key(), testing::HasSubstr(" x.order=[0, 2, 3, 1]"));
  }
}

}  // namespace
}  // namespace soapstone::core
