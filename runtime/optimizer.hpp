// How weights follow their gradients from step to step.
#pragma once

#include <cstdint>
#include <optional>

#include "core/lower.hpp"
#include "core/reflect.hpp"
#include "core/result.hpp"
#include "kernels/optimizer.hpp"

namespace soapstone::runtime {

enum class LearningRateSchedule : std::uint8_t { kConstant, kStep, kCosine };
SOAPSTONE_ENUM_NAMES(LearningRateSchedule, {LearningRateSchedule::kConstant, "constant"},
                     {LearningRateSchedule::kStep, "step"},
                     {LearningRateSchedule::kCosine, "cosine"})

// See kernels::OptimizerUpdate for the formulas.
struct OptimizerSettings {
  core::OptimizerKind kind = core::OptimizerKind::kSgd;
  double learning_rate = 0.05;
  double momentum = 0.9;  // sgd
  double weight_decay = 0;
  bool nesterov = false;              // sgd
  double beta1 = 0.9, beta2 = 0.999;  // adamw
  double epsilon = 1e-8;              // adamw, adagrad
  double clip_gradient_norm = 0;      // 0: not clipped
  // Of tables. Of another kind than `same` it has no momentum and no weight decay; its learning
  // rate follows the same schedule from table_learning_rate (0: learning_rate).
  core::TableOptimizer table_kind = core::TableOptimizer::kSame;
  double table_learning_rate = 0;

  LearningRateSchedule schedule = LearningRateSchedule::kConstant;
  std::int64_t warm_up_steps =
      0;  // linear, from learning_rate / warm_up_steps; the schedule begins after it
  std::int64_t decay_every_steps = 1000;  // step: multiplied by `decay` this often
  double decay = 0.1;
  double final_learning_rate = 0;  // cosine: reached at the last step

  friend bool operator==(const OptimizerSettings&, const OptimizerSettings&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("learning_rate", self.learning_rate);
    visit("momentum", self.momentum);
    visit("weight_decay", self.weight_decay);
    visit("nesterov", self.nesterov);
    visit("beta1", self.beta1);
    visit("beta2", self.beta2);
    visit("epsilon", self.epsilon);
    visit("clip_gradient_norm", self.clip_gradient_norm);
    visit("schedule", self.schedule);
    visit("warm_up_steps", self.warm_up_steps);
    visit("decay_every_steps", self.decay_every_steps);
    visit("decay", self.decay);
    visit("final_learning_rate", self.final_learning_rate);
    visit("table_kind", self.table_kind, core::kOptional);
    visit("table_learning_rate", self.table_learning_rate, core::kOptional);
  }
};

core::Status check(const OptimizerSettings& settings);

// State tensors per weight that is not a table.
inline int optimizer_states(const OptimizerSettings& s) {
  return core::optimizer_states(s.kind, s.momentum);
}
// For a plan that trains with it.
core::LowerOptions lower_options(const OptimizerSettings& settings);

// What each is used with when nobody says otherwise.
double usual_learning_rate(core::OptimizerKind kind);

// Of a step, counted from 0, in a run of `steps`.
double learning_rate(const OptimizerSettings& settings, std::int64_t step, std::int64_t steps);

// The update of that step.
kernels::OptimizerUpdate update_of(const OptimizerSettings& settings, std::int64_t step,
                                   std::int64_t steps);
// That of tables, where it is another.
std::optional<kernels::OptimizerUpdate> table_update_of(const OptimizerSettings& settings,
                                                        std::int64_t step, std::int64_t steps);

}  // namespace soapstone::runtime
