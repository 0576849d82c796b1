#include "search/bound.hpp"

#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/linear.hpp"
#include "core/units.hpp"
#include "search/exhaustive.hpp"
#include "search/mcmc.hpp"
#include "simulator/roofline_model.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::search {
namespace {

using namespace core;
using tests::small_cluster;

Graph two_layers(std::int64_t batch, std::int64_t in, std::int64_t hidden) {
  GraphBuilder g("two-layers");
  auto x = g.source("x", {{batch, in}, DType::kF32, {}});
  const auto y = g.source("labels", {{batch}, DType::kI32, {}}, 4);
  x = g.add("fc1", Linear{.out_features = {hidden}, .bias = false}, {x});
  x = g.add("fc2", Linear{.out_features = {4}, .bias = false}, {x});
  return g.build_with_loss(x, y).value();
}

TEST(LowerBound, IsAllFlopsOverAllPeaks) {
  const Graph graph = two_layers(1000, 1000, 2000);
  const Cluster cluster = small_cluster(2, 2, 2);
  const double peak_rate = peak(cluster.kind(DeviceId(0)), DType::kF32).value().value;
  // fc1: forward and the gradient of its weights, fc2 that of its inputs too; the loss is little.
  const double flops = 2e9 * (2 * 2) + 2e6 * 4 * 2 * 3;
  const auto bound = lower_bound(graph, cluster).value();
  EXPECT_NEAR(static_cast<double>(bound.value) / (flops / (4 * peak_rate) * 1e9), 1, 0.001);
  EXPECT_NEAR(static_cast<double>(lower_bound(graph, small_cluster(4, 2, 2)).value().value) /
                  static_cast<double>(bound.value),
              0.5, 1e-3);
}

TEST(LowerBound, NoStrategyIsBelow) {
  for (const auto& [batch, in, hidden] :
       {std::tuple{64, 256, 256}, std::tuple{4, 512, 512}, std::tuple{48, 2048, 2048}}) {
    const Graph graph = two_layers(batch, in, hidden);
    const Cluster cluster = small_cluster(1, 2, 2);
    const NominalCatalog catalog;
    const simulator::RooflineModel costs;
    const Problem problem{
        .graph = &graph, .cluster = &cluster, .costs = &costs, .catalog = &catalog};
    const auto bound = lower_bound(graph, cluster).value();
    EXPECT_GT(bound.value, 0);
    const RankedStrategies all = exhaustive(problem).value();
    for (const auto& s : all.strategies) EXPECT_GE(s.step_time, bound);
  }
  for (const char* model : {"alexnet", "fashion-cnn", "transformer-block", "inception-block"}) {
    const Graph graph = build_model(model).value();
    const Cluster cluster = load_cluster("p100-4x4").value();
    const NominalCatalog catalog;
    const simulator::RooflineModel costs;
    const Problem problem{
        .graph = &graph, .cluster = &cluster, .costs = &costs, .catalog = &catalog};
    const auto found = mcmc(problem, Budget::proposals(300), 1).value();
    const auto bound = lower_bound(graph, cluster).value();
    EXPECT_GT(bound.value, 0) << model;
    EXPECT_LE(bound, found.strategies[0].step_time) << model;
  }
}

TEST(LowerBound, OfDevicesThatDifferTheirPeaksAddUp) {
  const Graph graph = two_layers(1000, 1000, 2000);
  ClusterSpec spec = small_cluster(2, 2, 2).spec();
  const auto before = lower_bound(graph, Cluster::build(spec).value()).value();
  // One node three times as fast: 4 + 4 devices' worth instead of 2 + 2.
  DeviceKind fast = spec.device_kind[0];
  fast.name = "fast";
  for (auto& [dtype, rate] : fast.peak) rate = FlopsPerSecond(3 * rate.value);
  spec.device_kind.push_back(fast);
  NodeSpec second = spec.node[0];
  spec.node[0].count = second.count = 1;
  second.device_kind = "fast";
  spec.node.push_back(second);
  const auto after = lower_bound(graph, Cluster::build(spec).value()).value();
  EXPECT_NEAR(static_cast<double>(after.value) / static_cast<double>(before.value), 0.5, 0.001);
}

}  // namespace
}  // namespace soapstone::search
