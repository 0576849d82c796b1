// The arguments that say how weights are updated.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "core/optimizer.hpp"
#include "core/result.hpp"
#ifdef SOAPSTONE_HAS_KERNELS
#include "runtime/optimizer.hpp"
#endif

namespace soapstone::cli {

// For predictions: what the optimizer keeps costs memory and time. sgd counts with momentum.
struct OptimizerChoice {
  core::OptimizerKind kind = core::OptimizerKind::kSgd;
  int states() const { return core::optimizer_states(kind, 0.9); }
};
void declare_optimizer(CLI::App& app, OptimizerChoice& choice);

#ifdef SOAPSTONE_HAS_KERNELS
struct OptimizerArguments {
  runtime::OptimizerSettings settings;
  double learning_rate = 0;  // 0: the optimizer's usual one
};
void declare_optimizer(CLI::App& app, OptimizerArguments& arguments);
core::Result<runtime::OptimizerSettings> settings_of(const OptimizerArguments& arguments);
#endif

}  // namespace soapstone::cli
