// Executes a core::Plan of any number of devices in one process, in double precision and as the
// format says it, with everything checked that a kernel or a network would not notice: reads of
// what was never written, bytes of the arena that another buffer has taken since, boxes that do not
// fit. Depends on core and the operators' references only. What is wrong with the plan throws
// core::InvariantError naming device and task.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "tests/support/interpreter/training_data.hpp"
#include "tests/support/interpreter/unsharded.hpp"

namespace soapstone::interpreter {

enum class Turns {
  kTotalOrder,
  kAnyOrder,  // any interleaving that dependencies and the order of computing allow
};

struct RunOptions {
  int steps = 1;
  Sgd sgd = {};
  Turns turns = Turns::kTotalOrder;
  std::uint64_t turns_seed = 1;
  // Transfers at this place of the total order move nothing: a member keeps what it has of what it
  // wants, and zeros.
  std::optional<std::uint32_t> removed_order = std::nullopt;
};

// What one device has of a tensor.
struct Piece {
  core::DeviceId device;
  core::Box box;
  Values values;
};
using Pieces = std::map<std::string, std::vector<Piece>>;  // by tensor name

struct PlanStep {
  double loss = 0;
  double correct = 0;
  std::vector<double> squared_norms;  // one per update that reads it
  Pieces gradients;                   // as the optimizer reads them
  Pieces weights;                     // after the update
  Pieces states;                      // likewise, the first state
};

std::vector<PlanStep> run_plan(const core::Graph& graph, const core::Plan& plan,
                               const TrainingData& data, const RunOptions& options = {});

// Errors that no single run shows: two tasks of a device that touch the same buffer, or two buffers
// that share bytes, without one happening before the other by dependencies or by the order in which
// the device computes; a part of a buffer that lies elsewhere.
core::Status check_memory(const core::Plan& plan);

// The worst relative difference, per tensor max|a - b| ÷ max(max|b|, 1e-3 × the largest |b| of its
// kind), and where it is: a gradient that is zero but for rounding, as that of a bias before
// batch_norm, has no size of its own. An element that no device has counts as infinity.
struct Difference {
  double worst = 0;
  std::string where;
};
Difference compare(const core::Graph& graph, const std::vector<PlanStep>& plan,
                   const std::vector<UnshardedStep>& expected);

}  // namespace soapstone::interpreter
