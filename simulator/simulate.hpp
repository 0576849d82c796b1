// From a plan to a predicted trace.
//
// One pass in the plan's total order, as the runtime runs it. A device has a
// lane for computing and, where its kind says so, one for communication; a lane
// runs its tasks in the order of the plan, each as soon as the lane is free and
// the tasks it depends on are done.
//
// A transfer expands to the messages of its schedule. Every member keeps its
// own clock: it packs, takes its part in the rounds, and unpacks. A message
// starts when both ends have reached its round and takes what the cost model
// says for the number of flows of the same round that share its bottleneck.
// Box copies are one message per pair of devices, all in one round. A sum is
// added after it arrived. The part of a span in which a member waits for
// others is its `waiting`.
#pragma once

#include <memory>
#include <optional>

#include "core/cluster.hpp"
#include "core/cost_model.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/trace.hpp"

namespace soapstone::simulator {

inline constexpr core::Nanoseconds kNever{INT64_MAX / 4};

struct SimulateOptions {
  bool memory = true;  // bytes alive over time
};

// Simulates plans of one graph on one cluster. Costs and expanded transfers are
// kept, so that a second plan with the same parts costs little. Not for several
// threads at once.
class Simulator {
 public:
  // All three outlive this object.
  Simulator(const core::Graph& graph, const core::Cluster& cluster, const core::CostModel& costs);
  ~Simulator();
  Simulator(Simulator&&) noexcept;

  // Refuses a plan of another graph or of a cluster of another size.
  core::Result<core::Trace> trace(const core::Plan& plan, const SimulateOptions& options = {});

  // The end of the last task; nothing as soon as it is certain that this is
  // later than `give_up_above`. The plan must be one that `trace` accepts.
  std::optional<core::Nanoseconds> step_time(const core::Plan& plan,
                                             core::Nanoseconds give_up_above = kNever);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

core::Result<core::Trace> simulate(const core::Graph& graph, const core::Plan& plan,
                                   const core::Cluster& cluster, const core::CostModel& costs,
                                   const SimulateOptions& options = {});

// Bytes alive on a device, at most, when tasks run one after the other in the
// order of the plan: no arena can be smaller, whatever the lanes do.
core::Bytes live_peak_in_order(const core::DeviceClass& program);

// What a device of the class must allocate: its arena if its buffers are placed,
// else what placing them gives. Where all buffers together are not more than
// `enough`, their sum.
core::Bytes memory_needed(const core::DeviceClass& program, core::Bytes enough = core::Bytes(0));

}  // namespace soapstone::simulator
