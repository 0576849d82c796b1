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

  void step(const std::vector<double>& g, OptimizerUpdate update) {
    std::copy(g.begin(), g.end(), gradient.memory().begin());
    update.step = steps_++;
    const Block states[] = {buffer.block()};
    update_weight(weight.block(), gradient.block(), std::span(states, update.momentum > 0 ? 1 : 0),
                  update);
  }

 private:
  std::int64_t steps_ = 0;
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
  const OptimizerUpdate update{.learning_rate = 1, .momentum = 0.5};
  s.step({4, 8}, update);
  EXPECT_THAT(s.weight.memory(), ElementsAre(-4, -8));
  s.step({2, 0}, update);  // buffer 0.5·4 + 2 = 4 and 0.5·8 = 4
  EXPECT_THAT(s.weight.memory(), ElementsAre(-8, -12));
}

TEST(Sgd, NesterovLooksAhead) {
  Sgd s;
  const OptimizerUpdate update{.learning_rate = 1, .momentum = 0.5, .nesterov = true};
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

// One f64 weight, updated step by step.
struct Weight {
  explicit Weight(double start) { weight.memory()[0] = start; }
  double step(double g, OptimizerUpdate update) {
    gradient.memory()[0] = g;
    update.step = steps_++;
    const Block all[] = {states[0].block(), states[1].block()};
    const auto count =
        static_cast<std::size_t>(core::optimizer_states(update.kind, update.momentum));
    update_weight(weight.block(), gradient.block(), std::span(all).first(count), update);
    return weight.memory()[0];
  }

  TestBlock<double> weight{core::DType::kF64, {{0, 1}}}, gradient{core::DType::kF64, {{0, 1}}},
      states[2] = {{core::DType::kF64, {{0, 1}}}, {core::DType::kF64, {{0, 1}}}};

 private:
  std::int64_t steps_ = 0;
};

TEST(AdamW, TheFirstStepIsTheLearningRateWhateverTheGradient) {
  // m / (1 - beta1) = g and √(v / (1 - beta2)) = |g|.
  for (const double g : {3.0, -0.01}) {
    Weight w(1);
    EXPECT_NEAR(
        w.step(g, {.kind = core::OptimizerKind::kAdamW, .learning_rate = 0.125, .epsilon = 0}),
        1 - std::copysign(0.125, g), 1e-14);
  }
}

TEST(AdamW, MomentsAreAveragedAndCorrected) {
  Weight w(0);
  const OptimizerUpdate update{.kind = core::OptimizerKind::kAdamW,
                               .learning_rate = 1,
                               .beta1 = 0.5,
                               .beta2 = 0.75,
                               .epsilon = 0.5,
                               .gradient_scale = 0.5};
  EXPECT_NEAR(w.step(8, update), -4 / (4 + 0.5), 1e-14);
  // m = 0.5·2 + 0.5·0 = 1 of 1 - 0.25; v = 0.75·4 + 0 = 3 of 1 - 0.5625.
  EXPECT_NEAR(w.step(0, update), -4 / 4.5 - (1 / 0.75) / (std::sqrt(3 / 0.4375) + 0.5), 1e-14);
}

TEST(AdamW, WeightDecayDoesNotPassThroughTheMoments) {
  Weight w(8);
  EXPECT_EQ(
      w.step(0, {.kind = core::OptimizerKind::kAdamW, .learning_rate = 0.5, .weight_decay = 0.25}),
      8 - 0.5 * 0.25 * 8);
}

TEST(Adagrad, DividesByTheRootOfTheSumOfSquares) {
  Weight w(0);
  const OptimizerUpdate update{
      .kind = core::OptimizerKind::kAdagrad, .learning_rate = 2, .epsilon = 1};
  EXPECT_NEAR(w.step(3, update), -2 * 3.0 / (3 + 1), 1e-15);
  EXPECT_NEAR(w.step(4, update), -1.5 - 2 * 4.0 / (5 + 1), 1e-15);
}

}  // namespace
}  // namespace soapstone::kernels
