// Training on one device straight from the graph, without strategy, layouts or plan: what every
// plan must agree with.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/graph.hpp"
#include "tests/support/interpreter/training_data.hpp"

namespace soapstone::interpreter {

// w -= learning_rate v with v = momentum v + clipped gradient; without states v is the gradient.
// Tables (core::table_of) may have adagrad: s += g², w -= learning_rate g / (√|s| + 1e-3), where a
// state that starts below zero does no harm.
struct Sgd {
  double learning_rate = 0.1;
  double momentum = 0.9;
  double clip_norm = 0;  // used where the plan computes the norm

  bool tables_have_adagrad = false;  // where they have a state

  double clip_factor(double squared_norm) const;
  // One element.
  enum class Of { kWeight, kTable };
  void update(double& weight, double gradient, double* state, Of of = Of::kWeight) const;
};

struct UnshardedOptions {
  std::int64_t micro_batches = 1;
  int steps = 1;
  std::uint32_t optimizer_states = 1;
  std::optional<std::uint32_t> table_states = std::nullopt;  // nothing: as all weights
  bool clip = false;
  Sgd sgd = {};
  core::StepUse run = core::StepUse::kTraining;  // evaluation: the forward pass alone
};

// One step.
struct UnshardedStep {
  double loss = 0;
  double correct = 0;
  double squared_norm = 0;                  // of the gradients, before clipping
  std::map<std::string, Values> gradients;  // of weights that need one, summed over micro-batches
  std::map<std::string, Values> weights;    // after the update
  std::map<std::string, Values> states;     // after the update; empty without optimizer states
};

std::vector<UnshardedStep> run_unsharded(const core::Graph& graph, const TrainingData& data,
                                         const UnshardedOptions& options);

}  // namespace soapstone::interpreter
