// Traces of other frameworks: Chrome's trace events in JSON, as PyTorch's profiler (Kineto), JAX
// and TensorFlow (XLA), and Soapstone itself (reports/chrome_trace.hpp) write them.
//
// Ranks. A file is a rank: the one that its `distributedInfo` names, else the number behind "rank",
// "worker" or an underscore in its name, else its place. A file with several devices, or with
// several processes that compute, is as many ranks.
//
// What a device did. With kernels: kernels, copies and fills on its streams. Without: the operators
// that no other operator called, on the threads of its process, and the collectives of the
// communication backend ("gloo:all_reduce"). Of XLA: the threads "XLA Ops" and "Stream …" of the
// processes "/device:…". Of any other program: a thread's spans, an outer one where there is no
// inner one. Device i of the trace is rank i; there is a lane per stream or thread that computes,
// and one per stream or thread that moves data. Where spans of a lane overlap by at most 1 us (old
// files round to that), the later one begins later; where by more, it gets a lane beside.
//
// Which step. The last one that all ranks have marked and ended ("ProfilerStep#7"), or everything
// if none is. A kernel belongs to the step that launched it. Times are from the first span of the
// step, or from the mark where a thread has it; the step ends with its last span, and lasts as long
// as its mark at least.
//
// Clocks. Where there are several ranks, see clock_offsets.hpp. The n-th all-reduce, all-gather,
// reduce-scatter, all-to-all or barrier of a group and step is the same one on all ranks, if they
// have as many of them. What a rank waited in it for the last to begin is its waiting time.
//
// Operators. With a graph. What the framework calls from its own operators down to the kernels is
// of one operator of the graph:
//   1. by name: the innermost module ("nn.Module: …"), annotation or XLA name around it that has
//      an operator's name in it (detail/operator_names.hpp);
//   2. else by kind and order: the n-th call of a kind in a forward pass is the n-th operator of
//      that kind, if they are as many;
//   3. the backward pass by PyTorch's sequence number of the forward call, and where there is none
//      by kind and order, reversed.
// Everything else is unmapped and keeps the framework's name. A span that is mapped is called as a
// step of the operator, "conv1 forward", as in Soapstone's own traces; the gradients of inputs and
// weights, which PyTorch computes in one call, are told apart where kernels' names do.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "core/trace.hpp"
#include "importers/clock_offsets.hpp"

namespace soapstone::importers {

struct TraceText {
  std::string name;  // stands for the file in errors
  std::string_view text;
};

struct TimeOfName {
  std::string name;
  core::Nanoseconds time;

  friend bool operator==(const TimeOfName&, const TimeOfName&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("time_ns", self.time);
  }
};

struct Mapping {
  std::string graph;
  core::Nanoseconds computing;       // of all devices; communication is of no operator
  core::Nanoseconds mapped;          // of that
  std::vector<TimeOfName> unmapped;  // the longest time first
  double share() const;

  friend bool operator==(const Mapping&, const Mapping&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("computing_ns", self.computing);
    visit("mapped_ns", self.mapped);
    visit("unmapped", self.unmapped);
  }
};

struct ImportedTrace {
  core::Trace trace;
  std::string step;                   // which one of how many, as a sentence
  std::vector<ClockOffset> clocks;    // one per rank; of one rank none
  std::vector<core::DeviceId> ranks;  // whose they are
  bool has_mapping = false;           // a graph was given
  Mapping mapping;
  std::vector<std::string> remarks;  // ranks that are missing, files that end too early, …
};

// Whether a text looks like such a trace, or like a compressed one, near its beginning.
bool is_chrome_trace(std::string_view text);

// Files of one run, in any order. `graph` may be null. Errors name file and line.
core::Result<ImportedTrace> read_chrome_trace(std::span<const TraceText> files,
                                              const core::Graph* graph);

// What a person should know before believing the trace, a sentence each: the step, the clocks (of
// the `most_ranks` that are furthest off), the share that is mapped, the remarks.
std::vector<std::string> notes(const ImportedTrace& imported, std::size_t most_ranks = 16);

}  // namespace soapstone::importers
