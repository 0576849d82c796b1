#include "kernels/init.hpp"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/kernels/blocks.hpp"

namespace soapstone::kernels {
namespace {

constexpr core::Initializer kUniform{core::InitKind::kUniform, 0.5},
    kNormal{core::InitKind::kNormal, 2};

TEST(Initialize, GivesAnElementTheSameValueInEveryLayout) {
  const core::Shape shape{6, 5, 4, 3};
  for (const auto& init : {kUniform, kNormal}) {
    TestBlock<double> whole(core::DType::kF64, core::whole(shape));
    TestBlock<double> part(core::DType::kF64, {{2, 5}, {1, 4}, {0, 4}, {2, 3}},
                           core::channels_last(4));
    initialize(whole.block(), shape, init, 7, 3);
    initialize(part.block(), shape, init, 7, 3);
    for_each_index(part.block().box, [&](auto i) { ASSERT_EQ(part.at(i), whole.at(i)); });
  }
}

TEST(Initialize, RoundsTheValuesOfF64ToF32) {
  const core::Shape shape{1000};
  TestBlock<double> doubles(core::DType::kF64, core::whole(shape));
  TestBlock<float> floats(core::DType::kF32, core::whole(shape));
  initialize(doubles.block(), shape, kNormal, 1, 0);
  initialize(floats.block(), shape, kNormal, 1, 0);
  for (std::size_t i = 0; i < 1000; ++i)
    ASSERT_EQ(floats.memory()[i], static_cast<float>(doubles.memory()[i]));
}

TEST(Initialize, DrawsOtherNumbersForOtherSeedsAndTensors) {
  const core::Shape shape{4};
  std::set<double> values;
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 40})
    for (const std::uint32_t tensor : {0U, 1U}) {
      TestBlock<double> block(core::DType::kF64, core::whole(shape));
      initialize(block.block(), shape, kUniform, seed, tensor);
      values.insert(block.memory().begin(), block.memory().end());
    }
  EXPECT_EQ(values.size(), 3 * 2 * 4);
}

TEST(Initialize, HasTheMomentsOfItsDistribution) {
  const core::Shape shape{40'000};
  const auto moments = [&](const core::Initializer& init) {
    TestBlock<double> block(core::DType::kF64, core::whole(shape));
    initialize(block.block(), shape, init, 5, 0);
    double sum = 0, squares = 0, largest = 0;
    for (const double v : block.memory())
      sum += v, squares += v * v, largest = std::max(largest, std::abs(v));
    return std::array{sum / 40'000, squares / 40'000, largest};
  };
  // Standard errors of the mean: 0.29 / 200 and 2 / 200; of the second moment less than 1 %.
  const auto uniform = moments(kUniform), normal = moments(kNormal);
  EXPECT_NEAR(uniform[0], 0, 4 * 0.29 / 200);
  EXPECT_NEAR(uniform[1], 0.25 / 3, 0.04 * 0.25 / 3);
  EXPECT_LE(uniform[2], 0.5);
  EXPECT_NEAR(normal[0], 0, 4 * 2.0 / 200);
  EXPECT_NEAR(normal[1], 4, 0.04 * 4);
  EXPECT_GT(normal[2], 3 * 2);
}

TEST(Initialize, KnowsConstants) {
  const core::Shape shape{3};
  TestBlock<float> block(core::DType::kF32, core::whole(shape));
  initialize(block.block(), shape, {core::InitKind::kOnes, 0}, 0, 0);
  EXPECT_EQ(block.memory(), std::vector<float>(3, 1));
  initialize(block.block(), shape, {core::InitKind::kZeros, 0}, 0, 0);
  EXPECT_EQ(block.memory(), std::vector<float>(3, 0));
}

}  // namespace
}  // namespace soapstone::kernels
