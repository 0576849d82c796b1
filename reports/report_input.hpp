// What a report is made of.
#pragma once

#include <optional>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/ranked_strategies.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "reports/training_metrics.hpp"

namespace soapstone::reports {

// `plan` is the lowered `strategy`, and the traces are of this plan: the checks below hold.
struct ReportInput {
  core::Graph graph;
  core::Cluster cluster;
  core::Strategy strategy;
  core::Plan plan;
  core::Trace predicted;
  std::optional<core::Trace> measured;
  std::optional<core::RankedStrategies> ranked;
  std::optional<TrainingMetrics> metrics;
};

// Refuses a trace of another graph, of another plan or of another origin, and one that does not fit
// the plan it names.
core::Status check_trace(const core::Plan& plan, const core::Trace& trace,
                         core::TraceOrigin origin);

// Refuses ranked strategies for another graph, batch or cluster.
core::Status check_ranked(const core::Graph& graph, const core::Cluster& cluster,
                          const core::RankedStrategies& ranked);

}  // namespace soapstone::reports
