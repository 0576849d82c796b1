// How long a step would take if something were otherwise: it is simulated again.
//
// A change as text:
//   op:NAME*K        the operator's computing is K times as fast (updates of its weights stay);
//                    NAME may end in `*`, which stands for any letters: op:fc**2, op:*=free
//   task:NAME*K      tasks of that name, as traces tell it, take 1/K of their time: task:fc1
//   forward*2;
//                    #M after the name: in micro-batch M alone, @D: on device D alone. No transfers
//   device:WHICH*K   a device computes, updates and copies between memories K times as fast;
//                    WHICH: its number, its name (node1.device3), a node (node1) or a kind (p100)
//   link:WHICH*K     K times the bandwidth; WHICH: a kind (nvlink, pcie, shared-memory, network),
//                    a link's whole name ("node0 network out"), a node, a device, or all.
//                    ethernet and infiniband are the network
//   latency:WHICH*K  K times the latency
//   …=free           instead of *K: it takes no time
//   add:node         one node more, like the last one
//   add:device       one device more in the last node
// K is a number above 0. What is added works in data parallelism: more parts of the samples of the
// same batch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cluster.hpp"
#include "core/cost_model.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/plan.hpp"
#include "core/reflect.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"

namespace soapstone::simulator {

enum class ChangeKind : std::uint8_t { kOperator, kTask, kDevice, kLink, kLatency, kAdd };
SOAPSTONE_ENUM_NAMES(ChangeKind, {ChangeKind::kOperator, "op"}, {ChangeKind::kTask, "task"},
                     {ChangeKind::kDevice, "device"}, {ChangeKind::kLink, "link"},
                     {ChangeKind::kLatency, "latency"}, {ChangeKind::kAdd, "add"})

struct Change {
  ChangeKind kind = ChangeKind::kOperator;
  std::string name;  // of what is changed; add: node or device
  bool free = false;
  double factor = 1;  // unless it is free

  friend bool operator==(const Change&, const Change&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("name", self.name);
    visit("free", self.free);
    visit("factor", self.factor);
  }
};

core::Result<Change> parse_change(std::string_view text);
// Comes back from parse_change equal.
std::string to_text(const Change& change);
// In words: "links `network` with 2 times the bandwidth".
std::string words(const Change& change);

// What a change of tasks names: "fc1 forward#2@3".
struct TaskName {
  std::string label;
  std::optional<std::uint16_t> micro_batch;
  std::optional<core::DeviceId> device;

  std::string text() const;
  friend bool operator==(const TaskName&, const TaskName&) = default;
};
TaskName parse_task_name(std::string_view text);

// Errors if a change names no operator, device or link that there is. Which tasks there are, only a
// plan tells.
core::Status check(const Change& change, const core::Graph& graph, const core::Cluster& cluster);

// The time of a task that is no transfer, of its cost.
using Retime =
    std::function<core::Nanoseconds(core::DeviceId, const core::Task&, core::Nanoseconds)>;
// With the changes of tasks, operators and devices, which it checks; the others it leaves to
// ChangedCosts. Empty: there are none. All that is given outlives it.
core::Result<Retime> retimed(const core::Graph& graph, const core::Plan& plan,
                             const core::Cluster& cluster, std::span<const Change> changes);
// The bandwidth of every link, times what it was; infinite: free.
std::vector<double> bandwidth_factors(const core::Cluster& cluster,
                                      std::span<const Change> changes);

// Costs of a cluster some of whose links are otherwise. Both outlive this object, which has checked
// changes.
class ChangedCosts final : public core::CostModel {
 public:
  ChangedCosts(const core::CostModel& costs, const core::Cluster& cluster,
               std::span<const Change> changes);

  core::Cost compute(const core::LocalProblem& problem, int step, std::string_view candidate,
                     const core::DeviceKind& device) const override;
  core::Cost copy(core::Bytes read, core::Bytes written,
                  const core::DeviceKind& device) const override;
  core::Cost update(std::int64_t elements, int state_tensors, core::DType dtype,
                    const core::DeviceKind& device) const override;
  core::Cost update_rows(std::int64_t rows, std::int64_t features, int state_tensors,
                         core::DType dtype, const core::DeviceKind& device) const override;
  // What a message of no bytes takes is its latency; the rest goes by the narrowest link.
  core::Cost message(const core::Cluster& cluster, core::DeviceId src, core::DeviceId dst,
                     core::Bytes size, int sharing) const override;

 private:
  const core::CostModel& costs_;
  std::vector<double> time_per_byte_, latency_;  // per link, times what it was; 0: free
};

// A plan of the cluster simulated with changes that add nothing.
core::Result<core::Trace> simulate_changed(const core::Graph& graph, const core::Plan& plan,
                                           const core::Cluster& cluster,
                                           const core::CostModel& costs,
                                           std::span<const Change> changes);

// The cluster with one node or device more; devices keep their numbers, new ones come last. It
// keeps its name, by which its links' measurements are known.
core::Result<core::Cluster> with_more(const core::Cluster& cluster, const Change& change);
// The strategy with the samples cut into more parts, so that the new devices do what the others do.
// Refuses, with the reason, where that is not possible.
core::Result<core::Strategy> scaled(const core::Graph& graph, const core::Strategy& strategy,
                                    const core::Cluster& cluster, const core::Cluster& larger);

struct Scenario {
  // All outlive it.
  const core::Graph& graph;
  const core::Strategy& strategy;
  const core::Cluster& cluster;
  const core::CostModel& costs;
  const core::KernelCatalog& catalog;
  core::LowerOptions options{};
};
struct Outcome {
  core::Cluster cluster;
  core::Strategy strategy;
  core::Plan plan;
  core::Trace trace;
};
// All changes at once.
core::Result<Outcome> what_if(const Scenario& scenario, std::span<const Change> changes);

}  // namespace soapstone::simulator
