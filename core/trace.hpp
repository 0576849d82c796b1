// What happened, or was predicted to happen, when.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cost_model.hpp"
#include "core/plan.hpp"
#include "core/quantity.hpp"

namespace soapstone::core {

enum class TraceOrigin : std::uint8_t { kPredicted, kMeasured };
SOAPSTONE_ENUM_NAMES(TraceOrigin, {TraceOrigin::kPredicted, "predicted"},
                     {TraceOrigin::kMeasured, "measured"})

enum class LaneKind : std::uint8_t { kCompute, kCommunication };
SOAPSTONE_ENUM_NAMES(LaneKind, {LaneKind::kCompute, "compute"},
                     {LaneKind::kCommunication, "communication"})

// What stands in a lane happens one after the other. A device has one lane in which it computes,
// and as many for communication as it moves data at once.
struct Lane {
  DeviceId device;
  LaneKind kind = LaneKind::kCompute;

  friend auto operator<=>(const Lane&, const Lane&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device);
    visit("kind", self.kind);
  }
};

// Spans lie in columns: span i is (lane[i], start[i], …), sorted by lane, then
// start. Times are from the start of the step.
struct Spans {
  std::vector<std::uint32_t> lane;  // index into Trace::lanes
  std::vector<Nanoseconds> start;
  std::vector<Nanoseconds> end;
  std::vector<Nanoseconds> waiting;  // part of the span spent waiting for other devices
  std::vector<std::uint32_t> task;   // index into the program of the lane's device
  std::vector<TaskKind> kind;
  std::vector<Phase> phase;
  std::vector<std::uint32_t> label;  // index into Trace::labels
  std::vector<Bytes> bytes;          // read and written, or sent
  std::vector<Flops> flops;
  std::vector<CostSource> source;  // predicted traces: where the time comes from

  std::size_t size() const { return lane.size(); }
  friend bool operator==(const Spans&, const Spans&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("lane", self.lane);
    visit("start", self.start);
    visit("end", self.end);
    visit("waiting", self.waiting);
    visit("task", self.task);
    visit("kind", self.kind);
    visit("phase", self.phase);
    visit("label", self.label);
    visit("bytes", self.bytes);
    visit("flops", self.flops);
    visit("source", self.source);
  }
};

// Bytes alive on a device over time: value[i] from time[i] on.
struct MemoryCounter {
  DeviceId device;
  std::vector<Nanoseconds> time;
  std::vector<Bytes> value;
  Bytes live_peak;  // largest value
  Bytes arena;      // what the device allocates

  friend bool operator==(const MemoryCounter&, const MemoryCounter&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device);
    visit("time", self.time);
    visit("value", self.value);
    visit("live_peak", self.live_peak);
    visit("arena", self.arena);
  }
};

struct Trace {
  static constexpr std::string_view kFormat = "soapstone.trace";
  static constexpr int kVersion = 1;
  TraceOrigin origin = TraceOrigin::kPredicted;
  std::string graph;
  std::uint64_t plan_hash = 0;
  std::uint64_t graph_hash = 0, strategy_hash = 0;  // of the plan; 0: not known
  Nanoseconds step_time;    // predicted: end of the last span; measured: median of the steps
  std::uint32_t steps = 1;  // measured: how many steps the spans are medians of
  std::vector<std::string> labels;
  std::vector<Lane> lanes;
  Spans spans;
  std::vector<MemoryCounter> memory;

  friend bool operator==(const Trace&, const Trace&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("origin", self.origin);
    visit("graph", self.graph);
    visit("plan_hash", self.plan_hash);
    visit("graph_hash", self.graph_hash, kOptional);
    visit("strategy_hash", self.strategy_hash, kOptional);
    visit("step_time", self.step_time);
    visit("steps", self.steps);
    visit("labels", self.labels);
    visit("lanes", self.lanes);
    visit("spans", self.spans);
    visit("memory", self.memory);
  }
};

// Says whose trace it is, and what its devices allocate. `hash`: of the plan.
void set_plan(Trace& trace, const Plan& plan);
void set_plan(Trace& trace, const Plan& plan, std::uint64_t hash);

// In what the plans of two traces differ: "different strategies (strategy 12… and 34…)". Empty
// where they are one plan.
std::string plan_difference(const Trace& a, const Trace& b);

// Sorts the spans by lane, then start, then task.
void sort_spans(Trace& trace);

// For traces in the making, in which a device has its compute lane alone and everything stands in
// it: gives each device communication lanes behind it, and each span that moves data (runs_beside)
// the first of them that is free when it starts. Sorts the spans.
void add_communication_lanes(Trace& trace);

// Bytes alive in the device's own memory when task i of the program runs from start[i] to end[i]:
// each buffer from its first use to its last, the parts of a buffer as that buffer. What the device
// allocates is left to set_plan.
MemoryCounter memory_counter(const DeviceClass& program, DeviceId device,
                             std::span<const Nanoseconds> start, std::span<const Nanoseconds> end);

// Errors if spans of a lane overlap, columns differ in length or an index is out of range.
Status check(const Trace& trace);

}  // namespace soapstone::core
