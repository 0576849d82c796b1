// What is worth knowing of a step, in sentences, with their numbers and their spans.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/reflect.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "simulator/analysis/analyse.hpp"
#include "simulator/analysis/waterfall.hpp"

namespace soapstone::simulator {

enum class FactKind : std::uint8_t {
  kCommunication,  // a family of transfers that devices wait for
  kBubble,         // stages that wait for each other
  kStraggler,      // a device that is late
  kOperator,       // computing of one operator
  kRecompute,      // what is computed again
  kUpdate,         // the optimizer
  kHost,           // gaps of a measured step
  kMemory,         // of the fullest device
};
SOAPSTONE_ENUM_NAMES(FactKind, {FactKind::kCommunication, "communication"},
                     {FactKind::kBubble, "bubble"}, {FactKind::kStraggler, "straggler"},
                     {FactKind::kOperator, "operator"}, {FactKind::kRecompute, "recompute"},
                     {FactKind::kUpdate, "update"}, {FactKind::kHost, "host"},
                     {FactKind::kMemory, "memory"})

struct Fact {
  FactKind kind = FactKind::kOperator;
  std::string about;  // a family of transfers, an operator, a device, what holds the memory
  std::string text;   // one or two sentences
  // The mean over the devices of the step: of communication and the like, their idle time that it
  // is the cause of; of computing, their own time. And its share of the step.
  core::Nanoseconds time;
  double share = 0;
  // By how much the step would be shorter without it, on the step graph; of a bubble and of host
  // gaps, at most.
  core::Nanoseconds saves;
  core::Bytes bytes;                 // moved by all devices together; of memory: allocated
  std::vector<std::string> hints;    // what to try, in the words of --parallel
  std::vector<std::uint32_t> spans;  // ascending

  friend bool operator==(const Fact&, const Fact&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("about", self.about);
    visit("text", self.text);
    visit("time_ns", self.time);
    visit("share", self.share);
    visit("saves_ns", self.saves);
    visit("bytes", self.bytes);
    visit("hints", self.hints);
    visit("spans", self.spans);
  }
};

struct Explained {
  // All outlive the call.
  const core::Graph& graph;
  const core::Strategy& strategy;
  const core::Cluster& cluster;
  const core::Plan& plan;
  const core::Trace& trace;
  const StepAnalysis& analysis;
};

// The `most` facts whose absence would save most of the step, that of memory among them (last, or
// first where it is more than there is). Nothing that would save less than a thousandth of the
// step.
std::vector<Fact> explain(const Explained& step, std::size_t most = 5);

// A sentence for a difference of steps: "A takes 5.1 ms, 41.9 ms less than B (47 ms): 38 ms less
// all-reduce of gradients, 5 ms less update, 1.2 ms more forward."
std::string why(const Waterfall& waterfall, const std::string& first, const std::string& second);

}  // namespace soapstone::simulator
