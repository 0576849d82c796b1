// samples/faults/: steps that are slow for one reason each, for people who learn to see it.
#include <cstdlib>
#include <functional>

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "explorer_gui/model/cluster_edits.hpp"
#include "simulator/analysis/explain.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using core::Strategy;
using simulator::FactKind;

struct Fault {
  const char* name;
  ModelChoice model;
  const char* strategy;
  std::function<void(core::ClusterSpec&)> cluster;
  std::function<void(Strategy&)> spoil;
  // What the first sentences about the step must name.
  FactKind kind;
  const char* says;  // in the text or in what is to be tried
  // What mends it, an action each, and how much shorter the step is then (0: it fits).
  std::vector<std::function<core::Status(Session&)>> actions;
  double at_most = 1;
};

ModelChoice gpt(std::int64_t batch, double layers, double hidden) {
  return {"gpt",
          batch,
          {},
          {{"layers", layers}, {"hidden", hidden}, {"heads", 8}, {"seq", 256}, {"vocab", 4096}}};
}

core::Status add(Session& s, const char* text) {
  s.add_strategy(text);
  return {};
}

std::vector<Fault> faults() {
  return {
      {"slow-link",
       {"alexnet", 256, {}, {}},
       "data-parallel",
       [](core::ClusterSpec& c) {
         // The third node's devices reach each other over a bus of an eightieth of the others'.
         core::NodeSpec slow = c.node[0], last = c.node[0];
         c.node[0].count = 2;
         slow.count = last.count = 1;
         c.node.push_back(slow);
         c.node.push_back(last);
         c = with_interconnect(c, 1, core::BytesPerSecond(1e9), slow.interconnect->latency);
       },
       [](Strategy&) {},
       FactKind::kCommunication,
       "The slowest way is ",
       {[](Session& s) {
         const core::ClusterSpec& spec = s.design().cluster->spec();
         return s.set_cluster(with_interconnect(spec, 1, core::BytesPerSecond(80e9),
                                                spec.node[1].interconnect->latency),
                              "the bus as fast as the others");
       }},
       0.8},
      {"straggler",
       {"vgg-16", 64, {}, {}},
       "data-parallel",
       [](core::ClusterSpec& c) { c = with_node_speed(c, 3, 0.25); },
       [](Strategy&) {},
       FactKind::kStraggler,
       "as fast as them",
       {[](Session& s) {
         auto spec = without_node(s.design().cluster->spec(), 3);
         if (!spec) return core::Status(tl::unexpected(spec.error()));
         return s.set_cluster(std::move(*spec), "without node3");
       }},
       0.7},
      {"unbalanced-stage",
       gpt(32, 8, 512),
       "dp=4,pp=4,micro_batch=1",
       [](core::ClusterSpec&) {},
       [](Strategy& s) {
         // What was the second stage's and the third's but for one operator is the first one's.
         std::size_t third = 0;
         for (std::size_t i = 0; i < s.ops.size(); ++i)
           if (s.ops[i].stage == 2) third = i;
         for (std::size_t i = 0; i < third; ++i)
           if (s.ops[i].stage == 1 || s.ops[i].stage == 2) {
             std::size_t kept = 0;
             for (std::size_t j = i + 1; j < s.ops.size(); ++j) kept += s.ops[j].stage == 1 ? 1 : 0;
             if (s.ops[i].stage == 1 && kept > 0) {
               s.ops[i].stage = 0;
               s.ops[i].devices = s.ops[0].devices;
             }
           }
       },
       FactKind::kBubble,
       "those of other stages for ",
       {[](Session& s) { return add(s, "dp=4,pp=4,micro_batch=1"); }},
       0.9},
      {"wrong-bucket",
       gpt(32, 8, 512),
       "data-parallel",
       [](core::ClusterSpec&) {},
       [](Strategy& s) { s.bucket = core::Bytes(std::int64_t{4} << 30); },
       FactKind::kCommunication,
       "bucket=25MB",
       {[](Session& s) {
         return s.edit("bucket of 8 MiB", [](Strategy& now) -> core::Status {
           now.bucket = core::Bytes(8 << 20);
           return {};
         });
       }},
       0.97},
      {"bad-placement",
       gpt(16, 8, 1024),
       "dp=4,tp=4",
       [](core::ClusterSpec&) {},
       [](Strategy& s) {
         // Tensor-parallel ranks on four nodes instead of in one.
         for (auto& o : s.ops)
           for (auto& d : o.devices) d = core::DeviceId(d.value % 4 * 4 + d.value / 4);
       },
       FactKind::kCommunication,
       "Each group lies on 4 nodes",
       {[](Session& s) { return add(s, "dp=4,tp=4"); }},
       0.95},
      {"memory-overflow",
       gpt(64, 12, 1024),
       "dp=16,micro_batch=1",
       [](core::ClusterSpec& c) { c = with_memory(c, 0, core::Bytes(1536LL << 20)); },
       [](Strategy&) {},
       FactKind::kMemory,
       " too much",
       {[](Session& s) { return add(s, "dp=16,micro_batch=1,zero=1,recompute=full"); }},
       0},
  };
}

Design made_of(const Fault& fault, Session& s) {
  Session::Beginning beginning;
  beginning.model = fault.model;
  beginning.cluster = "p100-4x4";
  beginning.strategies = {fault.strategy};
  s.begin(beginning);
  s.finish_jobs();
  Design d = s.design();
  core::ClusterSpec spec = d.cluster->spec();
  spec.name = fault.name;
  fault.cluster(spec);
  spec.name = fault.name;
  d.cluster = std::make_shared<const core::Cluster>(core::Cluster::build(std::move(spec)).value());
  Strategy strategy = *d.shown()->strategy;
  fault.spoil(strategy);
  NamedStrategy& named = d.strategies[0];
  if (!(strategy == *named.strategy)) {
    named.strategy = std::make_shared<const Strategy>(std::move(strategy));
    named.name = fault.name;
    named.origin = fault.name;
  }
  d.baseline.reset();
  return d;
}

std::vector<simulator::Fact> facts_of(Session& s) {
  const auto e = s.shown();
  const Design& d = s.design();
  const auto analysis = simulator::analyse(e->plan, e->trace).value();
  return simulator::explain(
      {*d.graph, *d.shown()->strategy, *d.cluster, e->plan, e->trace, analysis});
}

class FaultSamples : public testing::TestWithParam<Fault> {};

TEST_P(FaultSamples, TheFileIsWhatItIsMadeOf) {
  const Fault& fault = GetParam();
  Work w;
  const DesignDocument document = to_document(made_of(fault, *w));
  const std::string path =
      std::string(SOAPSTONE_SOURCE_DIR "/samples/faults/") + fault.name + ".json";
  const char* update = std::getenv("SOAPSTONE_UPDATE_SAMPLES");
  if (update && std::string_view(update) == "1") {
    ASSERT_TRUE(core::save_document(path, document));
  }
  const auto committed = core::load_document<DesignDocument>(path);
  ASSERT_TRUE(committed) << committed.error().message << "; SOAPSTONE_UPDATE_SAMPLES=1 writes it";
  EXPECT_EQ(*committed, document) << "write it with SOAPSTONE_UPDATE_SAMPLES=1";
}

TEST_P(FaultSamples, IsNamedAtOnceAndMendedInFourActions) {
  const Fault& fault = GetParam();
  Work w;
  w->open(std::string("sample:") + fault.name);
  w->finish_jobs();
  ASSERT_NE(w->shown(), nullptr);
  const core::Nanoseconds before = w->shown()->step_time;
  // What stands first is what is wrong.
  const simulator::Fact first = facts_of(*w).at(0);
  std::string all = first.about + ": " + first.text;
  for (const std::string& hint : first.hints) all += "\n  try " + hint;
  EXPECT_EQ(first.kind, fault.kind) << all;
  EXPECT_NE(all.find(fault.says), std::string::npos) << all;
  if (fault.at_most == 0) {
    EXPECT_NE(w->shown()->why_not, "") << "it should not fit";
  }
  ASSERT_LE(fault.actions.size(), 4u);
  for (const auto& action : fault.actions) {
    const auto status = action(*w);
    ASSERT_TRUE(status) << status.error().message;
    w->finish_jobs();
  }
  for (const Message& m : w->messages()) EXPECT_EQ(m.kind, Message::Kind::kNote) << m.text;
  ASSERT_NE(w->shown(), nullptr);
  EXPECT_EQ(w->shown()->why_not, "");
  if (fault.at_most > 0) {
    EXPECT_LE(static_cast<double>(w->shown()->step_time.value),
              fault.at_most * static_cast<double>(before.value))
        << all;
  }
}

INSTANTIATE_TEST_SUITE_P(, FaultSamples, testing::ValuesIn(faults()), [](const auto& fault) {
  std::string name = fault.param.name;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

}  // namespace
}  // namespace soapstone::explorer
