// A plan on all ranks of this process.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/comm/communicator.hpp"
#include "runtime/executor.hpp"
#include "runtime/non_finite.hpp"

namespace soapstone::runtime {

// Whole tensors by graph index, row-major; what checkpoints and comparisons are made of.
struct WholeTensor {
  std::uint32_t tensor = 0;
  core::TensorDesc desc;  // row-major
  std::vector<std::byte> value;
  std::vector<std::vector<std::byte>> states;  // of the optimizer
};

// A part of a tensor on this process.
struct TensorPart {
  std::uint32_t tensor = 0;
  kernels::Block value;
  std::vector<kernels::Block> states;
};

// On process 0: tensors put together from the parts of all processes, which together cover each of
// them once. Elsewhere empty. Ascending by tensor.
std::vector<WholeTensor> gather_parts(Communicator& communicator, const core::Graph& graph,
                                      std::span<const TensorPart> parts);

using TaskTimes = std::vector<std::vector<core::Nanoseconds>>;  // by device and task

struct PlanRunOptions {
  std::uint64_t seed = 0;
  const class PlanRun* weights_of = nullptr;  // share that run's weights; it outlives this one
  std::vector<std::uint32_t> dropped_transfers;
  TaskTimes pace = {};  // ExecutorOptions::pace of every device, or empty
};

class PlanRun {
 public:
  // The communicator has a rank for every device of the plan; more ranks have nothing to do.
  PlanRun(Communicator& communicator, const core::Graph& graph, const core::Plan& plan,
          PlanRunOptions options);

  const core::Plan& plan() const { return plan_; }
  std::span<const std::unique_ptr<Executor>> executors() const { return executors_; }
  // Of all own ranks, one after the other.
  std::vector<Load> loads() const;
  std::int64_t micro_batch_samples() const { return graph_.batch() / plan_.micro_batches; }

  // One step on all ranks; `settings.loaded` has the blocks of all own ranks.
  void step(const StepSettings& settings);

  // What the own ranks add to the loss of the last step, and to another tensor that the graph
  // reports.
  double loss() const;
  void add_reported(core::TensorId tensor, std::span<double> sums) const;
  std::optional<double> gradient_norm() const;
  // Whether the loss of the last step was no number, on any rank; the weights are then as they were
  // before it.
  bool has_stopped() const { return executors_.front()->has_stopped(); }
  // Does the last step again, with the same settings and data, and looks at everything that it
  // makes: the first NaN or infinity, and the first NaN where that is another one, on process 0.
  // Called by every process after a step that has stopped.
  std::vector<NonFinite> find_non_finite(const StepSettings& settings);

  // On process 0: every weight, put together from the ranks that own its parts. Elsewhere empty.
  std::vector<WholeTensor> collect_weights() const;
  // What process 0 has, given to all ranks. All tensors of the graph's weights must be there.
  void distribute_weights(std::span<const WholeTensor> weights);

 private:
  void run(const StepSettings& settings, Executor::Purpose purpose);

  Communicator& communicator_;
  const core::Graph& graph_;
  core::Plan plan_;
  std::vector<std::unique_ptr<Executor>> executors_;
  std::vector<Program*> programs_;
};

}  // namespace soapstone::runtime
