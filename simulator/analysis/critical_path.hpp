// The chain of spans that a step's time is made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/reflect.hpp"
#include "simulator/analysis/communication.hpp"
#include "simulator/analysis/step_graph.hpp"

namespace soapstone::simulator {

// What a nanosecond of a step is spent on.
enum class TimeKind : std::uint8_t {
  kForward,
  kBackwardInput,   // gradients of inputs
  kBackwardWeight,  // gradients of weights
  kRecompute,
  kUpdate,         // optimizer, norms
  kCommunication,  // a transfer, or the processor that copies for one
  kStraggler,      // waiting for a device that computes the same and is later
  kBubble,         // waiting for what other devices compute and this one does not
  kHost,           // between tasks, for no reason that the trace shows
  kEnds,           // before the first task, and what the step takes beyond the last one
};
SOAPSTONE_ENUM_NAMES(TimeKind, {TimeKind::kForward, "forward"},
                     {TimeKind::kBackwardInput, "backward-input"},
                     {TimeKind::kBackwardWeight, "backward-weight"},
                     {TimeKind::kRecompute, "recompute"}, {TimeKind::kUpdate, "update"},
                     {TimeKind::kCommunication, "communication"},
                     {TimeKind::kStraggler, "straggler"}, {TimeKind::kBubble, "bubble"},
                     {TimeKind::kHost, "host"}, {TimeKind::kEnds, "start and end"})

// The kind of a span's own time.
TimeKind time_kind(core::TaskKind kind, core::Phase phase);

struct PathSegment {
  core::Nanoseconds start, end;
  TimeKind kind = TimeKind::kForward;
  // Whose time it is; of a gap the transfer that the processor copies for, else what waits through
  // it; none: after all.
  std::uint32_t span = core::kNoIndex;
  std::uint32_t group = core::kNoIndex;  // of the communication
  bool is_gap = false;

  core::Nanoseconds length() const { return end - start; }
  friend bool operator==(const PathSegment&, const PathSegment&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("start", self.start);
    visit("end", self.end);
    visit("kind", self.kind);
    visit("span", self.span);
    visit("group", self.group);
    visit("is_gap", self.is_gap);
  }
};

// A part of the path: of one kind, one group or one operator.
struct PathShare {
  std::string name;
  core::Nanoseconds time;
  std::vector<std::uint32_t> spans;  // in the order of time; one may come again

  friend bool operator==(const PathShare&, const PathShare&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("time_ns", self.time);
    visit("spans", self.spans);
  }
};

// Segments follow each other from 0 to the step's time. Where a measured step is shorter than the
// medians of its tasks say, the last one leads back: its length is negative.
struct CriticalPath {
  core::Nanoseconds step_time;  // the sum of the segments, and of either list of shares
  std::vector<PathSegment> segments;
  std::vector<PathShare> kinds;      // communication by group; the longest first
  std::vector<PathShare> operators;  // likewise; transfers under way at once share (sharing.hpp)

  friend bool operator==(const CriticalPath&, const CriticalPath&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("step_time_ns", self.step_time);
    visit("segments", self.segments);
    visit("kinds", self.kinds);
    visit("operators", self.operators);
  }
};

// Of several chains with the same length, the one that stays on a device's own lane.
CriticalPath critical_path(const core::Trace& trace, const StepGraph& graph,
                           const Communication& communication);

// Two short tables for people; at most `rows` rows each.
std::string text(const CriticalPath& path, std::size_t rows = 8);

}  // namespace soapstone::simulator
