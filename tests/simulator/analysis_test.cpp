#include <gtest/gtest.h>

#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/strategy.hpp"
#include "core/units.hpp"
#include "simulator/analysis/accuracy.hpp"
#include "simulator/analysis/diff.hpp"
#include "simulator/analysis/memory.hpp"
#include "simulator/analysis/utilization.hpp"
#include "simulator/simulate.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;

Trace traced(Nanoseconds per_step, Nanoseconds per_message) {
  const Graph graph = build_model("mlp").value();
  const Cluster cluster = tests::small_cluster(1, 2, 1);
  const NominalCatalog catalog;
  tests::FakeCosts costs;
  costs.on_compute = [=](auto&, auto&) { return per_step; };
  costs.on_message = [=](auto, auto, auto, auto) { return per_message; };
  const std::vector<DeviceId> both{DeviceId(0), DeviceId(1)};
  return simulate(graph, lower(graph, data_parallel(graph, both), cluster, catalog).value(),
                  cluster, costs)
      .value();
}

// mlp: what it keeps, and at the end of the forward pass the batch and what every layer made.
TEST(Memory, EveryByteHasAHolder) {
  const Graph graph = build_model("mlp").value();
  const Cluster cluster = tests::small_cluster(1, 2, 1);
  for (const Offload offload : {Offload::kNone, Offload::kOptimizer}) {
    Strategy strategy = data_parallel(graph, std::vector{DeviceId(0), DeviceId(1)});
    for (OpStrategy& s : strategy.ops) s.offload = offload;
    const Plan plan =
        lower(graph, strategy, cluster, NominalCatalog{}, {.optimizer_states = 2}).value();
    const auto rows = memory_of_devices(plan);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].devices, "0-1");
    const MemoryHolders& m = rows[0].holders;
    const Bytes weights = size_of(DType::kF32) * graph.parameter_count();
    EXPECT_EQ(m.allocated(), plan.classes[0].arena);
    EXPECT_EQ(m.weights, weights);
    EXPECT_EQ(m.workspace, Bytes(0));
    EXPECT_GT(m.gradients, Bytes(0));
    EXPECT_LE(m.gradients, weights);
    EXPECT_GE(m.unused, Bytes(0));
    if (offload == Offload::kNone) {
      EXPECT_EQ(m.optimizer, 2 * weights);
      EXPECT_EQ(m.host, Bytes(0));
    } else {
      EXPECT_EQ(m.optimizer, Bytes(0));
      EXPECT_GE(m.host, 2 * weights);
    }
    const std::string table = text(rows, 8);
    EXPECT_EQ(table.find("host") != std::string::npos, offload != Offload::kNone) << table;
    EXPECT_NE(table.find(human_text(weights)), std::string::npos) << table;
  }
}

// Nothing but two buffers that live one after the other and one that lives beside both.
TEST(Memory, CountsWhatLivesAtThePeak) {
  DeviceClass p;
  p.members = {DeviceId(3)};
  p.buffers = {{BufferKind::kActivation, kNoIndex, DType::kF32, {}, Bytes(100)},
               {BufferKind::kActivationGradient, kNoIndex, DType::kF32, {}, Bytes(300)},
               {BufferKind::kStaging, kNoIndex, DType::kF32, {}, Bytes(40)}};
  const auto task = [&](std::vector<BufferUse> uses) {
    Task t;
    t.first_use = static_cast<std::uint32_t>(p.uses.size());
    t.use_count = static_cast<std::uint32_t>(uses.size());
    p.uses.insert(p.uses.end(), uses.begin(), uses.end());
    p.tasks.push_back(t);
  };
  task({{0, UseAccess::kWrite}, {2, UseAccess::kWrite}});
  task({{1, UseAccess::kWrite}, {2, UseAccess::kRead}});
  Plan plan;
  plan.classes = {p};
  place_buffers(plan);
  const MemoryHolders m = memory_holders(plan.classes[0]);
  EXPECT_EQ(m.activations, Bytes(300));
  EXPECT_EQ(m.communication, Bytes(40));
  // 320 and 64 bytes are allocated.
  EXPECT_EQ(m.allocated(), Bytes(384));
  EXPECT_EQ(m.unused, Bytes(44));
  EXPECT_EQ(memory_of_devices(plan)[0].devices, "3");
}

// Device 0 computes 4 of 10 ms, sends for 3, of which 2 beside computing, after 1 of waiting;
// device 1 does nothing but to compute for 5.
TEST(Utilization, AddsUpToTheWholeStep) {
  Trace t;
  t.step_time = 10_ms;
  t.lanes = {{DeviceId(0), LaneKind::kCompute},
             {DeviceId(0), LaneKind::kCommunication},
             {DeviceId(1), LaneKind::kCompute}};
  const auto add = [&](std::uint32_t lane, TaskKind kind, Nanoseconds start, Nanoseconds end,
                       Nanoseconds waiting) {
    t.spans.lane.push_back(lane);
    t.spans.kind.push_back(kind);
    t.spans.start.push_back(start);
    t.spans.end.push_back(end);
    t.spans.waiting.push_back(waiting);
  };
  add(0, TaskKind::kCompute, 0_ms, 3_ms, 0_ms);
  add(0, TaskKind::kUpdate, 3_ms, 4_ms, 0_ms);
  add(1, TaskKind::kTransfer, 1_ms, 5_ms, 1_ms);
  add(2, TaskKind::kCompute, 5_ms, 10_ms, 0_ms);
  // The columns that it does not look at.
  t.spans.task.resize(4);
  const auto devices = utilization_of_devices(t);
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_NEAR(devices[0].use.computing, 0.4, 1e-12);
  EXPECT_NEAR(devices[0].use.exposed_communication, 0.1, 1e-12);
  EXPECT_NEAR(devices[0].use.idle, 0.5, 1e-12);
  EXPECT_NEAR(devices[1].use.computing, 0.5, 1e-12);
  EXPECT_EQ(text(utilization(t)), "computing 45 %, exposed communication 5 %, idle 50 %");
  EXPECT_EQ(utilization(Trace{}), Utilization{});
}

TEST(Diff, OfATraceWithItselfIsNothing) {
  const Trace t = traced(10_ms, 1_ms);
  const TraceDiff d = diff(t, t).value();
  EXPECT_TRUE(d.same_plan);
  EXPECT_EQ(d.step_relative_error, 0);
  EXPECT_EQ(d.unmatched, 0);
  for (const auto& row : d.labels) EXPECT_EQ(row.busy.predicted, row.busy.measured);
}

TEST(Diff, FindsWhatIsOff) {
  const Trace predicted = traced(10_ms, 1_ms), measured = traced(12_ms, 1_ms);
  const TraceDiff d = diff(predicted, measured, 3).value();
  EXPECT_NEAR(d.step_relative_error,
              static_cast<double>(predicted.step_time.value - measured.step_time.value) /
                  static_cast<double>(measured.step_time.value),
              1e-12);
  for (const auto& row : d.kinds) {
    EXPECT_EQ(row.predicted_spans, row.measured_spans);
    EXPECT_NEAR(row.busy.relative_error(), row.name == "compute" ? -2.0 / 12 : 0, 1e-12)
        << row.name;
  }
  ASSERT_EQ(d.worst.size(), 3u);
  for (const auto& s : d.worst) EXPECT_EQ(s.busy, (TimePair{10_ms, 12_ms}));
  const std::string printed = text(d);
  EXPECT_NE(printed.find("compute"), std::string::npos);
  EXPECT_NE(printed.find("-16.7 %"), std::string::npos) << printed;
}

TEST(Diff, CallsTracesWhatTheyAre) {
  Trace a = traced(10_ms, 1_ms), b = traced(12_ms, 1_ms);
  std::string printed = text(diff(a, b).value());
  for (const char* word :
       {"first step ", "second step ", "difference", "Both traces are predicted."})
    EXPECT_NE(printed.find(word), std::string::npos) << word << " in\n" << printed;
  EXPECT_EQ(printed.find("measured"), std::string::npos) << printed;
  b.origin = TraceOrigin::kMeasured;
  printed = text(diff(a, b).value());
  EXPECT_LT(printed.find("predicted step"), printed.find("measured step"));
  EXPECT_NE(printed.find("error"), std::string::npos);
  EXPECT_EQ(printed.find("first"), std::string::npos) << printed;
  printed = text(diff(b, a).value());  // the other way round
  EXPECT_LT(printed.find("measured step"), printed.find("predicted step"));
  EXPECT_EQ(printed.find("error"), std::string::npos) << printed;
}

TEST(Diff, ComparesDifferentPlansByNameAndDifferentGraphsNotAtAll) {
  Trace a = traced(10_ms, 1_ms), b = a;
  b.plan_hash ^= 1;
  const TraceDiff d = diff(a, b).value();
  EXPECT_FALSE(d.same_plan);
  EXPECT_EQ(d.difference,
            fmt::format("another cluster, optimizer, clipping or kernels (plan {} and {})",
                        hex(a.plan_hash), hex(b.plan_hash)));
  EXPECT_TRUE(d.worst.empty());
  EXPECT_FALSE(d.labels.empty());
  b.graph = "other";
  EXPECT_EQ(diff(a, b).error().message, "the traces are of different graphs: mlp and other");
}

TEST(Accuracy, InMentalArithmetic) {
  // Errors 10 %, 0 %, 20 %; the mean is 20 ms, wrong by 100 %, 0 % and 33 1/3 %.
  const std::vector<StrategyTimes> times{
      {"a", 11_ms, 10_ms}, {"b", 20_ms, 20_ms}, {"c", 24_ms, 30_ms}};
  const Accuracy a = accuracy(times);
  EXPECT_NEAR(a.mean_error, 0.1, 1e-12);
  EXPECT_NEAR(a.worst_error, 0.2, 1e-12);
  EXPECT_EQ(a.worst_strategy, "c");
  EXPECT_NEAR(a.error_of_mean, (1.0 + 0 + 1.0 / 3) / 3, 1e-12);
  EXPECT_EQ(a.pairs_apart, 3);
  EXPECT_EQ(a.pairs_in_order, 3);
  EXPECT_NEAR(a.spread, 3, 1e-12);
}

TEST(Accuracy, CountsOnlyPairsThatAreApart) {
  // 10 and 11 are not apart; 13 was predicted below both.
  const std::vector<StrategyTimes> times{
      {"a", 12_ms, 10_ms}, {"b", 11_ms, 11_ms}, {"c", 10_ms, 13_ms}};
  const Accuracy a = accuracy(times);
  EXPECT_EQ(a.pairs_apart, 2);
  EXPECT_EQ(a.pairs_in_order, 0);
  EXPECT_EQ(accuracy({}).strategies, 0);
}

}  // namespace
}  // namespace soapstone::simulator
