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

TEST(OptimizerSettings, states_per_weight_follow_from_the_kind) {
  EXPECT_EQ(optimizer_states({.momentum = 0}), 0);
  EXPECT_EQ(optimizer_states({.momentum = 0.5}), 1);
  EXPECT_EQ(optimizer_states({.kind = core::OptimizerKind::kAdamW}), 2);
  EXPECT_EQ(optimizer_states({.kind = core::OptimizerKind::kAdagrad}), 1);
}

TEST(OptimizerSettings, tables_may_have_an_optimizer_of_their_own) {
  EXPECT_FALSE(table_update_of({}, 0, 10).has_value());
  const OptimizerSettings settings{.learning_rate = 0.4,
                                   .momentum = 0.9,
                                   .weight_decay = 0.1,
                                   .nesterov = true,
                                   .table_kind = core::TableOptimizer::kAdagrad,
                                   .table_learning_rate = 0.1,
                                   .schedule = LearningRateSchedule::kStep,
                                   .decay_every_steps = 5,
                                   .decay = 0.5};
  const auto update = *table_update_of(settings, 7, 10);
  EXPECT_EQ(update.kind, core::OptimizerKind::kAdagrad);
  EXPECT_DOUBLE_EQ(update.learning_rate, 0.05);
  EXPECT_EQ(update.momentum, 0);
  EXPECT_EQ(update.weight_decay, 0);
  const core::LowerOptions how = lower_options(settings);
  EXPECT_EQ(how.optimizer_states, 1);
  EXPECT_EQ(how.table_states, 1);
  EXPECT_TRUE(how.by_rows);
  EXPECT_FALSE(lower_options({.momentum = 0.9}).by_rows);
  EXPECT_TRUE(lower_options({.momentum = 0}).by_rows);
}

TEST(OptimizerSettings, the_update_knows_its_step) {
  const auto update = update_of({.kind = core::OptimizerKind::kAdamW, .weight_decay = 0.5}, 7, 10);
  EXPECT_EQ(update.kind, core::OptimizerKind::kAdamW);
  EXPECT_EQ(update.step, 7);
  EXPECT_EQ(update.weight_decay, 0.5);
}

}  // namespace
}  // namespace soapstone::runtime
