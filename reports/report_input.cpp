#include "reports/report_input.hpp"

#include "reports/detail/text.hpp"

namespace soapstone::reports {

using namespace core;

Status check_trace(const Plan& plan, const Trace& trace, TraceOrigin origin) {
  SOAPSTONE_TRY(core::check(trace));
  if (trace.origin != origin)
    return usage_error("this trace is {}; accepted: one that is {}", name_of(trace.origin),
                       name_of(origin));
  if (trace.graph != plan.graph)
    return usage_error("the trace is of graph {}; accepted: {}", trace.graph, plan.graph);
  Trace wanted;
  set_plan(wanted, plan);
  if (const std::string difference = plan_difference(trace, wanted); !difference.empty())
    return usage_error("the trace of {} and what is asked for have {}", trace.graph, difference);
  const auto places = detail::places_of(plan);
  for (const auto& lane : trace.lanes)
    if (lane.device.value >= places.size() || places[lane.device.value].class_index == kNoIndex)
      return usage_error("a lane of device {}, which has no part in the plan", print(lane.device));
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    const DeviceId device = trace.lanes[trace.spans.lane[i]].device;
    const DeviceClass& program = plan.classes[places[device.value].class_index];
    if (trace.spans.task[i] >= program.tasks.size())
      return usage_error("span {}: task {} of {}", i, trace.spans.task[i], program.tasks.size());
  }
  return {};
}

Status check_ranked(const Graph& graph, const Cluster& cluster, const RankedStrategies& ranked) {
  if (ranked.graph != graph.name())
    return usage_error("the strategies are for graph {}; accepted: {}", ranked.graph, graph.name());
  if (ranked.graph_hash != hex(graph.hash()))
    return usage_error(
        "the strategies are for {} with a batch of {} (graph {}); accepted: a batch of {} (graph "
        "{})",
        ranked.graph, ranked.batch, ranked.graph_hash, graph.batch(), hex(graph.hash()));
  if (ranked.cluster != cluster.name())
    return usage_error("the strategies are for cluster {}; accepted: {}", ranked.cluster,
                       cluster.name());
  for (std::size_t i = 0; i < ranked.strategies.size(); ++i) {
    const auto strategy = from_document(graph, ranked.strategies[i].strategy);
    const Status status = strategy
                              ? check(graph, *strategy, static_cast<std::uint32_t>(cluster.size()))
                              : tl::unexpected(strategy.error());
    if (!status) return usage_error("at /strategies/{}/strategy: {}", i, status.error().message);
  }
  return {};
}

}  // namespace soapstone::reports
