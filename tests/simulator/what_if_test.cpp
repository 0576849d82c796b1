#include "simulator/analysis/what_if.hpp"

#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/linear.hpp"
#include "search/parallelism.hpp"
#include "simulator/analysis/explain.hpp"
#include "simulator/simulate.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;
using tests::FakeCosts;
using tests::small_cluster;

// fc1, fc2 without biases, loss; a batch of 12.
Graph two_layers() {
  GraphBuilder g("two-layers");
  auto x = g.source("x", {{12, 8}, DType::kF32, {}});
  const auto y = g.source("labels", {{12}, DType::kI32, {}}, 4);
  x = g.add("fc1", Linear{.out_features = {8}, .bias = false}, {x});
  x = g.add("fc2", Linear{.out_features = {4}, .bias = false}, {x});
  return g.build_with_loss(x, y).value();
}

std::vector<DeviceId> devices(std::uint32_t n) {
  std::vector<DeviceId> out;
  for (std::uint32_t d = 0; d < n; ++d) out.push_back(DeviceId(d));
  return out;
}

// Two devices: forward 3 steps, backward 4 of 10 ms, sums of 4 ms per message of which the last is
// exposed, two updates of 1 ms (as in simulate_test.cpp).
struct Bench {
  Graph graph = two_layers();
  Cluster cluster = small_cluster(1, 2, 2);
  NominalCatalog catalog;
  FakeCosts costs;
  Strategy strategy;

  Bench() {
    costs.on_compute = [](auto&, auto&) { return 10_ms; };
    costs.on_message = [](auto, auto, Bytes size, auto) {
      return size.value > 0 ? 4_ms : 1_ms;  // 1 ms of latency
    };
    costs.on_update = [](auto) { return 1_ms; };
    strategy = data_parallel(graph, devices(2));
  }
  Result<Outcome> outcome(const std::string& text) const {
    SOAPSTONE_ASSIGN(const Change change, parse_change(text));
    SOAPSTONE_TRY(check(change, graph, cluster));
    return what_if({graph, strategy, cluster, costs, catalog}, std::span(&change, 1));
  }
  Nanoseconds step(const std::string& text) const { return outcome(text).value().trace.step_time; }
};

TEST(WhatIf, ChangesWhatItNamesAndNothingElse) {
  const Bench b;
  const Nanoseconds all = 70_ms + 4_ms + 2_ms;
  EXPECT_EQ(b.step("op:fc1*1"), all);
  EXPECT_EQ(b.step("op:fc1*2"), all - 2 * 5_ms);      // forward, gradient of weights
  EXPECT_EQ(b.step("op:fc2=free"), all - 3 * 10_ms);  // and that of inputs
  // Both sums begin after the loss, and queue.
  EXPECT_EQ(b.step("op:fc**2"), 20_ms + 5 * 5_ms + 4_ms + 2_ms);
  EXPECT_EQ(b.step("op:fc*=free"), 20_ms + 2 * 4_ms + 2_ms);
  EXPECT_EQ(b.step("device:toy*2"), 35_ms + 4_ms + 1_ms);
  EXPECT_EQ(b.step("device:1*0.5"), 2 * 70_ms + 4_ms + 2 * 2_ms);
  EXPECT_EQ(b.step("device:device1*0.5"), b.step("device:1*0.5"));
  // 3 ms of a message are its bytes.
  EXPECT_EQ(b.step("link:pcie*3"), all - 2_ms);
  EXPECT_EQ(b.step("link:all=free"), all - 3_ms);
  EXPECT_EQ(b.step("link:device0*0.5"), all + 3_ms);
}

TEST(WhatIf, ATaskIsChangedWhereItIsNamed) {
  Bench b;
  const Nanoseconds all = 70_ms + 4_ms + 2_ms;
  EXPECT_EQ(b.step("task:fc1 forward*2"), all - 5_ms);  // fc1 has a gradient of weights as well
  EXPECT_EQ(b.step("task:fc1 forward=free"), all - 10_ms);
  EXPECT_EQ(b.step("task:fc1 forward@1*0.5"), all + 10_ms);
  // Device 0 waits for device 1 in the sums, so that it gains nothing by itself.
  EXPECT_EQ(b.step("task:fc1 forward@1*2"), all);
  EXPECT_EQ(b.step("task:fc1.weight update*0.5"), all + 1_ms);
  // Two micro-batches compute everything twice.
  b.strategy.micro_batches = 2;
  const Nanoseconds twice = b.step("op:fc1*1");
  EXPECT_EQ(b.step("task:fc1 forward#1*2"), twice - 5_ms);
  EXPECT_EQ(b.step("task:fc1 forward*2"), twice - 2 * 5_ms);
  EXPECT_EQ(b.step("task:fc1 forward#0@0*0.5"), twice + 10_ms);
}

TEST(WhatIf, ATasksNameComesBack) {
  const TaskName name = parse_task_name("fc1 forward#2@3");
  EXPECT_EQ(name, (TaskName{"fc1 forward", std::uint16_t{2}, DeviceId(3)}));
  EXPECT_EQ(name.text(), "fc1 forward#2@3");
  // Marks without a number belong to the name.
  EXPECT_EQ(parse_task_name("a@b forward#x").label, "a@b forward#x");
  EXPECT_EQ(words(parse_change("task:fc1 forward#2@3*4").value()),
            "fc1 forward in micro-batch 2 on device 3 takes 0.25 times as long");
  EXPECT_EQ(words(parse_change("task:fc1 forward=free").value()), "fc1 forward takes no time");
}

TEST(WhatIf, SaysWhichTasksThereAre) {
  const Bench b;
  const std::pair<const char*, const char*> wrong[] = {
      {"task:fc1 forwards*2", "no task is called `fc1 forwards`; did you mean `fc1 forward`?"},
      {"task:fc1 forward#1*2", "fc1 forward is not done in micro-batch 1"},
      {"task:fc1 forward@7*2", "cluster small has the devices 0 to 1"},
      {"task:fc1.weight gradient all-reduce*2",
       "moves data; how long that takes follows from its links"},
  };
  for (const auto& [text, message] : wrong) {
    const auto outcome = b.outcome(text);
    ASSERT_FALSE(outcome) << text;
    EXPECT_NE(outcome.error().message.find(message), std::string::npos) << outcome.error().message;
  }
}

TEST(WhatIf, TellsHowMuchFasterEveryLinkIs) {
  const Bench b;
  const Change half = parse_change("link:device0*0.5").value();
  const std::vector<double> factors = bandwidth_factors(b.cluster, std::span(&half, 1));
  ASSERT_EQ(factors.size(), b.cluster.links().size());
  for (std::size_t l = 0; l < factors.size(); ++l)
    EXPECT_EQ(factors[l], b.cluster.links()[l].name.starts_with("device0 ") ? 0.5 : 1.0);
}

TEST(WhatIf, TellsLatencyFromBandwidth) {
  Bench b;
  ClusterSpec spec = b.cluster.spec();
  spec.node[0].interconnect->latency = 1_ms;
  b.cluster = Cluster::build(spec).value();
  EXPECT_EQ(b.step("latency:pcie=free"), 70_ms + 3_ms + 2_ms);
  EXPECT_EQ(b.step("latency:pcie*3"), 70_ms + 6_ms + 2_ms);
}

TEST(WhatIf, ADeviceMoreTakesItsShareOfTheSamples) {
  Bench b;
  b.costs.on_compute = [](const LocalProblem& p, const Step&) {
    return Nanoseconds(1'000'000 * p.axes[0].extent());
  };
  const Outcome o = b.outcome("add:device").value();
  EXPECT_EQ(o.cluster.size(), 3u);
  for (const OpStrategy& s : o.strategy.ops) {
    EXPECT_EQ(s.degrees[0], 3);
    EXPECT_EQ(s.devices, devices(3));
  }
  EXPECT_LT(o.trace.step_time, b.step("op:fc1*1"));
}

TEST(WhatIf, AStageMoreIsNotDataParallelism) {
  Bench b;
  b.graph = build_model("mlp", {.batch = 12}).value();
  b.cluster = small_cluster(2, 4, 2);
  b.strategy = search::hybrid(b.graph, b.cluster,
                              search::parse_parallelism("dp=2,tp=2,pp=2,micro_batch=3").value())
                   .value();
  const Outcome o = b.outcome("add:node").value();
  EXPECT_EQ(o.cluster.size(), 12u);
  EXPECT_EQ(o.strategy.ops[0].degrees[0], 3);
  std::vector<DeviceId> all;
  for (const OpStrategy& s : o.strategy.ops)
    for (const DeviceId d : s.devices)
      if (std::find(all.begin(), all.end(), d) == all.end()) all.push_back(d);
  EXPECT_EQ(all.size(), 12u);
  const auto refused = b.outcome("add:device");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_EQ(refused.error().message,
            "add:device: 1 new device cannot be shared among parts of the samples, each of which "
            "takes 4 devices");
  const Bench alone;
  EXPECT_EQ(alone.outcome("add:node").error().message,
            "add:node: cluster small is one node and says of no network that could join another");
}

TEST(WhatIf, TextsComeBack) {
  for (const char* text :
       {"op:fc1=free", "op:fc**2", "link:network*2", "latency:nvlink*0.5", "device:3*0.5",
        "task:fc1 forward#2@3*0.5", "link:node0 network out*10", "add:node"})
    EXPECT_EQ(to_text(parse_change(text).value()), text);
  EXPECT_EQ(words(parse_change("link:network*2").value()),
            "links `network` with 2 times the bandwidth");
}

TEST(WhatIf, SaysWhatIsWrongWithAText) {
  const std::pair<const char*, const char*> wrong[] = {
      {"fc1=free", "`fc1=free`: a `:` is missing; accepted: op:NAME, task:NAME, device:WHICH"},
      {"operator:fc1=free", "nothing is called `operator`; accepted: "},
      {"op:fc1", "`*K` or `=free` is missing"},
      {"op:fc1*fast", "the factor `fast` is no number above 0"},
      {"op:fc1*0", "the factor `0` is no number above 0"},
      {"op:=free", "a name is missing"},
      {"add:rack", "`rack` cannot be added; "},
      {"op:fc3=free", "two-layers has no operator `fc3`; did you mean `fc1`?"},
      {"device:7*2", "cluster small has the devices 0 to 1"},
      {"device:p100*2", "has no device, node or kind `p100`; "},
      {"link:nvlink*2", "cluster small has no link `nvlink`; accepted: all, pcie"},
  };
  const Bench b;
  for (const auto& [text, message] : wrong) {
    const auto outcome = b.outcome(text);
    ASSERT_FALSE(outcome) << text;
    EXPECT_EQ(outcome.error().kind, ErrorKind::kUsage);
    EXPECT_NE(outcome.error().message.find(message), std::string::npos) << outcome.error().message;
  }
}

TEST(Explain, TellsFirstWhatWouldSaveMost) {
  Bench b;
  b.costs.on_message = [](auto, auto, auto, auto) { return 40_ms; };
  const Plan plan = lower(b.graph, b.strategy, b.cluster, b.catalog).value();
  const Trace trace = simulate(b.graph, plan, b.cluster, b.costs).value();
  const StepAnalysis analysis = analyse(plan, trace).value();
  // The first sum begins after 60 ms, 10 ms before the end of computing. The second wants the same
  // ports.
  ASSERT_EQ(trace.step_time, 60_ms + 80_ms + 2_ms);
  const auto facts = explain({b.graph, b.strategy, b.cluster, plan, trace, analysis});
  ASSERT_EQ(facts.size(), 5u);
  EXPECT_EQ(facts[0].kind, FactKind::kCommunication);
  EXPECT_EQ(facts[0].about, "all-reduce of gradients over 0-1");
  EXPECT_EQ(facts[0].time, 70_ms);
  EXPECT_EQ(facts[0].saves, trace.step_time - 72_ms);
  EXPECT_NEAR(facts[0].share, 70.0 / 142, 1e-12);
  EXPECT_NE(facts[0].text.find("49 % of the step (70 ms) is exposed all-reduce of gradients over "
                               "0-1; without it the step would take 72 ms."),
            std::string::npos)
      << facts[0].text;
  for (std::size_t k = 1; k + 1 < facts.size(); ++k) EXPECT_LE(facts[k].saves, facts[k - 1].saves);
  EXPECT_EQ(facts[1].kind, FactKind::kOperator);
  EXPECT_EQ(facts.back().kind, FactKind::kMemory);
  EXPECT_EQ(facts.back().bytes, plan.classes[0].arena);
}

TEST(Explain, SaysInASentenceWhyAStepIsFaster) {
  Waterfall w;
  w.first = 5_ms;
  w.second = 47_ms;
  const auto term = [&](const char* name, Nanoseconds first, Nanoseconds second) {
    WaterfallTerm& t = w.terms.emplace_back();
    t.name = name;
    t.first = first;
    t.second = second;
  };
  term("all-reduce of gradients", 1_ms, 42_ms);
  term("forward", 4_ms, 1_ms);
  term("update", 0_ms, 4_ms);
  term("bubble", 0_ms, 1_us);
  EXPECT_EQ(why(w, "#1", "data-parallel"),
            "#1 takes 5 ms, 42 ms less than data-parallel (47 ms): 41 ms less all-reduce of "
            "gradients, 3 ms more forward, 4 ms less update.");
}

}  // namespace
}  // namespace soapstone::simulator
