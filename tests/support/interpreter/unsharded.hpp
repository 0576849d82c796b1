// Training on one device straight from the graph, without strategy, layouts or plan: what every
// plan must agree with.
#pragma once

#include <map>
#include <string>

#include "core/graph.hpp"
#include "tests/support/interpreter/training_data.hpp"

namespace soapstone::interpreter {

// w -= learning_rate v with v = momentum v + clipped gradient; without states v is the gradient.
struct Sgd {
  double learning_rate = 0.1;
  double momentum = 0.9;
  double clip_norm = 0;  // used where the plan computes the norm

  double clip_factor(double squared_norm) const;
  // One element.
  void update(double& weight, double gradient, double* state) const;
};

struct UnshardedOptions {
  std::int64_t micro_batches = 1;
  int steps = 1;
  std::uint32_t optimizer_states = 1;
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
