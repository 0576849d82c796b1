// The arguments that say how weights are updated.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "core/lower.hpp"
#include "core/optimizer.hpp"
#include "core/result.hpp"
#ifdef SOAPSTONE_HAS_KERNELS
#include "runtime/optimizer.hpp"
#endif

namespace soapstone::cli {

// For predictions: what the optimizer keeps and which rows of tables it updates cost memory and
// time. As `train` is asked, so that both have the same plan.
struct OptimizerChoice {
  core::OptimizerKind kind = core::OptimizerKind::kSgd;
  double momentum = 0.9;
  double weight_decay = 0;
  core::TableOptimizer tables = core::TableOptimizer::kSame;
  bool clip = false;  // whether gradients are clipped by their global norm

  core::LowerOptions lower_options() const {
    core::LowerOptions options = core::lower_options(kind, momentum, weight_decay, tables);
    options.clip_gradient_norm = clip;
    return options;
  }
};
void declare_optimizer(CLI::App& app, OptimizerChoice& choice);

#ifdef SOAPSTONE_HAS_KERNELS
struct OptimizerArguments {
  runtime::OptimizerSettings settings;
  double learning_rate = 0;        // 0: the optimizer's usual one
  double table_learning_rate = 0;  // 0: learning_rate, or the usual one of another kind
};
void declare_optimizer(CLI::App& app, OptimizerArguments& arguments);
core::Result<runtime::OptimizerSettings> settings_of(const OptimizerArguments& arguments);
#endif

}  // namespace soapstone::cli
