#include "simulator/roofline_model.hpp"

#include <gtest/gtest.h>

#include "core/graph.hpp"
#include "core/ops/linear.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;

Graph one_linear() {
  GraphBuilder g("one");
  auto x = g.source("x", {{1000, 1000}, DType::kF32, {}});
  const auto y = g.source("labels", {{1000}, DType::kI32, {}}, 1000);
  x = g.add("fc", Linear{.out_features = {1000}, .bias = false}, {x});
  return g.build_with_loss(x, y).value();
}

// 1 TFLOP/s, 100 GB/s, 10 GB/s inside a node and 1 GB/s between nodes.
const Cluster cluster = tests::small_cluster(2, 2, 2);
const DeviceKind& toy = cluster.kinds()[0];
constexpr Efficiency kIdeal{1, 1, 1, "ideal"};

TEST(Roofline, TakesTheLargerOfComputingAndMoving) {
  const Graph graph = one_linear();
  const LocalProblem problem{graph.ops()[0].op, &graph.ops()[0].definition,
                             axis_intervals(graph.ops()[0].definition, {}, 0)};
  // 2·10⁹ FLOP at 1 TFLOP/s; 12 MB at 100 GB/s are 120 µs.
  const Cost cost = RooflineModel(kIdeal).compute(problem, 0, "linear/nominal", toy);
  EXPECT_EQ(cost.time, 2_ms);
  EXPECT_EQ(cost.source, CostSource::kRoofline);
  EXPECT_EQ(RooflineModel(Efficiency{.compute = 0.5, .memory = 1, .link = 1, .source = ""})
                .compute(problem, 0, "", toy)
                .time,
            4_ms);
  EXPECT_EQ(RooflineModel(Efficiency{.compute = 1, .memory = 0.01, .link = 1, .source = ""})
                .compute(problem, 0, "", toy)
                .time,
            12_ms);
}

TEST(Roofline, CopiesUpdatesAndMessagesAreBytesOverBandwidth) {
  const RooflineModel model(kIdeal);
  EXPECT_EQ(model.copy(Bytes(50'000'000), Bytes(50'000'000), toy).time, 1_ms);
  EXPECT_EQ(model.copy(Bytes(0), Bytes(0), toy).time, 0_ms);
  // Weight, gradient, momentum read, weight and momentum written: 5 × 40 MB.
  EXPECT_EQ(model.update(10'000'000, 1, DType::kF32, toy).time, 2_ms);
  // 9 million weights in 1 million rows: gradient, weight and state read, the latter two written: 5
  // × 36 MB; and 36 bytes per id to sort.
  EXPECT_EQ(model.update_rows(1'000'000, 9, 1, DType::kF32, toy).time, 2_ms + 160_us);
  EXPECT_EQ(model.message(cluster, DeviceId(0), DeviceId(1), Bytes(10'000'000), 1).time, 1_ms);
  EXPECT_EQ(model.message(cluster, DeviceId(0), DeviceId(2), Bytes(1'000'000), 3).time, 3_ms);
}

TEST(Roofline, SaysWhereItsEfficienciesComeFrom) {
  EXPECT_FALSE(default_efficiency(toy).source.empty());
  DeviceKind cpu = toy;
  cpu.lanes = 1;
  EXPECT_NE(default_efficiency(cpu), default_efficiency(toy));
}

}  // namespace
}  // namespace soapstone::simulator
