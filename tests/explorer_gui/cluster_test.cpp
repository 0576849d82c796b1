#include "core/cluster.hpp"

#include <gtest/gtest.h>

#include "explorer_gui/model/cluster_edits.hpp"
#include "explorer_gui/model/cluster_view.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

core::Cluster p100() { return core::load_cluster("p100-4x4").value(); }

core::Cluster built(core::ClusterSpec spec) {
  auto cluster = core::Cluster::build(std::move(spec));
  EXPECT_TRUE(cluster) << cluster.error().message;
  return cluster.value();
}

TEST(ClusterEdits, AChangedBandwidthSaysWhatItWas) {
  const core::ClusterSpec before = p100().spec();
  const core::ClusterSpec after =
      with_network(before, core::BytesPerSecond(25e9), before.network->latency);
  EXPECT_EQ(after.network->bandwidth.value, 25e9);
  EXPECT_EQ(after.network->source.find("12.5 GB/s before ("), 0u) << after.network->source;
  EXPECT_EQ(after.name, "p100-4x4-changed");
  // Twice changed it still says what stood in the file.
  const core::ClusterSpec twice =
      with_network(after, core::BytesPerSecond(50e9), before.network->latency);
  EXPECT_EQ(twice.network->source, after.network->source);
  EXPECT_EQ(twice.name, after.name);
}

TEST(ClusterEdits, ADeviceLessLeavesTheOthersOfItsNode) {
  // 4 nodes of 4: device 6 is the third of node 1.
  const core::Cluster c = built(without_device(p100().spec(), 6).value());
  ASSERT_EQ(c.size(), 15u);
  ASSERT_EQ(c.nodes(), 4u);
  EXPECT_EQ(c.device(core::DeviceId(3)).node, 0u);
  EXPECT_EQ(c.device(core::DeviceId(4)).node, 1u);
  EXPECT_EQ(c.device(core::DeviceId(6)).node, 1u);
  EXPECT_EQ(c.device(core::DeviceId(7)).node, 2u);
}

TEST(ClusterEdits, DevicesGoUntilOneIsLeft) {
  core::ClusterSpec spec = p100().spec();
  for (int n = 16; n > 1; --n) {
    auto next = without_device(spec, static_cast<std::uint32_t>(n / 2));
    ASSERT_TRUE(next) << n;
    spec = std::move(*next);
    EXPECT_EQ(built(spec).size(), static_cast<std::size_t>(n - 1));
  }
  EXPECT_FALSE(without_device(spec, 0));
}

TEST(ClusterEdits, ANodeLessAndANodeMore) {
  const core::Cluster less = built(without_node(p100().spec(), 2).value());
  EXPECT_EQ(less.size(), 12u);
  EXPECT_EQ(built(with_one_more(p100().spec(), 0)).size(), 20u);
}

TEST(ClusterEdits, OneSlowNodeIsOfAKindOfItsOwn) {
  const core::Cluster c = built(with_node_speed(p100().spec(), 1, 0.5));
  ASSERT_EQ(c.size(), 16u);
  const auto rate = [&](std::uint32_t d) {
    return core::peak(c.kind(core::DeviceId(d)), core::DType::kF32)->value;
  };
  EXPECT_EQ(rate(3), rate(8));
  for (std::uint32_t d = 4; d < 8; ++d) EXPECT_EQ(rate(d), rate(0) / 2);
  // Twice as slow again is no second kind.
  EXPECT_EQ(built(with_node_speed(c.spec(), 1, 0.5)).kinds().size(), 2u);
}

TEST(ClusterView, DevicesStandInTheirNodesAndNothingOverlaps) {
  for (const char* name : {"p100-4x4", "k80-16x4", "a100-128x8"}) {
    const core::Cluster c = core::load_cluster(name).value();
    const ClusterPicture p = picture_of(c, 1.6);
    ASSERT_EQ(p.devices.size(), c.size());
    for (std::uint32_t d = 0; d < c.size(); ++d) {
      const Place& node = p.nodes[c.devices()[d].node];
      EXPECT_TRUE(node.contains(p.devices[d].x, p.devices[d].y));
      EXPECT_TRUE(node.contains(p.devices[d].x + 0.999, p.devices[d].y + 0.999));
    }
    for (std::size_t a = 0; a < p.nodes.size(); ++a)
      for (std::size_t b = a + 1; b < p.nodes.size(); ++b)
        EXPECT_FALSE(p.nodes[a].contains(p.nodes[b].x, p.nodes[b].y)) << a << " " << b;
    EXPECT_GT(p.width / p.height, 0.5) << name;
    EXPECT_LT(p.width / p.height, 5) << name;
  }
}

TEST(ClusterView, TheLoadOfLinksIsWhatMoves) {
  Work w("alexnet", 64, "p100-4x4");
  const Evaluation& e = *w->shown();
  const core::Cluster& c = *w->design().cluster;
  const LinkLoad load(c, e.plan, e.trace);
  // Whatever moves, the integral of a link's rate over the step is what moved on it.
  for (std::uint32_t l = 0; l < load.size(); ++l) {
    const core::LinkId link(l);
    double bytes = 0;
    const std::int64_t step = e.step_time.value;
    constexpr std::int64_t kSamples = 20000;
    for (std::int64_t i = 0; i < kSamples; ++i)
      bytes += load.at(link, core::Nanoseconds((2 * i + 1) * step / (2 * kSamples))) *
               static_cast<double>(step) * 1e-9 / kSamples;
    EXPECT_NEAR(bytes, static_cast<double>(load.moved(link).value),
                0.02 * static_cast<double>(load.moved(link).value) + 1e5)
        << c.link(link).name;
    EXPECT_LE(load.most(link), c.link(link).bandwidth.value * (1 + 1e-9)) << c.link(link).name;
  }
  const auto busy = busiest(c, load, core::Nanoseconds(e.step_time.value / 2), 3);
  ASSERT_FALSE(busy.empty());
  for (std::size_t i = 1; i < busy.size(); ++i) EXPECT_GE(busy[i - 1].share, busy[i].share);
  EXPECT_EQ(load.at(busy[0].link, e.step_time + core::Nanoseconds(1)), 0);
}

TEST(ClusterView, ShadesSayWhatDevicesDo) {
  Work w("alexnet", 64, "p100-4x4", {"single"});
  const DeviceShading s = shading(*w->design().cluster, *w->shown(), DeviceShade::kComputing);
  EXPECT_GT(s.share[0], 0.99) << "one device alone computes all the time";
  for (std::size_t d = 1; d < 16; ++d) EXPECT_LT(s.share[d], 0) << "no work";
  const DeviceShading m = shading(*w->design().cluster, *w->shown(), DeviceShade::kMemory);
  EXPECT_NE(m.text[0].find(" of 16 GiB"), std::string::npos) << m.text[0];
}

// Device 0 computes 0-40 of 100 ns; device 1 waits from 0 to 50, moves 50-60, computes 60-100.
TEST(ClusterView, WaitingIsWhatATransferWaitsForOthersAndDeviationWhatWasMeasured) {
  Work w("alexnet", 64, "p100-4x4", {"single"});
  const core::Cluster& cluster = *w->design().cluster;
  Evaluation e;
  e.plan.device_count = 16;
  e.plan.classes.resize(1);
  e.plan.classes[0].members = {core::DeviceId(0), core::DeviceId(1)};
  const auto lanes = [](core::Trace& t, std::int64_t end_of_first) {
    t.lanes = {{core::DeviceId(0), core::LaneKind::kCompute},
               {core::DeviceId(1), core::LaneKind::kCompute},
               {core::DeviceId(1), core::LaneKind::kCommunication}};
    const auto add = [&](std::uint32_t lane, std::int64_t start, std::int64_t end,
                         core::TaskKind kind, std::int64_t waiting) {
      t.spans.lane.push_back(lane);
      t.spans.start.emplace_back(start);
      t.spans.end.emplace_back(end);
      t.spans.waiting.emplace_back(waiting);
      t.spans.kind.push_back(kind);
    };
    add(0, 0, end_of_first, core::TaskKind::kCompute, 0);
    add(1, 60, 100, core::TaskKind::kCompute, 0);
    add(2, 0, 60, core::TaskKind::kTransfer, 50);
    for (auto* column : {&t.spans.task, &t.spans.label}) column->assign(3, 0);
    t.step_time = core::Nanoseconds(100);
  };
  lanes(e.trace, 40);
  const DeviceShading waiting = shading(cluster, e, DeviceShade::kWaiting);
  EXPECT_DOUBLE_EQ(waiting.share[0], 0);
  EXPECT_DOUBLE_EQ(waiting.share[1], 0.5);
  EXPECT_LT(waiting.share[2], 0);
  // Both compute 40 ns, as the mean of those that do the same; measured were 50 on device 0.
  const DeviceShading even = shading(cluster, e, DeviceShade::kDeviation);
  EXPECT_EQ(even.text[0], "+0.0 %");
  EXPECT_DOUBLE_EQ(even.share[1], 0.5);
  core::Trace measured;
  lanes(measured, 50);
  const DeviceShading off = shading(cluster, e, DeviceShade::kDeviation, &measured);
  EXPECT_EQ(off.text[0], "+25.0 %");
  EXPECT_DOUBLE_EQ(off.share[0], 0.75);
  EXPECT_EQ(off.text[1], "+0.0 %");
}

TEST(ClusterView, LongRowsOfTheMatrixAreFoldedToThePlace) {
  // Two stages of eight devices in a square: four lines of four.
  RankMatrix m;
  m.rows = {"stage 0", "stage 1"};
  m.columns = 8;
  for (std::uint32_t d = 0; d < 16; ++d) m.cells.push_back({d / 8, d % 8, core::DeviceId(d)});
  const RankMatrix square = folded(m, 1);
  EXPECT_EQ(square.columns, 4u);
  EXPECT_EQ(square.rows, (std::vector<std::string>{"stage 0", "", "stage 1", ""}));
  EXPECT_EQ(cell_at(square, 1.5, 3.5)->device, core::DeviceId(13));
  // In a place four times as wide as high they stay as they are.
  EXPECT_EQ(folded(m, 4).rows, m.rows);
}

TEST(ClusterView, ACellOfTheMatrixIsFoundUnderTheMouse) {
  RankMatrix m;
  m.rows = {"stage 0", "stage 1"};
  m.columns = 3;
  m.cells = {{0, 0, core::DeviceId(4)}, {0, 1, core::DeviceId(5)}, {1, 0, core::DeviceId(6)}};
  ASSERT_NE(cell_at(m, 1.9, 0.1), nullptr);
  EXPECT_EQ(cell_at(m, 1.9, 0.1)->device, core::DeviceId(5));
  EXPECT_EQ(cell_at(m, 0.5, 1.5)->device, core::DeviceId(6));
  EXPECT_EQ(cell_at(m, 1.5, 1.5), nullptr);
  EXPECT_EQ(cell_at(m, -0.5, 0), nullptr);
  EXPECT_EQ(cell_at(m, 0, 2), nullptr);
}

TEST(ClusterView, TheMatrixHasARowPerStage) {
  Work w("gpt", 16, "p100-4x4", {"dp=4,pp=4,micro_batch=1"});
  const RankMatrix m = rank_matrix(*w->design().cluster, *w->design().shown()->strategy);
  ASSERT_EQ(m.rows.size(), 4u);
  EXPECT_EQ(m.rows[0], "stage 0");
  EXPECT_EQ(m.columns, 4u);
  EXPECT_EQ(m.cells.size(), 16u);
}

}  // namespace
}  // namespace soapstone::explorer
