#include "runtime/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace soapstone::runtime {

core::Status check(const OptimizerSettings& s) {
  const auto refuse = [](std::string_view key, double value, std::string_view accepted) {
    return core::usage_error("{} = {}: accepted: {}", key, value, accepted);
  };
  if (!(s.learning_rate > 0) || !std::isfinite(s.learning_rate))
    return refuse("learning_rate", s.learning_rate, "more than 0");
  if (!(s.momentum >= 0 && s.momentum < 1))
    return refuse("momentum", s.momentum, "from 0 to less than 1");
  if (!(s.beta1 >= 0 && s.beta1 < 1)) return refuse("beta1", s.beta1, "from 0 to less than 1");
  if (!(s.beta2 >= 0 && s.beta2 < 1)) return refuse("beta2", s.beta2, "from 0 to less than 1");
  if (!(s.epsilon > 0)) return refuse("epsilon", s.epsilon, "more than 0");
  if (!(s.weight_decay >= 0)) return refuse("weight_decay", s.weight_decay, "at least 0");
  if (s.nesterov && s.momentum == 0)
    return refuse("momentum", s.momentum, "more than 0 with nesterov");
  if (!(s.clip_gradient_norm >= 0))
    return refuse("clip_gradient_norm", s.clip_gradient_norm, "at least 0");
  if (!(s.table_learning_rate >= 0) || !std::isfinite(s.table_learning_rate))
    return refuse("table_learning_rate", s.table_learning_rate, "at least 0");
  if (s.warm_up_steps < 0)
    return refuse("warm_up_steps", static_cast<double>(s.warm_up_steps), "at least 0");
  if (s.decay_every_steps < 1)
    return refuse("decay_every_steps", static_cast<double>(s.decay_every_steps), "at least 1");
  if (!(s.decay > 0 && s.decay <= 1)) return refuse("decay", s.decay, "more than 0, at most 1");
  if (!(s.final_learning_rate >= 0 && s.final_learning_rate <= s.learning_rate))
    return refuse("final_learning_rate", s.final_learning_rate, "from 0 to learning_rate");
  return {};
}

double learning_rate(const OptimizerSettings& s, std::int64_t step, std::int64_t steps) {
  if (step < s.warm_up_steps)
    return s.learning_rate * static_cast<double>(step + 1) / static_cast<double>(s.warm_up_steps);
  const std::int64_t after = step - s.warm_up_steps;
  switch (s.schedule) {
    case LearningRateSchedule::kConstant:
      break;
    case LearningRateSchedule::kStep:
      return s.learning_rate * std::pow(s.decay, static_cast<double>(after / s.decay_every_steps));
    case LearningRateSchedule::kCosine: {
      const std::int64_t last = std::max<std::int64_t>(1, steps - s.warm_up_steps - 1);
      const double part = std::min(1.0, static_cast<double>(after) / static_cast<double>(last));
      return s.final_learning_rate + (s.learning_rate - s.final_learning_rate) * 0.5 *
                                         (1 + std::cos(std::numbers::pi * part));
    }
  }
  return s.learning_rate;
}

kernels::OptimizerUpdate update_of(const OptimizerSettings& s, std::int64_t step,
                                   std::int64_t steps) {
  return {.kind = s.kind,
          .learning_rate = learning_rate(s, step, steps),
          .weight_decay = s.weight_decay,
          .momentum = s.momentum,
          .nesterov = s.nesterov,
          .beta1 = s.beta1,
          .beta2 = s.beta2,
          .epsilon = s.epsilon,
          .step = step,
          .gradient_scale = 1};
}

core::LowerOptions lower_options(const OptimizerSettings& s) {
  core::LowerOptions options =
      core::lower_options(s.kind, s.momentum, s.weight_decay, s.table_kind);
  options.clip_gradient_norm = s.clip_gradient_norm > 0;
  return options;
}

std::optional<kernels::OptimizerUpdate> table_update_of(const OptimizerSettings& s,
                                                        std::int64_t step, std::int64_t steps) {
  if (s.table_kind == core::TableOptimizer::kSame && s.table_learning_rate == 0)
    return std::nullopt;
  kernels::OptimizerUpdate update = update_of(s, step, steps);
  if (s.table_kind != core::TableOptimizer::kSame) {
    update.kind = core::kind_of(s.table_kind, s.kind);
    update.momentum = update.weight_decay = 0;
    update.nesterov = false;
  }
  if (s.table_learning_rate > 0) update.learning_rate *= s.table_learning_rate / s.learning_rate;
  return update;
}

double usual_learning_rate(core::OptimizerKind kind) {
  switch (kind) {
    case core::OptimizerKind::kSgd:
      return 0.05;
    case core::OptimizerKind::kAdamW:
      return 1e-3;
    case core::OptimizerKind::kAdagrad:
      return 1e-2;
  }
  return 0.05;
}

}  // namespace soapstone::runtime
