// Runs an operator part by part in one process: every part computes its steps on its own boxes, and
// between two steps the tensors are put together from what was written and cut again into what is
// read, by nothing but core's layouts. Rounds of a ring follow each other without that.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/derive.hpp"
#include "tests/support/conformance/op_case.hpp"
#include "tests/support/reference/reference.hpp"

namespace soapstone::conformance {

struct PartCall {
  const core::LocalProblem& problem;
  int step = 0;
  std::span<const reference::View> operands;  // reads, then writes (which hold NaN)
  const reference::RandomKey& random;
};
using StepRunner = std::function<void(const PartCall&)>;

inline void run_reference(const PartCall& call) {
  reference::run_step(call.problem, call.step, call.operands, call.random);
}

struct RunOptions {
  bool forward_only = false;
  core::StepUse run = core::StepUse::kTraining;  // evaluation: forward only, of other steps
  // Rounds every tensor to its dtype between two steps, as memory does.
  bool round_between_steps = false;
};

// What the used steps wrote, whole: partial sums added up, overlaps too. Throws
// core::InvariantError where boxes and layouts contradict each other, parts do not tile the tensor,
// or copies differ.
Tensors run_op(const OpProblem& problem, const core::OpStrategy& strategy, const StepRunner& run,
               const RunOptions& options = {});

// How many splits of a case run.
inline constexpr std::size_t kMostSplitsOfLarge = 2;
std::size_t most_splits_of(const OpCase& c, std::size_t most);

core::OpStrategy unsharded(const core::OpDefinition& definition);

// Legal strategies of at most `most_devices` parts, with 1 or 2 replicas, rings included. If there
// are more than `most_splits`, those that split one axis come first, then a selection that is
// always the same.
std::vector<core::OpStrategy> splits_of(const core::OpDefinition& definition, int most_devices,
                                        std::size_t most_splits);

// "n=2 i=2 replicas=2", or "whole".
std::string describe(const core::OpDefinition& definition, const core::OpStrategy& strategy);
std::string describe(const core::LocalProblem& problem);

}  // namespace soapstone::conformance
