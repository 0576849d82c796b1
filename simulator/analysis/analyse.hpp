// Everything that is told of one step, made together.
#pragma once

#include "core/reflect.hpp"
#include "core/result.hpp"
#include "simulator/analysis/communication.hpp"
#include "simulator/analysis/critical_path.hpp"
#include "simulator/analysis/exposed.hpp"
#include "simulator/analysis/slack.hpp"
#include "simulator/analysis/step_graph.hpp"

namespace soapstone::simulator {

struct StepAnalysis {
  StepGraph graph;
  Communication communication;
  CriticalPath path;
  Slack slack;
  Exposure exposure;

  friend bool operator==(const StepAnalysis&, const StepAnalysis&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("communication", self.communication);
    visit("path", self.path);
    visit("slack", self.slack);
    visit("exposure", self.exposure);
  }
};

// Refuses a trace that is not of the plan.
core::Result<StepAnalysis> analyse(const core::Plan& plan, const core::Trace& trace);
// From what the trace shows alone: nothing is known of what devices wait for elsewhere.
StepAnalysis analyse(const core::Trace& trace);

}  // namespace soapstone::simulator
