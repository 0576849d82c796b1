#include "simulator/simulate.hpp"

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/graph.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/add.hpp"
#include "core/ops/linear.hpp"
#include "search/space.hpp"
#include "simulator/roofline_model.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;
using tests::FakeCosts;
using tests::small_cluster;

// fc1, fc2 without biases, loss; a batch of 6.
Graph two_layers() {
  GraphBuilder g("two-layers");
  auto x = g.source("x", {{6, 8}, DType::kF32, {}});
  const auto y = g.source("labels", {{6}, DType::kI32, {}}, 4);
  x = g.add("fc1", Linear{.out_features = {8}, .bias = false}, {x});
  x = g.add("fc2", Linear{.out_features = {4}, .bias = false}, {x});
  return g.build_with_loss(x, y).value();
}

struct Bench {
  Graph graph = two_layers();
  Cluster cluster;
  NominalCatalog catalog;
  FakeCosts costs;
  LowerOptions options;

  explicit Bench(Cluster c) : cluster(std::move(c)) {}
  Plan plan(const Strategy& s) const { return lower(graph, s, cluster, catalog, options).value(); }
  Trace trace(const Strategy& s) const { return simulate(graph, plan(s), cluster, costs).value(); }
};

std::vector<DeviceId> devices(std::uint32_t n) {
  std::vector<DeviceId> out;
  for (std::uint32_t d = 0; d < n; ++d) out.push_back(DeviceId(d));
  return out;
}

std::size_t span_of(const Trace& t, std::string_view label, DeviceId device) {
  for (std::size_t i = 0; i < t.spans.size(); ++i)
    if (t.labels[t.spans.label[i]] == label && t.lanes[t.spans.lane[i]].device == device) return i;
  ADD_FAILURE() << "no span " << label << " on device " << device.value;
  return 0;
}

TEST(Simulate, ChainOverTwoDevicesIsTheSumOfItsParts) {
  Bench b(small_cluster(1, 2, 2));
  b.options.training = false;
  b.costs.on_compute = [](auto&, auto&) { return 10_ms; };
  b.costs.on_message = [](auto, auto, auto, auto) { return 1_ms; };
  Strategy s = single_device(b.graph);
  s.ops[1].devices = s.ops[2].devices = {DeviceId(1)};
  // fc1, the message, fc2, the two steps of the loss in an evaluation.
  EXPECT_EQ(b.trace(s).step_time, 10_ms + 1_ms + 10_ms + 10_ms + 10_ms);
}

TEST(Simulate, PackingAndUnpackingBelongToATransfer) {
  Bench b(small_cluster(1, 2, 2));
  b.options.training = false;
  b.costs.on_compute = [](auto&, auto&) { return 10_ms; };
  b.costs.on_message = [](auto, auto, auto, auto) { return 1_ms; };
  // 6 × 8 floats are packed and unpacked: 192 bytes read and written.
  b.costs.on_copy = [](Bytes read, Bytes written) {
    return read == 192_B && written == 192_B ? 2_ms : 0_ms;
  };
  Strategy s = single_device(b.graph);
  s.ops[1].devices = s.ops[2].devices = {DeviceId(1)};
  // The load of x is 192 bytes too.
  EXPECT_EQ(b.trace(s).step_time, 2_ms + 10_ms + (2_ms + 1_ms + 2_ms) + 10_ms + 10_ms + 10_ms);
}

TEST(Simulate, GradientSumsHideBehindTheBackwardPass) {
  for (const int lanes : {1, 2}) {
    Bench b(small_cluster(1, 2, lanes));
    b.costs.on_compute = [](auto&, auto&) { return 10_ms; };
    b.costs.on_message = [](auto, auto, auto, auto) { return 3_ms; };
    b.costs.on_update = [](auto) { return 1_ms; };
    const Trace t = b.trace(data_parallel(b.graph, devices(2)));
    // Forward 3, backward 2 + 1 + 1 steps (fc1's input needs no gradient), two sums of one round,
    // two updates.
    const Nanoseconds compute = 7 * 10_ms, sum = 3_ms, updates = 1_ms + 1_ms;
    EXPECT_EQ(compute.value, (3 + 1 + 2 + 1) * (10_ms).value);
    EXPECT_EQ(t.step_time, compute + sum + updates) << lanes << " lanes";
  }
}

TEST(Simulate, OnOneLaneTheLinkHidesBehindComputingAndCopiesDoNot) {
  for (const Nanoseconds message : {5_ms, 1_ms}) {
    Bench b(small_cluster(1, 2, 1));
    b.costs.on_compute = [](auto&, auto&) { return 10_ms; };
    b.costs.on_message = [=](auto, auto, auto, auto) { return message; };
    b.costs.on_update = [](auto) { return 1_ms; };
    // fc1.weight and fc2.weight. Adding reads twice as much as it writes.
    b.costs.on_copy = [](Bytes read, Bytes written) {
      return written == 256_B || written == 128_B ? (read == written ? 3_ms : 1_ms) : 0_ms;
    };
    const Trace t = b.trace(data_parallel(b.graph, devices(2)));
    // A device sends and receives a message per sum. A copy takes no longer than its message.
    const Nanoseconds copy = std::min(3_ms, message), add = 1_ms;
    const Nanoseconds sums = 2 * (2 * copy + add);
    EXPECT_EQ(t.step_time, 7 * 10_ms + sums + 1_ms + 1_ms);
  }
}

TEST(Simulate, WhoWaitsForATransferCopiesMeanwhile) {
  Bench b(small_cluster(1, 2, 1));
  b.options.training = false;
  b.costs.on_compute = [](auto&, auto&) { return 10_ms; };
  b.costs.on_message = [](auto, auto, auto, auto) { return 5_ms; };
  // Loading x, packing and unpacking it, and each end's copy of the message.
  b.costs.on_copy = [](Bytes read, Bytes written) {
    return read == 192_B && written == 192_B ? 2_ms : 0_ms;
  };
  Strategy s = single_device(b.graph);
  s.ops[1].devices = s.ops[2].devices = {DeviceId(1)};
  const Trace t = b.trace(s);
  EXPECT_EQ(t.step_time, 2_ms + 10_ms + (2_ms + 5_ms + 2_ms) + 10_ms + 10_ms + 10_ms);
  // In training device 0 has copied what it sent long before the gradient comes back, device 1 adds
  // its copy of that to the end.
  b.options.training = true;
  const Trace trained = b.trace(s);
  const Nanoseconds there = 2_ms + 10_ms + 2_ms + 5_ms + 2_ms;
  // fc2, the loss forward and backward, fc2's input; then packing.
  const Nanoseconds back = there + 4 * 10_ms + 2_ms + 5_ms + 2_ms;
  const auto first = span_of(trained, "fc1 backward_weight", DeviceId(0));
  EXPECT_EQ(trained.spans.start[first], back);
  EXPECT_EQ(trained.step_time, back + 10_ms);
  const auto sent = span_of(trained, "fc1.y gradient boxes", DeviceId(1));
  EXPECT_EQ(trained.spans.end[sent], there + 4 * 10_ms + 2_ms + 10_ms + 2_ms);
}

TEST(Simulate, TransfersInFlightQueueAtAPort) {
  for (const int lanes : {1, 2}) {
    Bench b(small_cluster(1, 2, lanes));
    b.costs.on_compute = [](const LocalProblem& p, const Step& s) {
      const bool of_first = p.definition->operands[1].desc.shape == Shape{8, 8};
      return of_first && s.phase == Phase::kBackwardWeight ? 1_ms : 0_ms;
    };
    b.costs.on_message = [](auto, auto, auto, auto) { return 3_ms; };
    const Trace t = b.trace(data_parallel(b.graph, devices(2)));
    for (const DeviceId d : devices(2)) {
      const auto second = span_of(t, "fc2.weight gradient all-reduce", d),
                 first = span_of(t, "fc1.weight gradient all-reduce", d);
      EXPECT_EQ(t.spans.start[second], 0_ms);
      EXPECT_EQ(t.spans.end[second], 3_ms);
      EXPECT_EQ(t.spans.start[first], 1_ms);
      EXPECT_EQ(t.spans.end[first], 3_ms + 3_ms);
      EXPECT_EQ(t.spans.waiting[first], 0_ms);
      // Each in a lane of its own.
      EXPECT_NE(t.spans.lane[first], t.spans.lane[second]);
      EXPECT_EQ(t.lanes[t.spans.lane[first]].kind, LaneKind::kCommunication);
    }
    EXPECT_TRUE(check(t));
  }
}

// slow on device 0, quick on device 1, their sum on device 2: the message of quick comes later in
// the order and earlier in time.
TEST(Simulate, AMessageTakesTheGapBeforeAnother) {
  for (const Nanoseconds quick : {3_ms, 9_ms, 10_ms}) {
    Bench b(small_cluster(1, 3, 2));
    b.options.training = false;
    GraphBuilder g("branches");
    const auto x = g.source("x", {{6, 8}, DType::kF32, {}});
    const auto y = g.source("labels", {{6}, DType::kI32, {}}, 8);
    const auto slow_y = g.add("slow", Linear{.out_features = {8}, .bias = false}, {x});
    const auto quick_y = g.add("quick", Linear{.out_features = {8}}, {x});
    b.graph = g.build_with_loss(g.add("sum", Add{}, {slow_y, quick_y}), y).value();
    b.costs.on_compute = [](const LocalProblem& p, const Step&) {
      const bool has_bias = p.definition->operands.size() > 3;  // quick has one
      return p.op.name() != "linear" ? 0_ms : has_bias ? 1_ms : 10_ms;
    };
    b.costs.on_message = [=](DeviceId src, auto, auto, auto) {
      return src == DeviceId(1) ? quick : 3_ms;
    };
    Strategy s = single_device(b.graph);
    for (std::size_t op = 1; op < s.ops.size(); ++op)
      s.ops[op].devices = {DeviceId(op == 1 ? 1 : 2)};
    const Trace t = b.trace(s);
    EXPECT_EQ(t.spans.end[span_of(t, "slow.y boxes", DeviceId(2))], 10_ms + 3_ms);
    // From 1 ms to 10 ms the port is free.
    EXPECT_EQ(t.spans.end[span_of(t, "quick.y boxes", DeviceId(2))],
              quick <= 9_ms ? 1_ms + quick : 10_ms + 3_ms + quick);
  }
}

// Two devices of a node send to two of another node, in transfers of their own: the nodes' adapters
// carry one message at a time. Inside a node each pair of devices has a way of its own.
TEST(Simulate, DevicesOfANodeQueueAtItsAdapter) {
  GraphBuilder g("branches");
  const auto x = g.source("x", {{6, 8}, DType::kF32, {}});
  const auto z = g.source("z", {{6, 8}, DType::kF32, {}});
  const auto y = g.source("labels", {{6}, DType::kI32, {}}, 8);
  const auto one = g.add("two", Linear{.out_features = {8}, .bias = false},
                         {g.add("one", Linear{.out_features = {8}, .bias = false}, {x})});
  const auto other = g.add("four", Linear{.out_features = {8}, .bias = false},
                           {g.add("three", Linear{.out_features = {8}, .bias = false}, {z})});
  Graph graph = g.build_with_loss(g.add("sum", Add{}, {one, other}), y).value();
  for (const bool one_node : {false, true}) {
    Bench b(one_node ? small_cluster(1, 4, 2) : small_cluster(2, 2, 2));
    b.options.training = false;
    b.graph = graph;
    b.costs.on_message = [](auto, auto, auto, auto) { return 3_ms; };
    Strategy s = single_device(b.graph);
    const std::uint32_t places[] = {0, 2, 1, 3, 2, 2};
    for (std::size_t op = 0; op < s.ops.size(); ++op) s.ops[op].devices = {DeviceId(places[op])};
    const Trace t = b.trace(s);
    EXPECT_EQ(t.spans.end[span_of(t, "one.y boxes", DeviceId(2))], 3_ms);
    EXPECT_EQ(t.spans.end[span_of(t, "three.y boxes", DeviceId(3))], one_node ? 3_ms : 6_ms);
  }
}

// A table of 40 rows and 8 features: cut by rows, a device updates its share of the ids' rows.
TEST(Simulate, UpdatesOfRowsGoByTheRowsThatAreMet) {
  Bench b(small_cluster(1, 2, 1));
  b.graph = build_model("xdl",
                        {.batch = 10, .parameters = {{"tables", 1}, {"rows", 40}, {"features", 8}}})
                .value();
  b.options = lower_options(OptimizerKind::kSgd, 0, 0, TableOptimizer::kSame);
  b.costs.on_update_rows = [](std::int64_t rows, std::int64_t features) {
    return Nanoseconds(1000 * rows + features);
  };
  const auto taken = [&](const Strategy& s) {
    const Trace t = b.trace(s);
    const auto span = span_of(t, "table0.table update of rows", DeviceId(0));
    return t.spans.end[span] - t.spans.start[span];
  };
  Strategy s = single_device(b.graph);
  EXPECT_EQ(taken(s), 10_us + 8_ns);
  EXPECT_EQ(taken(data_parallel(b.graph, devices(2))), 10_us + 8_ns);  // each has the whole table
  s.ops[0].devices = devices(2);
  s.ops[0].degrees[2] = 2;  // d
  EXPECT_EQ(taken(s), 10_us + 4_ns);
  s.ops[0].degrees[2] = 1;
  s.ops[0].degrees[3] = 2;  // vocab
  EXPECT_EQ(taken(s), 5_us + 8_ns);
}

TEST(Simulate, TheEarlyOneWaitsForTheLateOne) {
  Bench b(small_cluster(1, 2, 1));
  // 10 ms per sample: 4 samples on device 0, 2 on device 1 (granules of the batch of 6 over 2 would
  // be even, so use 4 parts).
  b.costs.on_compute = [](const LocalProblem& p, const Step& s) {
    return s.phase == Phase::kForward ? Nanoseconds(0) : p.axes[0].extent() * 10_ms;
  };
  b.costs.on_message = [](auto, auto, auto, auto) { return 1_ms; };
  b.cluster = small_cluster(1, 4, 1);
  const Trace t = b.trace(data_parallel(b.graph, devices(4)));  // 2, 2, 1, 1 samples
  const auto sum = span_of(t, "fc2.weight gradient all-reduce", DeviceId(3));
  const auto late = span_of(t, "fc2.weight gradient all-reduce", DeviceId(0));
  EXPECT_EQ(t.spans.start[late] - t.spans.start[sum],
            10_ms * 3);  // loss, fc2's input and weight, a sample each
  EXPECT_EQ(t.spans.end[late], t.spans.end[sum]);
  EXPECT_EQ(t.spans.waiting[late], 0_ms);
  EXPECT_EQ(t.spans.waiting[sum], 10_ms * 3);
}

TEST(Simulate, FlowsOfARoundShareTheirBottleneck) {
  // Three nodes of two devices: both devices of a node send to the other nodes through one adapter.
  const Cluster cluster = small_cluster(2, 2, 2);
  Bench b(cluster);
  b.options.training = false;
  std::vector<std::tuple<std::uint32_t, std::uint32_t, int>> asked;
  b.costs.on_message = [&](DeviceId src, DeviceId dst, Bytes, int sharing) {
    asked.emplace_back(src.value, dst.value, sharing);
    return 1_ms;
  };
  // fc1 on devices 0, 1 by samples, fc2 on 2, 3: sample halves move 0 → 2 and 1 → 3, both over the
  // network.
  Strategy s = single_device(b.graph);
  s.ops[0].degrees[0] = 2;
  s.ops[0].devices = {DeviceId(0), DeviceId(1)};
  s.ops[1].degrees[0] = 2;
  s.ops[1].devices = {DeviceId(2), DeviceId(3)};
  s.ops[2].degrees[0] = 2;
  s.ops[2].devices = {DeviceId(2), DeviceId(3)};
  b.trace(s);
  std::sort(asked.begin(), asked.end());
  using Asked = std::tuple<std::uint32_t, std::uint32_t, int>;
  // Two groups of two devices each, which exchange nothing with each other: alone on the link in
  // their transfer.
  EXPECT_EQ(asked, (std::vector<Asked>{{0, 2, 1}, {1, 3, 1}}));

  // Now everybody of fc2 wants all samples: 0 and 1 each send to 2 and 3, four flows through one
  // adapter.
  asked.clear();
  s.ops[1] = {{1, 2, 1}, 1, {DeviceId(2), DeviceId(3)}};
  b.trace(s);
  std::sort(asked.begin(), asked.end());
  ASSERT_GE(asked.size(), 4u);
  EXPECT_EQ(asked[0], (Asked{0, 2, 4}));
  EXPECT_EQ(asked[1], (Asked{0, 3, 4}));
}

TEST(Simulate, MemoryIsAliveFromFirstUseToLast) {
  Bench b(small_cluster(1, 2, 1));
  b.costs.on_compute = [](auto&, auto&) { return 10_ms; };
  const Trace t = b.trace(single_device(b.graph));
  ASSERT_EQ(t.memory.size(), 1u);
  const MemoryCounter& m = t.memory[0];
  // Weights and their momentum: 8·8 + 4·8 floats, twice.
  const std::int64_t kept = 2 * 4 * (8 * 8 + 4 * 8);
  // While fc2 computes its gradients: x, labels, y1, y2's gradient, y1's gradient or fc2's.
  const std::int64_t x = 4 * 6 * 8, labels = 4 * 6, y1 = 4 * 6 * 8, g2 = 4 * 6 * 4;
  EXPECT_GE(m.live_peak.value, kept + x + labels + y1 + g2);
  EXPECT_LE(m.live_peak, m.arena);
  EXPECT_EQ(m.value.back().value,
            kept + 3 * 4);  // the three scalars of the loss are never given up before the end
}

TEST(Simulate, RefusesAPlanOfAnotherGraphOrCluster) {
  Bench b(small_cluster(1, 2, 1));
  Plan plan = b.plan(single_device(b.graph));
  const Cluster other = small_cluster(1, 3, 1);
  EXPECT_EQ(simulate(b.graph, plan, other, b.costs).error().message,
            "the plan is for 2 devices, cluster small has 3");
  const Graph mlp = build_model("mlp").value();
  EXPECT_NE(simulate(mlp, plan, b.cluster, b.costs).error().message.find("two-layers"),
            std::string::npos);
}

// The longest chain of dependencies inside the devices' programs, each task taking what it takes
// without waiting.
std::int64_t critical_path(const Plan& plan, const Trace& trace) {
  std::int64_t longest = 0;
  for (const DeviceClass& program : plan.classes) {
    std::vector<std::int64_t> own(program.tasks.size(), 0), end(program.tasks.size(), 0);
    for (std::size_t i = 0; i < trace.spans.size(); ++i)
      if (trace.lanes[trace.spans.lane[i]].device == program.members[0])
        own[trace.spans.task[i]] =
            (trace.spans.end[i] - trace.spans.start[i] - trace.spans.waiting[i]).value;
    for (std::size_t i = 0; i < program.tasks.size(); ++i) {
      std::int64_t start = 0;
      for (const auto d : program.dependencies_of(program.tasks[i]))
        start = std::max(start, end[d]);
      end[i] = start + own[i];
      longest = std::max(longest, end[i]);
    }
  }
  return longest;
}

class EveryModel : public ::testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(EveryModel, RandomStrategiesKeepTheLawsOfSchedules) {
  const auto& [model, lanes] = GetParam();
  const Graph graph = build_model(model).value();
  const Cluster cluster = small_cluster(2, 3, lanes);
  const NominalCatalog catalog;
  const RooflineModel costs;
  search::Problem problem{.graph = &graph,
                          .cluster = &cluster,
                          .costs = &costs,
                          .catalog = &catalog,
                          .pins = {},
                          .memory_limit = {},
                          .micro_batches = 1,
                          .lower = {}};
  const auto space = search::Space::make(problem).value();
  search::Rng rng(11);
  Simulator kept(graph, cluster, costs);
  for (int k = 0; k < 12; ++k) {
    const Strategy s = space.random(rng);
    const Plan plan = lower(graph, s, cluster, catalog).value();
    const Trace t = kept.trace(plan).value();
    ASSERT_TRUE(check(t)) << check(t).error().message;
    std::map<std::uint32_t, std::int64_t> busy;
    std::int64_t last = 0;
    for (std::size_t i = 0; i < t.spans.size(); ++i) {
      ASSERT_GE(t.spans.waiting[i].value, 0);
      busy[t.spans.lane[i]] += (t.spans.end[i] - t.spans.start[i]).value;
      last = std::max(last, t.spans.end[i].value);
      const PlanPlace place = place_of(plan, t.lanes[t.spans.lane[i]].device);
      const Task& task = plan.classes[place.class_index].tasks[t.spans.task[i]];
      if (task.kind != TaskKind::kCompute) continue;
      const Shard& shard = plan.shards[plan.entry(task, place.member)];
      const OpDefinition& definition = graph.ops()[shard.op].definition;
      const Step& step = definition.steps[task.step];
      ASSERT_EQ(t.spans.bytes[i], step_bytes(definition, step, shard.axes));
      ASSERT_EQ(t.spans.flops[i], step_flops(definition, step, shard.axes));
    }
    EXPECT_EQ(t.step_time.value, last);
    for (const auto& [lane, time] : busy) EXPECT_LE(time, last);
    EXPECT_GE(last, critical_path(plan, t));
    for (const MemoryCounter& m : t.memory) EXPECT_LE(m.live_peak, m.arena);
    for (const DeviceClass& program : plan.classes) {
      EXPECT_LE(live_peak_in_order(program), program.arena);
      // No lower than what the same program needs when its buffers are not placed yet.
      DeviceClass unplaced = program;
      for (Buffer& b : unplaced.buffers) b.offset = Bytes(-1);
      unplaced.arena = Bytes(-1);
      EXPECT_EQ(memory_needed(unplaced), program.arena);
      EXPECT_GE(memory_needed(unplaced, Bytes(INT64_MAX)), program.arena);
    }
    // A fresh simulator, and the fast path, agree with the one that keeps what it knows.
    EXPECT_EQ(simulate(graph, plan, cluster, costs).value(), t);
    EXPECT_EQ(kept.step_time(plan), t.step_time);
    // It gives up exactly above the threshold.
    EXPECT_EQ(kept.step_time(plan, t.step_time), t.step_time);
    EXPECT_EQ(kept.step_time(plan, t.step_time - 1_ns), std::nullopt);
    EXPECT_EQ(kept.step_time(plan, Nanoseconds(0)), std::nullopt);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, EveryModel,
                         ::testing::Combine(::testing::Values("mlp", "fashion-cnn",
                                                              "inception-block",
                                                              "transformer-block"),
                                            ::testing::Values(1, 2)),
                         [](const auto& row) {
                           std::string name = std::get<0>(row.param) + "_" +
                                              std::to_string(std::get<1>(row.param)) + "_lanes";
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Simulate, MicroBatchesRepeatTheirWork) {
  Bench b(small_cluster(1, 2, 1));
  b.costs.on_compute = [](const LocalProblem& p, const Step&) { return p.axes[0].extent() * 1_ms; };
  Strategy s = single_device(b.graph);
  const Nanoseconds whole = b.trace(s).step_time;
  s.micro_batches = 3;
  EXPECT_EQ(b.trace(s).step_time,
            whole);  // time per sample is constant, and accumulating takes none
  b.costs.on_compute = [](auto&, auto&) { return 1_ms; };
  EXPECT_EQ(b.trace(s).step_time, 3 * 7 * 1_ms);
}

TEST(Simulate, TheSamePlanGivesTheSameBytes) {
  Bench b(small_cluster(1, 4, 2));
  const RooflineModel costs;
  const Plan plan = b.plan(data_parallel(b.graph, devices(4)));
  const auto text = [&] {
    return document_text(simulate(b.graph, plan, b.cluster, costs).value()).value();
  };
  EXPECT_EQ(text(), text());
}

}  // namespace
}  // namespace soapstone::simulator
