#include "runtime/optimizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapstone::runtime {
namespace {

TEST(LearningRate, warms_up_linearly_and_then_follows_its_schedule) {
  OptimizerSettings s{.learning_rate = 0.8, .warm_up_steps = 4};
  EXPECT_DOUBLE_EQ(learning_rate(s, 0, 100), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(s, 3, 100), 0.8);
  EXPECT_DOUBLE_EQ(learning_rate(s, 99, 100), 0.8);

  s.schedule = LearningRateSchedule::kStep;
  s.decay_every_steps = 10;
  s.decay = 0.5;
  EXPECT_DOUBLE_EQ(learning_rate(s, 2, 100), 0.6);
  EXPECT_DOUBLE_EQ(learning_rate(s, 13, 100), 0.8);
  EXPECT_DOUBLE_EQ(learning_rate(s, 14, 100), 0.4);
  EXPECT_DOUBLE_EQ(learning_rate(s, 24, 100), 0.2);

  s.schedule = LearningRateSchedule::kCosine;
  s.final_learning_rate = 0.2;
  EXPECT_DOUBLE_EQ(learning_rate(s, 4, 105), 0.8);
  EXPECT_DOUBLE_EQ(learning_rate(s, 54, 105), 0.5);  // half way
  EXPECT_DOUBLE_EQ(learning_rate(s, 104, 105), 0.2);
}

TEST(OptimizerSettings, values_that_make_no_sense_are_refused_with_what_is_accepted) {
  const auto error = [](OptimizerSettings s) {
    return check(s) ? std::string() : check(s).error().message;
  };
  EXPECT_EQ(error({}), "");
  EXPECT_EQ(error({.learning_rate = -1}), "learning_rate = -1: accepted: more than 0");
  EXPECT_EQ(error({.momentum = 1}), "momentum = 1: accepted: from 0 to less than 1");
  EXPECT_EQ(error({.momentum = 0, .nesterov = true}),
            "momentum = 0: accepted: more than 0 with nesterov");
  EXPECT_EQ(error({.final_learning_rate = 1}),
            "final_learning_rate = 1: accepted: from 0 to learning_rate");
}

TEST(OptimizerSettings, only_the_first_step_finds_no_momentum) {
  EXPECT_TRUE(update_of({}, 0, 10).first_step);
  EXPECT_FALSE(update_of({}, 1, 10).first_step);
  EXPECT_EQ(optimizer_states({.momentum = 0}), 0);
  EXPECT_EQ(optimizer_states({.momentum = 0.5}), 1);
}

}  // namespace
}  // namespace soapstone::runtime
