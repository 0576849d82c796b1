// From a plan to a predicted trace.
//
// One pass in the plan's total order. A device computes in the order of its
// tasks, each as soon as the one before and the tasks it depends on are done.
// What moves data begins as soon as the tasks it depends on are done.
//
// A transfer expands to the messages of its schedule. Every member keeps its
// own clock: it packs, takes its part in the rounds, and unpacks. A message
// starts when both ends have reached its round and takes what the cost model
// says for the number of flows of the same round that share its bottleneck.
// Box copies are one message per pair of devices, all in one round. A sum is
// added after it arrived. The part of a span before the last member has begun
// is its `waiting`.
//
// Ports: for its time a message occupies the sender's way out, the receiver's
// way in, and what several devices share on the way (a node's adapter, a bus),
// which carries as many messages at a time as it has bandwidth for. It takes
// the first gap on all of them that is long enough, be it before messages of
// tasks that come earlier in the order. Flows of one round share (above) and do
// not queue for each other. A port forgets its oldest gaps.
//
// Who moves: a device with 2 lanes has an engine that packs, adds and unpacks
// as part of the transfer's time. With 1 lane the processor does, and what it
// does is time in which it does not compute: it packs when the transfer begins;
// the rest, which is the sums, unpacking, and a copy of every message that it
// sends or receives (no longer than the message itself), is a debt. The debt is
// paid before the first computing task that depends on the transfer: from the
// end of the task before, also while waiting for the transfer, or earlier where
// the device waits for something else. A transfer that depends on another one
// takes over its debt; what nothing depends on is paid at the end.
#pragma once

#include <functional>
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
  // Says whose trace it is (set_plan). Else the caller does, who may place the plan's buffers
  // meanwhile: nothing else of a trace depends on where they lie.
  bool of_plan = true;
  // Gives every task that is no transfer the time that this makes of its cost; empty: the cost.
  std::function<core::Nanoseconds(core::DeviceId, const core::Task&, core::Nanoseconds)> retime{};
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

// Bytes alive in a device's own memory, at most, when tasks run one after the
// other in the order of the plan. That is one of the ways in which the plan may
// run, so no arena can be smaller.
core::Bytes live_peak_in_order(const core::DeviceClass& program);

// What a device of the class must allocate: its arena if its buffers are placed,
// else what placing them gives. Where all buffers together are not more than
// `enough`, their sum.
core::Bytes memory_needed(const core::DeviceClass& program, core::Bytes enough = core::Bytes(0));

}  // namespace soapstone::simulator
