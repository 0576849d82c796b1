// From the times of many steps to one measured trace.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/trace.hpp"
#include "runtime/plan_run.hpp"

namespace soapstone::runtime {

// Keeps the times of the last steps of a run.
class TraceRecorder {
 public:
  // Every process makes one and adds the same steps. All outlive this object.
  TraceRecorder(Communicator& communicator, const core::Graph& graph, const PlanRun& run,
                std::uint32_t most_steps);

  void add_step();
  std::uint32_t steps() const { return std::min(added_, most_); }

  // Called by every process; the trace is made on process 0, elsewhere it is empty. Each task's
  // start and end are medians over the steps, from the start of the first rank; where computing
  // tasks of a device would overlap, they are cut. What a device waits is the time until the last
  // member of a transfer has begun it. `step_time`: how long a step took as a whole.
  core::Trace trace(core::Nanoseconds step_time) const;

 private:
  Communicator& communicator_;
  const core::Graph& graph_;
  const PlanRun& run_;
  std::uint32_t most_, added_ = 0;
  std::vector<std::int64_t> offsets_;             // per executor
  std::vector<std::vector<std::int64_t>> times_;  // per executor: [step % most][task][start, end]
};

}  // namespace soapstone::runtime
