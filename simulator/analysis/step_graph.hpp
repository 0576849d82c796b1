// What every span of a step waited for: the graph behind a trace.
//
// Nodes stand in an order in which every predecessor comes earlier. A span of a transfer is two
// nodes: it is begun, and it moves data once the devices that it needs have begun it too; what
// lies between is waiting. Everything else is one node.
//
//   start(v) = max over predecessors u of (start(u) + length(u)) + gap(v)
//
// holds for every node to the nanosecond. A gap is what the graph does not explain: a processor
// that copies, or the host of a measured step. In measured traces, whose times are medians, it may
// be negative.
//
// Predecessors, with a plan: the tasks that a task depends on, the computing task before it on its
// device, and of a transfer that moves data the begins of its members (of plain box copies: of
// those that it exchanges messages with) that are not later than its own end. Members whose
// processor copies for a transfer have that time in the transfer.
// Without a plan: on its own device, the computing task before and what ended last before it
// started; the time for which a transfer waited is its gap.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/plan.hpp"
#include "core/reflect.hpp"
#include "core/result.hpp"
#include "core/trace.hpp"

namespace soapstone::simulator {

enum class NodeKind : std::uint8_t {
  kTask,   // anything but a transfer
  kBegin,  // a device begins a transfer; takes no time
  kGate,   // some of a transfer's devices have begun it; takes no time, has no span
  kMove,   // a transfer on one device, from when it need not wait any more
};
SOAPSTONE_ENUM_NAMES(NodeKind, {NodeKind::kTask, "task"}, {NodeKind::kBegin, "begin"},
                     {NodeKind::kGate, "gate"}, {NodeKind::kMove, "move"})

enum class GapKind : std::uint8_t {
  kNone,
  kStart,    // before the first task of a chain
  kCopying,  // the processor packs, adds or unpacks what it moves
  kHost,     // nothing that the trace shows: the program itself, or the machine
  kOthers,   // without a plan: a transfer waits for other devices
};
SOAPSTONE_ENUM_NAMES(GapKind, {GapKind::kNone, "none"}, {GapKind::kStart, "start"},
                     {GapKind::kCopying, "copying"}, {GapKind::kHost, "host"},
                     {GapKind::kOthers, "others"})

// Columns, one entry per node where nothing else is said.
struct StepGraph {
  std::vector<NodeKind> kind;
  std::vector<std::uint32_t> span;  // kNoIndex: a gate
  std::vector<core::Nanoseconds> start, length, gap;
  std::vector<GapKind> gap_kind;
  std::vector<std::uint32_t> gap_span;  // copying: the transfer's span; else kNoIndex
  // The predecessor that ends last, of several that of its own lane, then the first; or kNoIndex.
  std::vector<std::uint32_t> binding;
  std::vector<std::uint32_t> first_predecessor;  // one entry more than nodes
  std::vector<std::uint32_t> predecessors;
  // Nodes that one change makes longer or shorter together: all moves of one transfer; everything
  // else is a unit of its own. Ascending; the nodes of a unit are neighbours.
  std::vector<std::uint32_t> unit;

  std::vector<std::uint32_t> node_of_span;   // one per span: its task or move
  std::vector<std::uint32_t> begin_of_span;  // one per span: its begin; kNoIndex: no transfer
  std::vector<core::DeviceId> device_of_span;
  std::uint32_t last = core::kNoIndex;  // the node that ends last; kNoIndex: there are no spans
  core::Nanoseconds end;                // when it does
  core::Nanoseconds step_time;          // of the trace
  bool has_plan = false;

  std::size_t size() const { return kind.size(); }
  core::Nanoseconds end_of(std::uint32_t node) const { return start[node] + length[node]; }
  std::span<const std::uint32_t> predecessors_of(std::uint32_t node) const {
    return std::span(predecessors)
        .subspan(first_predecessor[node], first_predecessor[node + 1] - first_predecessor[node]);
  }

  friend bool operator==(const StepGraph&, const StepGraph&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("span", self.span);
    visit("start", self.start);
    visit("length", self.length);
    visit("gap", self.gap);
    visit("gap_kind", self.gap_kind);
    visit("gap_span", self.gap_span);
    visit("binding", self.binding);
    visit("first_predecessor", self.first_predecessor);
    visit("predecessors", self.predecessors);
    visit("unit", self.unit);
    visit("node_of_span", self.node_of_span);
    visit("begin_of_span", self.begin_of_span);
    visit("device_of_span", self.device_of_span);
    visit("last", self.last);
    visit("end", self.end);
    visit("step_time", self.step_time);
    visit("has_plan", self.has_plan);
  }
};

// Refuses a trace that is not of the plan.
core::Result<StepGraph> step_graph(const core::Plan& plan, const core::Trace& trace);
// From what the trace shows alone.
StepGraph step_graph(const core::Trace& trace);

// Spans next to a span, gates left out; each once, ascending. Linear in the graph.
struct SpanLinks {
  std::vector<std::uint32_t> before;       // what it waited for
  std::vector<std::uint32_t> after;        // what waited for it
  std::uint32_t binding = core::kNoIndex;  // of `before`, the one that it waited for longest

  friend bool operator==(const SpanLinks&, const SpanLinks&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("before", self.before);
    visit("after", self.after);
    visit("binding", self.binding);
  }
};
SpanLinks links_of(const StepGraph& graph, std::uint32_t span);

// The chain of binding predecessors behind a moment.
struct ChainPiece {
  core::Nanoseconds start, end;
  std::uint32_t node = core::kNoIndex;  // a piece of this node, or of the gap before it
  bool is_gap = false;
};
// Covers [until, from) without holes, latest first: the node itself as far as it lies before
// `from`, then what it waited for, and so on. Where the chain ends the rest is the first node's
// gap.
std::vector<ChainPiece> chain(const StepGraph& graph, std::uint32_t node, core::Nanoseconds from,
                              core::Nanoseconds until = core::Nanoseconds(0));
// The same for what a node waited for before it started.
std::vector<ChainPiece> chain_before(const StepGraph& graph, std::uint32_t node,
                                     core::Nanoseconds until);

// The end of the step if nodes had other lengths and gaps (one of each per node) and everything
// else stayed: the same order, the same predecessors.
core::Nanoseconds end_with(const StepGraph& graph, std::span<const core::Nanoseconds> lengths,
                           std::span<const core::Nanoseconds> gaps);
// Likewise if the marked spans (one mark per span) took no time, nor the processors that copy for
// them.
core::Nanoseconds end_without(const StepGraph& graph, const std::vector<bool>& spans);

}  // namespace soapstone::simulator
