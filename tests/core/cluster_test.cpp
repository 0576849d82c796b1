#include "core/cluster.hpp"

#include <filesystem>
#include <set>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/units.hpp"

namespace soapstone::core {
namespace {

BytesPerSecond gigabytes(double per_second) { return BytesPerSecond(per_second * 1e9); }

DeviceKind kind_named(std::string name) {
  DeviceKind kind;
  kind.name = std::move(name);
  kind.peak = {{"f32", FlopsPerSecond(1e12)}};
  kind.memory = 1_GiB;
  kind.memory_bandwidth = gigabytes(100);
  kind.launch_overhead = 5_us;
  kind.source = "made up";
  return kind;
}

InterconnectSpec ports(double bandwidth) {
  return {InterconnectKind::kPcie, gigabytes(bandwidth), 3_us, false, std::nullopt, "made up"};
}

// Two nodes of three devices.
ClusterSpec two_by_three() {
  return {"two",
          "",
          {kind_named("gpu")},
          {{2, "gpu", 3, ports(10)}},
          NetworkSpec{gigabytes(2), 7_us, "made up"}};
}

Cluster built(const ClusterSpec& spec) {
  auto cluster = Cluster::build(spec);
  EXPECT_TRUE(cluster) << cluster.error().message;
  return cluster.value();
}

std::vector<std::string> names(const Cluster& cluster, std::uint32_t src, std::uint32_t dst) {
  std::vector<std::string> list;
  for (const LinkId id : cluster.route(DeviceId(src), DeviceId(dst)))
    list.push_back(cluster.link(id).name);
  return list;
}

TEST(Cluster, DevicesAreNumberedNodeByNode) {
  const Cluster c = built(two_by_three());
  ASSERT_EQ(c.size(), 6u);
  EXPECT_EQ(c.nodes(), 2u);
  EXPECT_EQ(c.device(DeviceId(2)).name, "node0.device2");
  EXPECT_EQ(c.device(DeviceId(3)).name, "node1.device0");
  EXPECT_TRUE(c.same_node(DeviceId(3), DeviceId(5)));
  EXPECT_FALSE(c.same_node(DeviceId(2), DeviceId(3)));
  EXPECT_EQ(c.kind(DeviceId(5)).name, "gpu");
}

TEST(Cluster, AFlowInsideANodeUsesThePortsOfItsTwoDevices) {
  const Cluster c = built(two_by_three());
  EXPECT_EQ(names(c, 0, 2),
            (std::vector<std::string>{"node0.device0 pcie out", "node0.device2 pcie in"}));
  EXPECT_EQ(names(c, 5, 3),
            (std::vector<std::string>{"node1.device2 pcie out", "node1.device0 pcie in"}));
  EXPECT_EQ(c.path_latency(DeviceId(0), DeviceId(2)), 3_us);
  EXPECT_EQ(c.path_bandwidth(DeviceId(0), DeviceId(2)), gigabytes(10));
}

TEST(Cluster, AFlowBetweenNodesUsesTheAdaptersOfItsTwoNodes) {
  const Cluster c = built(two_by_three());
  EXPECT_EQ(names(c, 1, 5), (std::vector<std::string>{"node0 network out", "node1 network in"}));
  EXPECT_EQ(c.route(DeviceId(1), DeviceId(5)), c.route(DeviceId(0), DeviceId(3)))
      << "all devices share them";
  EXPECT_EQ(c.path_latency(DeviceId(1), DeviceId(5)), 7_us);
  EXPECT_EQ(c.path_bandwidth(DeviceId(1), DeviceId(5)), gigabytes(2));
}

TEST(Cluster, AFlowWithinADeviceUsesNoLink) {
  const Cluster c = built(two_by_three());
  EXPECT_TRUE(c.route(DeviceId(4), DeviceId(4)).empty());
  EXPECT_EQ(c.path_latency(DeviceId(4), DeviceId(4)), 0_ns);
  EXPECT_THROW(c.path_bandwidth(DeviceId(4), DeviceId(4)), InvariantError);
  // 50 kB are read and written: 100 kB at 100 GB/s.
  EXPECT_EQ(c.copy_time(DeviceId(4), Bytes(50'000)), 1_us);
}

TEST(Cluster, ASharedInterconnectIsOneLinkForAllFlows) {
  ClusterSpec spec = two_by_three();
  spec.node = {
      {1, "gpu", 4,
       InterconnectSpec{InterconnectKind::kSharedMemory, gigabytes(8), 1_us, true, {}, "made up"}}};
  spec.network.reset();
  const Cluster c = built(spec);
  EXPECT_EQ(c.links().size(), 1u);
  EXPECT_EQ(names(c, 0, 3), std::vector<std::string>{"shared-memory"});
  EXPECT_EQ(c.route(DeviceId(3), DeviceId(0)), c.route(DeviceId(1), DeviceId(2)));
  EXPECT_EQ(c.device(DeviceId(1)).name, "device1");
}

TEST(Cluster, APairBandwidthPutsALinkBetweenTheTwoPorts) {
  ClusterSpec spec = two_by_three();
  spec.node.front().interconnect->pair_bandwidth = gigabytes(4);
  const Cluster c = built(spec);
  // Per node: 3 ports out, 3 in, 3 x 2 pairs, 2 ends of the adapter.
  EXPECT_EQ(c.links().size(), 2u * (3 + 3 + 6 + 2));
  std::set<std::string> pairs;
  for (std::uint32_t a = 3; a < 6; ++a)
    for (std::uint32_t b = 3; b < 6; ++b) {
      if (a == b) continue;
      const auto route = names(c, a, b);
      ASSERT_EQ(route.size(), 3u);
      EXPECT_EQ(route[1], "node1.device" + std::to_string(a - 3) + " to node1.device" +
                              std::to_string(b - 3) + " pcie");
      pairs.insert(route[1]);
    }
  EXPECT_EQ(pairs.size(), 6u);
  EXPECT_EQ(c.path_bandwidth(DeviceId(3), DeviceId(5)), gigabytes(4));
  EXPECT_EQ(c.path_latency(DeviceId(3), DeviceId(5)), 3_us);
}

TEST(Cluster, NodesOfDifferentKindsMayStandTogether) {
  ClusterSpec spec = two_by_three();
  spec.device_kind.push_back(kind_named("cpu"));
  spec.node.push_back({2, "cpu", 1, std::nullopt});
  const Cluster c = built(spec);
  EXPECT_EQ(c.size(), 8u);
  EXPECT_EQ(c.kind(DeviceId(5)).name, "gpu");
  EXPECT_EQ(c.kind(DeviceId(7)).name, "cpu");
  EXPECT_EQ(names(c, 6, 7), (std::vector<std::string>{"node2 network out", "node3 network in"}));
  EXPECT_EQ(names(c, 7, 0), (std::vector<std::string>{"node3 network out", "node0 network in"}));
}

TEST(Cluster, EqualSpecsAreEqualClustersWithEqualHashes) {
  EXPECT_EQ(built(two_by_three()), built(two_by_three()));
  EXPECT_EQ(hash_of(built(two_by_three())), hash_of(built(two_by_three())));
  ClusterSpec other = two_by_three();
  other.network->latency += 1_ns;
  EXPECT_NE(built(other), built(two_by_three()));
  EXPECT_NE(hash_of(built(other)), hash_of(built(two_by_three())));
}

TEST(Cluster, PrintsOnOneLine) {
  EXPECT_EQ(print(built(two_by_three())), "two: 2 x 3 gpu (pcie 10 GB/s), network 2 GB/s");
}

TEST(Cluster, ThePeakIsAskedByNumberFormat) {
  EXPECT_EQ(peak(kind_named("gpu"), DType::kF32), FlopsPerSecond(1e12));
  EXPECT_EQ(peak(kind_named("gpu"), DType::kF64), std::nullopt);
}

TEST(Cluster, ADocumentComesBackEqual) {
  const Cluster c = built(two_by_three());
  const std::string text = *document_text(c);
  EXPECT_EQ(text.substr(0, 38), "{\n  \"format\": \"soapstone.cluster/1\",\n ");
  const auto back = document_from_text<Cluster>(text, "c.json");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, c);
  EXPECT_EQ(back->links().size(), c.links().size());
}

TEST(Cluster, ADocumentIsCheckedAsAFileIs) {
  std::string text = *document_text(built(two_by_three()));
  text.replace(text.find("\"lanes\": 1"), 10, "\"lanes\": 3");
  const std::string message = document_from_text<Cluster>(text, "c.json").error().message;
  EXPECT_NE(message.find(
                ": at /device_kind/0/lanes: 3 is not accepted; accepted: an integer from 1 to 2"),
            std::string::npos)
      << message;
}

// --- files ---------------------------------------------------------------

constexpr std::string_view kFile = R"(name = "small"

[[device_kind]]
name = "cpu"
threads = 2
peak = { f32 = "100 GFLOP/s" }
memory = "8 GiB"
memory_bandwidth = "20 GB/s"
lanes = 1
launch_overhead = "0 ns"
source = "made up"

[[node]]
count = 2
device_kind = "cpu"
devices = 2
interconnect = { kind = "shared-memory", bandwidth = "5 GB/s", latency = "1 us", shared = true, source = "made up" }

[network]
bandwidth = "1 Gbit/s"
latency = "50 us"
source = "made up"
)";

// The error after `from` is replaced by `to` in kFile.
std::string error_with(std::string_view from, std::string_view to) {
  std::string text(kFile);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  const auto spec = cluster_from_toml(text, "c.toml");
  return spec ? "no error" : spec.error().message;
}

TEST(ClusterFile, SaysWhatTheSpecHolds) {
  const auto spec = cluster_from_toml(kFile, "c.toml");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->device_kind.front().threads, 2);
  EXPECT_EQ(spec->device_kind.front().peak.at("f32"), FlopsPerSecond(1e11));
  EXPECT_EQ(spec->device_kind.front().memory, 8_GiB);
  EXPECT_EQ(spec->node.front().interconnect->kind, InterconnectKind::kSharedMemory);
  EXPECT_EQ(spec->network->bandwidth, BytesPerSecond(125e6));
  EXPECT_EQ(spec->network->latency, 50_us);
}

TEST(ClusterFile, ComesBackEqualFromItsOwnText) {
  ClusterSpec spec = *cluster_from_toml(kFile, "c.toml");
  spec.description = "a \"quoted\" \\ text,\n\ttwo lines \x01\x7f é";
  spec.device_kind.push_back(kind_named("gpu"));
  spec.device_kind.back().peak["bf16"] = FlopsPerSecond(123456789.0);
  spec.node.push_back({1, "gpu", 3, ports(16)});
  spec.node.back().interconnect->pair_bandwidth = gigabytes(1.0 / 3.0);
  spec.node.push_back({5, "gpu", 1, std::nullopt});
  const std::string text = to_toml(spec);
  const auto back = cluster_from_toml(text, "c.toml");
  ASSERT_TRUE(back) << back.error().message << "\n" << text;
  EXPECT_EQ(*back, spec) << text;
}

TEST(ClusterFile, AFigureWithoutAUnitOrWithAnotherOneIsAnError) {
  EXPECT_EQ(error_with("\"8 GiB\"", "\"8 GB/s\""),
            "c.toml:7: device_kind[0].memory: \"8 GB/s\" is not accepted; an amount of memory such "
            "as \"16 GiB\" is "
            "wanted; accepted: GB, B, GiB, kB, MB, TB, KiB, MiB, TiB");
  EXPECT_EQ(
      error_with("\"1 us\"", "1000").substr(0, 88),
      "c.toml:17: node[0].interconnect.latency: 1000 is not accepted; a time such as \"5 us\" is ");
}

TEST(ClusterFile, AnUnknownKeyIsNamedWithTheNearestAcceptedOne) {
  const std::string message = error_with("memory_bandwidth", "memory_bandwith");
  EXPECT_EQ(message.substr(0, 112),
            "c.toml:8: device_kind[0].memory_bandwith: unknown key `memory_bandwith`; did you mean "
            "`memory_bandwidth`? "
            "accept");
}

TEST(ClusterFile, AMissingKeyIsAnErrorAtItsTable) {
  EXPECT_EQ(error_with("source = \"made up\"\n\n[[node", "\n[[node"),
            "c.toml:3: device_kind[0]: the key `source` is missing");
  EXPECT_EQ(error_with("name = \"small\"", ""),
            "c.toml: the key `name` is missing; accepted: a text before the first table");
  EXPECT_EQ(cluster_from_toml("name = \"small\"", "c.toml").error().message,
            "c.toml: the key `device_kind` is missing; accepted: tables headed [[device_kind]]");
}

TEST(ClusterFile, WrongValuesAreLocatedAndSayWhatIsAccepted) {
  EXPECT_EQ(error_with("\"shared-memory\"", "\"nvlinks\""),
            "c.toml:17: node[0].interconnect.kind: \"nvlinks\" is not accepted; did you mean "
            "`nvlink`? accepted: "
            "nvlink, pcie, shared-memory");
  EXPECT_EQ(error_with("lanes = 1", "lanes = 3"),
            "c.toml:9: device_kind[0].lanes: 3 is not accepted; accepted: an integer from 1 to 2");
  EXPECT_EQ(error_with("lanes = 1", "lanes = \"1\""),
            "c.toml:9: device_kind[0].lanes: \"1\" is not accepted; accepted: an integer");
  EXPECT_EQ(error_with("lanes = 1", "lanes = 1.5"),
            "c.toml:9: device_kind[0].lanes: 1.5 is not accepted; accepted: an integer");
  EXPECT_EQ(error_with("shared = true", "shared = 1"),
            "c.toml:17: node[0].interconnect.shared: 1 is not accepted; accepted: true or false");
  EXPECT_EQ(error_with("count = 2", "count = 0"),
            "c.toml:14: node[0].count: 0 is not accepted; accepted: an integer from 1 to 65536");
  EXPECT_EQ(error_with("\"1 Gbit/s\"", "\"0 Gbit/s\""),
            "c.toml:20: network.bandwidth: 0 B/s is not accepted; accepted: more than zero");
  EXPECT_EQ(error_with("f32 =", "f23 ="),
            "c.toml:6: device_kind[0].peak.f23: unknown number format; did you mean `f32`? "
            "accepted: f32, f64, f16, "
            "tf32, bf16");
  EXPECT_EQ(error_with("[[node]]", "[node]"),
            "c.toml:13: node: a table is not accepted; accepted: tables headed [[node]]");
}

TEST(ClusterFile, WhatDoesNotFitTogetherIsAnError) {
  EXPECT_EQ(error_with("device_kind = \"cpu\"", "device_kind = \"cpus\""),
            "c.toml:15: node[0].device_kind: no device kind is named `cpus`; did you mean `cpu`? "
            "accepted: cpu");
  EXPECT_EQ(
      error_with("[network]\nbandwidth = \"1 Gbit/s\"\nlatency = \"50 us\"\nsource = \"made up\"\n",
                 ""),
      "c.toml: the network between 2 nodes is missing; accepted: a bandwidth, a latency and a "
      "source, in a table headed [network], such as at the end of the file");
  EXPECT_EQ(error_with("interconnect = {", "[unused]\nx = {"),
            "c.toml:17: unused: unknown key `unused`; accepted: name, node, network, device_kind, "
            "description");
  EXPECT_EQ(error_with("shared = true,", "shared = true, pair_bandwidth = \"1 GB/s\","),
            "c.toml:17: node[0].interconnect.pair_bandwidth: a shared interconnect has no pairs; "
            "leave it out");
  EXPECT_EQ(error_with("shared = true,", "pair_bandwidth = \"6 GB/s\","),
            "c.toml:17: node[0].interconnect.pair_bandwidth: 6 GB/s is not accepted; accepted: at "
            "most the device's 5 "
            "GB/s");
  EXPECT_EQ(error_with("devices = 2", "devices = 40000"),
            "c.toml:13: node: a cluster of 80000 devices is not accepted; accepted: at most 65536");
}

TEST(ClusterFile, ANodeOfSeveralDevicesNeedsAnInterconnect) {
  std::string text(kFile);
  const auto at = text.find("interconnect");
  text.erase(at, text.find('\n', at) - at);
  EXPECT_EQ(
      cluster_from_toml(text, "c.toml").error().message,
      "c.toml:13: node[0]: the key `interconnect` is missing; 2 devices of one node need one");
}

TEST(ClusterFile, MalformedTextIsLocatedByLineAndColumn) {
  EXPECT_EQ(error_with("lanes = 1", "lanes = = 1").substr(0, 22), "c.toml:9:9: not TOML: ");
  EXPECT_EQ(error_with("lanes = 1", "lanes = 1\nlanes = 2").substr(0, 12), "c.toml:10:9:");
}

TEST(ClusterFile, EveryTruncationIsAnErrorOrACluster) {
  for (std::size_t length = 0; length < kFile.size(); ++length)
    static_cast<void>(cluster_from_toml(kFile.substr(0, length), "c.toml"));
}

// --- presets -------------------------------------------------------------

TEST(ClusterPresets, AreTheFilesOfTheSamplesFolder) {
  std::set<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(SOAPSTONE_SOURCE_DIR "/samples/clusters")) {
    if (entry.path().extension() != ".toml") continue;
    const std::string name = entry.path().stem().string();
    files.insert(name);
    const auto text = preset_toml(name);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, *read_file(entry.path())) << name;
    const auto cluster = load_cluster(name);
    ASSERT_TRUE(cluster) << cluster.error().message;
    EXPECT_EQ(cluster->name(), name);
    EXPECT_EQ(*cluster_from_toml(to_toml(cluster->spec()), name), cluster->spec());
  }
  EXPECT_EQ(files, std::set<std::string>(preset_names().begin(), preset_names().end()));
}

TEST(ClusterPresets, P100HasSixteenDevicesInFourNodes) {
  const Cluster c = *load_cluster("p100-4x4");
  EXPECT_EQ(c.size(), 16u);
  EXPECT_EQ(c.nodes(), 4u);
  EXPECT_EQ(c.kind(DeviceId(0)).peak.at("f32"), FlopsPerSecond(10.6e12));
  EXPECT_EQ(c.path_bandwidth(DeviceId(0), DeviceId(1)), gigabytes(20));
  EXPECT_EQ(c.path_bandwidth(DeviceId(0), DeviceId(4)), gigabytes(12.5));
}

TEST(ClusterPresets, K80HasSixtyFourDevicesInSixteenNodes) {
  const Cluster c = *load_cluster("k80-16x4");
  EXPECT_EQ(c.size(), 64u);
  EXPECT_EQ(c.nodes(), 16u);
  EXPECT_EQ(c.path_bandwidth(DeviceId(0), DeviceId(63)), gigabytes(7));
}

TEST(ClusterPresets, AnUnknownNameListsTheKnownOnes) {
  EXPECT_EQ(load_cluster("p100-4x5").error().message,
            "no cluster is named `p100-4x5`; did you mean `p100-4x4`? accepted: p100-4x4, "
            "a100-128x8, k80-16x4, or the path of a "
            ".toml or .json file");
  EXPECT_EQ(load_cluster("nowhere/c.toml").error().message,
            "cannot read nowhere/c.toml: No such file or directory");
}

TEST(ClusterPresets, AFileOrADocumentIsLoadedByItsPath) {
  const Cluster preset = *load_cluster("p100-4x4");
  EXPECT_EQ(*load_cluster(SOAPSTONE_SOURCE_DIR "/samples/clusters/p100-4x4.toml"), preset);
  const auto document = std::filesystem::temp_directory_path() /
                        fmt::format("soapstone-cluster-test-{}.json", ::getpid());
  ASSERT_TRUE(save_document(document, preset));
  EXPECT_EQ(*load_cluster(document.string()), preset);
  std::filesystem::remove(document);
}

}  // namespace
}  // namespace soapstone::core
