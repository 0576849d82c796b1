// Executes a plan on one device: computes in the order of the tasks, and between two computing
// tasks starts what moves data as soon as what it depends on is done, and takes what is under way
// further.
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
#include "runtime/non_finite.hpp"
#include "runtime/transfer.hpp"

namespace soapstone::runtime {

// A part of a source that the program reads. Its box is in the index space of the micro-batch, in
// which dimensions may stand in zig-zag order (SourceSpec::zigzag).
struct Load {
  std::uint32_t tensor = 0;
  std::uint32_t micro_batch = 0;
  core::Box box;
  core::Bytes size;
  std::vector<std::int64_t> zigzag = {};
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
  std::optional<kernels::OptimizerUpdate> table_update = std::nullopt;  // of tables; none: as all
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
  // How many ranks execute the plan's steps, those without a program included; 0: one per device.
  int ranks = 0;
  // Where given, computing tasks compute nothing and take so long instead, by their index in the
  // device's program. Messages, order and memory stay as they are; the loss, what is reported and
  // the norm of gradients are 0.
  std::vector<core::Nanoseconds> pace = {};
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

  // A search looks at everything that the step makes and leaves the weights alone; it ends where
  // they would be updated.
  enum class Purpose : std::uint8_t { kStep, kSearch };
  void begin_step(const StepSettings& settings, Purpose purpose = Purpose::kStep);
  Progress advance() override;
  std::string waits_for() const override;

  // Of the last step: what this device adds to the loss and, to `sums`, to a tensor that the graph
  // reports.
  double loss() const;
  void add_reported(core::TensorId tensor, std::span<double> sums) const;
  // Training: whether the last step's loss was no number on any rank. No rank has then updated its
  // weights.
  bool has_stopped() const;
  // What the last search found here.
  const NonFiniteTrail& non_finite() const;
  // The global norm of the gradients before clipping, where the plan computes it.
  std::optional<double> gradient_norm() const;
  // When each task of the program ran.
  std::span<const TaskTime> times() const;
  const core::DeviceClass* program() const;  // null: the plan has nothing for this device
  core::Bytes memory() const;                // allocated, in the host's memory too

  // Called before every task that updates a weight, with its weight and gradient; one that comes as
  // rows is given in full.
  using UpdateObserver = std::function<void(std::uint32_t tensor, const kernels::Block& weight,
                                            const kernels::Block& gradient)>;
  void observe_updates(UpdateObserver observer);

  // Called before every kernel of operator `op` with each tensor that it reads, in the index space
  // of the micro-batch.
  using ReadObserver = std::function<void(std::uint32_t tensor, std::uint32_t micro_batch,
                                          const kernels::Block& value)>;
  void observe_reads(core::OpId op, ReadObserver observer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Refuses where the processes' plans differ; the error names the ranks that disagree with rank 0.
core::Status compare_plans(Communicator& communicator, const core::Plan& plan);

}  // namespace soapstone::runtime
