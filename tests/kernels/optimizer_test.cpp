#include "kernels/optimizer.hpp"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/blocks.hpp"

namespace soapstone::kernels {
namespace {

using testing::ElementsAre;

struct Sgd {
  TestBlock<double> weight{core::DType::kF64, {{0, 2}}}, gradient{core::DType::kF64, {{0, 2}}},
      buffer{core::DType::kF64, {{0, 2}}};

  void step(const std::vector<double>& g, SgdUpdate update) {
    std::copy(g.begin(), g.end(), gradient.memory().begin());
    update.first_step = first_;
    first_ = false;
    sgd_update(weight.block(), gradient.block(), update.momentum > 0 ? buffer.block() : Block{},
               update);
  }

 private:
  bool first_ = true;
};

TEST(Sgd, StepsAgainstTheGradient) {
  Sgd s;
  s.weight.memory()[0] = 1;
  s.step({2, -4}, {.learning_rate = 0.5});
  EXPECT_THAT(s.weight.memory(), ElementsAre(1 - 0.5 * 2, 0 + 0.5 * 4));
}

TEST(Sgd, ScalesTheGradientBeforeItAddsTheDecay) {
  Sgd s;
  s.weight.memory()[0] = 8;
  s.step({2, 0}, {.learning_rate = 0.5, .weight_decay = 0.25, .gradient_scale = 0.5});
  EXPECT_THAT(s.weight.memory(), ElementsAre(8 - 0.5 * (0.5 * 2 + 0.25 * 8), 0));
}

TEST(Sgd, MomentumStartsWithTheFirstGradient) {
  Sgd s;
  for (double& v : s.buffer.memory()) v = std::nan("");  // whatever was there is not read
  const SgdUpdate update{.learning_rate = 1, .momentum = 0.5};
  s.step({4, 8}, update);
  EXPECT_THAT(s.weight.memory(), ElementsAre(-4, -8));
  s.step({2, 0}, update);  // buffer 0.5·4 + 2 = 4 and 0.5·8 = 4
  EXPECT_THAT(s.weight.memory(), ElementsAre(-8, -12));
}

TEST(Sgd, NesterovLooksAhead) {
  Sgd s;
  const SgdUpdate update{.learning_rate = 1, .momentum = 0.5, .nesterov = true};
  s.step({4, 0}, update);  // buffer 4, step 4 + 0.5·4
  EXPECT_THAT(s.weight.memory(), ElementsAre(-6, 0));
  s.step({2, 0}, update);  // buffer 4, step 2 + 0.5·4
  EXPECT_THAT(s.weight.memory(), ElementsAre(-10, 0));
}

TEST(SumOfSquares, IsAddedInDouble) {
  TestBlock<float> block(core::DType::kF32, {{0, 100'003}});
  for (float& v : block.memory()) v = 0.1F;
  const double each = static_cast<double>(0.1F) * static_cast<double>(0.1F);
  EXPECT_NEAR(sum_of_squares(block.block()), 100'003 * each, 1e-9);
  EXPECT_EQ(sum_of_squares(Block{}), 0);
}

}  // namespace
}  // namespace soapstone::kernels
