// Plans written by hand, task by task, for schedules that lower() does not make.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "core/plan.hpp"

namespace soapstone::interpreter {

// One class per device; dependencies follow from the uses of buffers.
class PlanWriter {
 public:
  PlanWriter(const core::Graph& graph, std::uint32_t devices, std::uint32_t optimizer_states);

  using Device = std::uint32_t;
  using BufferId = std::uint32_t;
  // kNoIndex where the box is empty.
  BufferId buffer(Device device, core::BufferKind kind, core::TensorId tensor,
                  const core::Box& box);

  void load(Device device, core::TensorId tensor, BufferId into);
  // One step on one device: buffers of the step's reads, then of its writes.
  void compute(Device device, core::OpId op, std::string_view step,
               std::vector<core::Interval> axes, std::vector<BufferId> buffers);
  // Member k is device k; `order` and staging follow from the tensor and the transfer.
  void transfer(core::Transfer transfer, core::TensorId tensor, core::Phase phase,
                std::vector<BufferId> held, std::vector<BufferId> wanted);
  // Weight, gradient, states.
  void update(Device device, core::TensorId tensor, std::vector<BufferId> buffers);
  // Tasks from here on come later in the total order than those before.
  void next() { ++order_; }

  // Places the buffers.
  core::Plan take();

 private:
  core::Task& add(Device device, core::TaskKind kind, core::Phase phase,
                  std::vector<core::BufferUse> uses);

  const core::Graph& graph_;
  core::Plan plan_;
  std::uint32_t order_ = 0;
};

// Dependencies that follow from the order of the tasks and what they use.
void depend_by_uses(core::DeviceClass& program);

// The same tasks in another order: by `key`, then as they were. All parts of a transfer must have
// one key.
core::Plan reordered(const core::Plan& plan,
                     const std::function<int(const core::Task&, core::DeviceId)>& key);

}  // namespace soapstone::interpreter
