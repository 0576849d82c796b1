// Two traces beside each other: a prediction and a measurement, or any other two of one graph.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/trace.hpp"
#include "simulator/analysis/utilization.hpp"

namespace soapstone::simulator {

// Times of the first trace, which is a prediction as a rule, and of the second, and how far the
// first is off: (predicted - measured) / measured; 0 where both are 0.
struct TimePair {
  core::Nanoseconds predicted;
  core::Nanoseconds measured;
  double relative_error() const;

  friend bool operator==(const TimePair&, const TimePair&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("predicted_ns", self.predicted);
    visit("measured_ns", self.measured);
  }
};

// Spans of one name, added over all devices. `busy` is their time without
// waiting for other devices.
struct DiffRow {
  std::string name;
  std::int64_t predicted_spans = 0;
  std::int64_t measured_spans = 0;
  TimePair busy;
  TimePair waiting;

  friend bool operator==(const DiffRow&, const DiffRow&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("predicted_spans", self.predicted_spans);
    visit("measured_spans", self.measured_spans);
    visit("busy", self.busy);
    visit("waiting", self.waiting);
  }
};

// One task on one device; found in both traces.
struct SpanDiff {
  std::string name;
  core::DeviceId device;
  std::uint32_t task = 0;
  TimePair busy;

  friend bool operator==(const SpanDiff&, const SpanDiff&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("device", self.device);
    visit("task", self.task);
    visit("busy", self.busy);
  }
};

struct TraceDiff {
  std::string graph;
  // What the traces are: the times called predicted and measured are of the first and the second.
  core::TraceOrigin first = core::TraceOrigin::kPredicted;
  core::TraceOrigin second = core::TraceOrigin::kMeasured;
  bool same_plan = true;
  std::string difference;  // of other plans: in what they differ
  TimePair step;
  double step_relative_error = 0;
  Utilization first_use, second_use;  // of the devices' time
  std::vector<DiffRow> kinds;         // by kind of task, in the order of TaskKind
  std::vector<DiffRow> labels;        // by label, the one that is further off first
  std::vector<SpanDiff> worst;        // of the same plan: the tasks that are furthest off
  std::int64_t unmatched = 0;         // of the same plan: tasks in one of the traces only

  friend bool operator==(const TraceDiff&, const TraceDiff&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("first", self.first);
    visit("second", self.second);
    visit("same_plan", self.same_plan);
    visit("difference", self.difference);
    visit("step", self.step);
    visit("step_relative_error", self.step_relative_error);
    visit("first_use", self.first_use);
    visit("second_use", self.second_use);
    visit("kinds", self.kinds);
    visit("labels", self.labels);
    visit("worst", self.worst);
    visit("unmatched", self.unmatched);
  }
};

// Refuses traces of different graphs.
core::Result<TraceDiff> diff(const core::Trace& predicted, const core::Trace& measured,
                             std::size_t worst = 10);

// What people call the two traces and what lies between them: predicted, measured and error where
// they are that; otherwise a difference, and the first and the second where both are the same.
struct DiffWords {
  std::string_view first, second, between;
};
DiffWords words(const TraceDiff& diff);

// Tables for people; at most `rows` labels.
std::string text(const TraceDiff& diff, std::size_t rows = 20);

}  // namespace soapstone::simulator
