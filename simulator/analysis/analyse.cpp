#include "simulator/analysis/analyse.hpp"

#include <utility>

namespace soapstone::simulator {

using namespace core;

namespace {

StepAnalysis finish(const Trace& trace, StepGraph graph, Communication communication) {
  StepAnalysis out;
  out.path = critical_path(trace, graph, communication);
  out.slack = slack(graph);
  out.exposure = exposure(trace, graph, communication);
  out.graph = std::move(graph);
  out.communication = std::move(communication);
  return out;
}

}  // namespace

Result<StepAnalysis> analyse(const Plan& plan, const Trace& trace) {
  SOAPSTONE_ASSIGN(StepGraph graph, step_graph(plan, trace));
  return finish(trace, std::move(graph), communication(plan, trace));
}

StepAnalysis analyse(const Trace& trace) {
  return finish(trace, step_graph(trace), communication(trace));
}

}  // namespace soapstone::simulator
