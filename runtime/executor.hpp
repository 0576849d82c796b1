// Executes a plan on one device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/plan.hpp"
#include "kernels/kernel.hpp"
#include "kernels/optimizer.hpp"
#include "runtime/arena.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/transfer.hpp"

namespace soapstone::runtime {

// A part of a source that the program reads. Its box is in the index space of the micro-batch.
struct Load {
  std::uint32_t tensor = 0;
  std::uint32_t micro_batch = 0;
  core::Box box;
  core::Bytes size;
};

// One trained tensor's part on this device.
struct WeightPart {
  std::uint32_t tensor = 0;
  kernels::Block value;
  std::vector<kernels::Block> states;  // of the optimizer
  bool is_owner = false;  // the lowest device that has this box; the others have copies
};

// What differs from step to step.
struct StepSettings {
  std::uint64_t step = 0;                    // keys random numbers
  kernels::OptimizerUpdate update;           // its gradient_scale is multiplied by the clipping
  double clip_norm = 0;                      // plans with norms only; 0: gradients stay as they are
  std::span<const std::byte* const> loaded;  // one per load, in the order of Executor::loads()
};

struct TaskTime {
  std::int64_t start = 0, end = 0;  // steady_clock, nanoseconds
};

struct ExecutorOptions {
  std::uint64_t seed = 0;
  // Read that executor's weights, which has the same boxes, instead of making own ones; it outlives
  // this one.
  const class Executor* weights_of = nullptr;
  // Transfers (by their order in the plan) whose messages are left out, for tests that must notice.
  std::vector<std::uint32_t> dropped_transfers;
};

class Executor final : public Program {
 public:
  // Prepares everything; a step allocates nothing itself. `graph` is that of the whole mini-batch.
  // The device's rank has the device's number.
  Executor(const core::Graph& graph, const core::Plan& plan, core::DeviceId device,
           Endpoint& endpoint, ExecutorOptions options);
  ~Executor() override;

  std::span<const Load> loads() const;
  std::span<const WeightPart> weights() const;

  void begin_step(const StepSettings& settings);
  Progress advance() override;
  std::string waits_for() const override;

  // Of the last step: what this device adds to the loss and to the number of right answers.
  double loss() const;
  double correct() const;
  // The global norm of the gradients before clipping, where the plan computes it.
  std::optional<double> gradient_norm() const;
  // When each task of the program ran.
  std::span<const TaskTime> times() const;
  const core::DeviceClass* program() const;  // null: the plan has nothing for this device
  core::Bytes arena() const;

  // Called before every task that updates a weight, with its weight and gradient.
  using UpdateObserver = std::function<void(std::uint32_t tensor, const kernels::Block& weight,
                                            const kernels::Block& gradient)>;
  void observe_updates(UpdateObserver observer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Refuses where the processes' plans differ; the error names the ranks that disagree with rank 0.
core::Status compare_plans(Communicator& communicator, const core::Plan& plan);

}  // namespace soapstone::runtime
