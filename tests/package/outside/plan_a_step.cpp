// Searches a strategy for a model of the zoo on a preset cluster, predicts its step and draws it.
#include <cstdio>
#include <cstdlib>

#include "core/cluster.hpp"
#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "reports/svg.hpp"
#include "search/mcmc.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"

using namespace soapstone;

template <class T>
T or_exit(core::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}

int main() {
  const core::Graph graph = or_exit(core::build_model("alexnet", {.batch = 64}));
  const core::Cluster cluster = or_exit(core::load_cluster("p100-4x4"));
  const simulator::RooflineModel costs;
  const core::NominalCatalog catalog;

  search::Problem problem;
  problem.graph = &graph;
  problem.cluster = &cluster;
  problem.costs = &costs;
  problem.catalog = &catalog;
  const auto ranked = or_exit(search::mcmc(problem, search::Budget::proposals(50), 1));
  const auto& best = ranked.strategies.at(0);

  const core::Strategy strategy = or_exit(core::from_document(graph, best.strategy));
  const core::Plan plan = or_exit(core::lower(graph, strategy, cluster, catalog));
  const core::Trace trace = or_exit(simulator::simulate(graph, plan, cluster, costs));
  std::printf("searched %lld ns, simulated %lld ns\n", static_cast<long long>(best.step_time.value),
              static_cast<long long>(trace.step_time.value));
  if (reports::has_graphviz() && or_exit(reports::svg("digraph { a -> b }")).empty()) return 1;
  return trace.step_time == best.step_time && trace.step_time.value > 0 ? 0 : 1;
}
