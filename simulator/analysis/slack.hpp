// What a step would gain or lose by every span.
#pragma once

#include <vector>

#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "simulator/analysis/step_graph.hpp"

namespace soapstone::simulator {

// One entry per span. All spans of one transfer change together and have the same figures; the time
// for which a transfer waits is not its own.
//   slack          how much longer it may take before the step does
//   saves_if_free  by how much the step is shorter if it takes no time:
//                  end − max(longest path that avoids it, longest path through it without its time)
// Order and gaps stay as they are, so that both are exact on the step graph; whether another order
// or emptier links would give more, only simulating again tells (what_if.hpp).
struct Slack {
  std::vector<core::Nanoseconds> slack;
  std::vector<core::Nanoseconds> saves_if_free;

  friend bool operator==(const Slack&, const Slack&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("slack", self.slack);
    visit("saves_if_free", self.saves_if_free);
  }
};

// O(edges log edges): a path that avoids a unit has an edge that jumps over its place in the order.
Slack slack(const StepGraph& graph);

}  // namespace soapstone::simulator
