#include "explorer_gui/model/link_strips.hpp"

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::explorer {
namespace {

struct Loaded {
  core::Graph graph = core::build_model("alexnet", {.batch = 64}).value();
  core::Cluster cluster = core::load_cluster("p100-4x4").value();
  core::NominalCatalog catalog;
  simulator::RooflineModel costs;
  core::Plan plan =
      core::lower(graph, core::data_parallel(graph, all_devices()), cluster, catalog).value();
  core::Trace trace = simulator::simulate(graph, plan, cluster, costs).value();
  LinkLoad load{cluster, plan, trace};

  static std::vector<core::DeviceId> all_devices() {
    std::vector<core::DeviceId> out;
    for (std::uint32_t d = 0; d < 16; ++d) out.push_back(core::DeviceId(d));
    return out;
  }

  std::vector<LinkStrip> strips(const LinkChoice& choice, std::size_t most = 1000,
                                const std::vector<double>& factors = {}) const {
    return link_strips(cluster, load, trace.step_time, choice, most, factors);
  }
};

TEST(LinkStrips, TheBusiestComeFirstAndOnlySoMany) {
  const Loaded l;
  const auto all = l.strips({});
  ASSERT_GT(all.size(), 3u);
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i - 1].mean, all[i].mean);
  const auto three = l.strips({}, 3);
  ASSERT_EQ(three.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(three[i].link, all[i].link);
}

TEST(LinkStrips, TheCurvesAreaIsWhatMoved) {
  const Loaded l;
  for (const LinkStrip& s : l.strips({}, 4)) {
    double bytes = 0;
    for (std::size_t i = 0; i + 1 < s.load.time.size(); ++i)
      bytes += static_cast<double>(s.load.time[i + 1] - s.load.time[i]) * 1e-9 * s.load.value[i] *
               s.bandwidth.value;
    EXPECT_NEAR(bytes / static_cast<double>(s.moved.value), 1, 1e-6) << s.name;
    EXPECT_NEAR(s.mean,
                bytes / (static_cast<double>(l.trace.step_time.value) * 1e-9 * s.bandwidth.value),
                1e-6);
    EXPECT_EQ(s.load.value.back(), 0);
  }
}

TEST(LinkStrips, OfADeviceItsOwnAndItsNodesOfAKindThatKind) {
  const Loaded l;
  // Ports and pairs of the device, and the adapters of its node.
  const auto own = l.strips({.device = core::DeviceId(5)});
  EXPECT_GE(own.size(), 4u);
  for (const LinkStrip& s : own)
    EXPECT_TRUE((s.name + " ").find("node1.device1 ") != std::string::npos ||
                s.name.starts_with("node1 "))
        << s.name;
  const auto network = l.strips({.kind = "network"});
  EXPECT_EQ(network.size(), 8u);  // four nodes, in and out
  for (const LinkStrip& s : network) EXPECT_NE(s.name.find(" network "), std::string::npos);
  EXPECT_TRUE(l.strips({.kind = "net"}).empty());
}

TEST(LinkStrips, AFasterLinkIsLessLoaded) {
  const Loaded l;
  const auto now = l.strips({.kind = "network"});
  const auto twice =
      l.strips({.kind = "network"}, 1000, std::vector<double>(l.cluster.links().size(), 2));
  EXPECT_DOUBLE_EQ(twice[0].mean, now[0].mean / 2);
  EXPECT_DOUBLE_EQ(twice[0].load.most, now[0].load.most / 2);
}

TEST(LinkStrips, TellsTheLoadAndWhatMoreThanAllMeans) {
  LinkStrip s;
  s.name = "node0 network out";
  s.bandwidth = core::BytesPerSecond(10e9);
  s.moved = core::Bytes(30'000'000);
  s.load = {{1000, 2000, 3000}, {0.5, 2.5, 0}, 2.5};
  s.mean = 0.75;
  EXPECT_EQ(load_at(s, 999), 0);
  EXPECT_EQ(load_at(s, 1000), 0.5);
  EXPECT_EQ(load_at(s, 2500), 2.5);
  EXPECT_EQ(load_at(s, 4000), 0);
  const auto words = describe(s, 1500);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_EQ(words[0], "node0 network out: 5 GB/s, 50 % of 10 GB/s");
  EXPECT_NE(words[1].find("75.0 % in the mean, at most 250 %"), std::string::npos);
  EXPECT_TRUE(words[2].starts_with("Above 100 %"));
  s.load.most = 1;
  EXPECT_EQ(describe(s, 1500).size(), 2u);
}

}  // namespace
}  // namespace soapstone::explorer
