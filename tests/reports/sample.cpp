#include "tests/reports/sample.hpp"

#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/add.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "simulator/simulate.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::reports {

using namespace core;

namespace {

Trace traced(const ReportInput& in, Nanoseconds step, Nanoseconds message) {
  tests::FakeCosts costs;
  costs.on_compute = [=](auto&, auto&) { return step; };
  costs.on_message = [=](auto, auto, auto, auto) { return message; };
  costs.on_update = [](auto) { return 1_ms; };
  return simulator::simulate(in.graph, in.plan, in.cluster, costs).value();
}

}  // namespace

ReportInput report_of(Graph graph, Strategy strategy, const Cluster& cluster) {
  ReportInput in;
  in.graph = std::move(graph);
  in.cluster = cluster;
  in.strategy = std::move(strategy);
  in.plan = lower(in.graph, in.strategy, in.cluster, NominalCatalog{}).value();
  in.predicted = traced(in, 10_ms, 1_ms);
  return in;
}

ReportInput sample(int lanes) {
  Graph graph = build_model("mlp").value();
  const std::vector<DeviceId> both{DeviceId(0), DeviceId(1)};
  const Strategy strategy = data_parallel(graph, both);
  return report_of(std::move(graph), strategy, tests::small_cluster(1, 2, lanes));
}

ReportInput measured_sample() {
  ReportInput in = sample();
  in.measured = traced(in, 8_ms, 2_ms);
  in.measured->origin = TraceOrigin::kMeasured;
  in.measured->steps = 7;
  return in;
}

Graph layered(int layers) {
  GraphBuilder g("layered");
  auto x = g.source("x", {{8, 16}, DType::kF32, {}});
  const auto labels = g.source("labels", {{8}, DType::kI32, {}}, 4);
  x = g.add("in", Linear{.out_features = {16}, .bias = false}, {x});
  for (int l = 0; l < layers; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    auto t = g.add(layer + "fc", Linear{.out_features = {16}}, {x});
    t = g.add(layer + "relu", Relu{}, {t});
    x = g.add(layer + "add", Add{}, {x, t});
  }
  x = g.add("out", Linear{.out_features = {4}}, {x});
  return g.build_with_loss(x, labels).value();
}

RankedStrategies ranked_sample(const ReportInput& input) {
  RankedStrategies ranked;
  ranked.graph = input.graph.name();
  ranked.graph_hash = hex(input.graph.hash());
  ranked.cluster = input.cluster.name();
  ranked.batch = input.graph.batch();
  ranked.searcher = "mcmc";
  ranked.proposals = 20;
  ranked.strategies.push_back({.strategy = to_document(input.graph, input.strategy),
                               .step_time = 5_ms,
                               .peak_memory = 3_MiB,
                               .samples_per_second = 25600,
                               .origin = "data-parallel",
                               .feasible = true,
                               .why_not = ""});
  ranked.strategies.push_back({.strategy = to_document(input.graph, single_device(input.graph)),
                               .step_time = 6_ms,
                               .peak_memory = 4_MiB,
                               .samples_per_second = 21333.3,
                               .origin = "single",
                               .feasible = false,
                               .why_not = "needs 4 MiB, \"toy\" has 3"});
  return ranked;
}

std::size_t count(std::string_view in, std::string_view text) {
  std::size_t n = 0;
  for (auto at = in.find(text); at != std::string_view::npos; at = in.find(text, at + text.size()))
    ++n;
  return n;
}

}  // namespace soapstone::reports
