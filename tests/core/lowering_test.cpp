// What lowering makes of copies of weights, buckets, servers, the host's memory and devices that do
// the same.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "tests/support/interpreter/interpreter.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::core {
namespace {

using interpreter::cluster_of;

// Layers of 16 × 16 and one of 16 × 4, f64, on `batch` samples.
Graph layers(std::int64_t batch = 16, int count = 3) {
  GraphBuilder g("layers");
  TensorId x = g.source("x", {{batch, 16}, DType::kF64, {}});
  const TensorId labels = g.source("labels", {{batch}, DType::kI32, {}}, 4);
  for (int i = 1; i <= count; ++i) {
    const std::string name = "fc" + std::to_string(i);
    x = g.add(name, Linear{.out_features = {16}}, {x});
    x = g.add(name + "_relu", Relu{}, {x});
  }
  return g
      .build_with_loss(g.add("fc" + std::to_string(count + 1), Linear{.out_features = {4}}, {x}),
                       labels)
      .value();
}

std::vector<DeviceId> devices(std::uint32_t count) {
  std::vector<DeviceId> out;
  for (std::uint32_t d = 0; d < count; ++d) out.push_back(DeviceId(d));
  return out;
}

struct Case {
  Graph graph;
  Strategy strategy;
  int count;

  explicit Case(int n, std::int64_t batch = 16, int of = 3)
      : graph(layers(batch, of)),
        strategy(data_parallel(graph, devices(static_cast<std::uint32_t>(n)))),
        count(n) {}
  template <class Change>
  Case& with(Change change) {
    for (OpStrategy& s : strategy.ops) change(s);
    return *this;
  }
  Plan plan(LowerOptions options = {}) const {
    const Plan made = lower(graph, strategy, cluster_of(count), NominalCatalog{}, options).value();
    const Status valid = check(graph, made);
    EXPECT_TRUE(valid) << valid.error().message;
    return made;
  }
};

// Transfers of device 0, in order: of which tensor, with whom, how.
struct Moved {
  std::string tensor;
  Pattern pattern;
  std::vector<std::uint32_t> members;
  Bytes sent;

  friend bool operator==(const Moved&, const Moved&) = default;
  friend void PrintTo(const Moved& m, std::ostream* out) {
    *out << m.tensor << " " << name_of(m.pattern) << " " << print(m.members) << " " << m.sent.value;
  }
};
std::vector<Moved> moves_of(const Case& c, const Plan& plan, DeviceId device = DeviceId(0)) {
  std::vector<Moved> out;
  const PlanPlace place = place_of(plan, device);
  for (const Task& t : plan.classes[place.class_index].tasks) {
    if (t.kind != TaskKind::kTransfer) continue;
    const Transfer& transfer = plan.transfers[plan.entry(t, place.member)];
    Moved m{t.tensor == kNoIndex ? "" : c.graph.tensors()[t.tensor].name, transfer.pattern, {}, {}};
    for (std::uint32_t k = 0; k < transfer.members.size(); ++k) {
      m.members.push_back(transfer.members[k].device.value);
      if (transfer.members[k].device == device) m.sent = bytes_sent(transfer, k);
    }
    out.push_back(std::move(m));
  }
  return out;
}

Bytes bytes_of_kind(const DeviceClass& program, BufferKind kind, Memory memory) {
  Bytes sum;
  for (const Buffer& b : program.buffers)
    if (b.kind == kind && b.memory == memory) sum += b.size;
  return sum;
}

// 3 · (16 · 16 + 16) + 16 · 4 + 4 numbers of 8 bytes.
constexpr Bytes kWeights(7072);

TEST(Folding, EqualDevicesShareAProgramFromSomeNumberOn) {
  const Case c(8);
  EXPECT_EQ(c.plan({.fold_from = 9}).classes.size(), 8u);
  const Plan folded = c.plan({.fold_from = 8});
  ASSERT_EQ(folded.classes.size(), 1u);
  EXPECT_EQ(folded.classes[0].members, devices(8));
  const Plan apart = c.plan();
  EXPECT_EQ(folded.classes[0].tasks.size(), apart.classes[3].tasks.size());
  EXPECT_EQ(folded.classes[0].arena, apart.classes[3].arena);
  for (std::uint32_t d = 0; d < 8; ++d)
    EXPECT_EQ(moves_of(c, folded, DeviceId(d)), moves_of(c, apart, DeviceId(d))) << d;
}

TEST(Folding, DevicesThatDoOtherThingsGetOtherPrograms) {
  // 18 samples over 4 devices: 5, 5, 4, 4.
  const Plan uneven = Case(4, 18).plan({.fold_from = 0});
  ASSERT_EQ(uneven.classes.size(), 2u);
  EXPECT_EQ(uneven.classes[0].members, (std::vector{DeviceId(0), DeviceId(1)}));
  // One operator on device 0 alone: the others give it what it reads.
  Case c(4);
  c.strategy.ops[2] = single_device(c.graph).ops[2];
  const Plan plan = c.plan({.fold_from = 0});
  ASSERT_EQ(plan.classes.size(), 2u);
  EXPECT_EQ(plan.classes[0].members, devices(1));
  // The owner of the copy that counts in the norm of the gradients is another one than the rest.
  EXPECT_EQ(Case(4).plan({.clip_gradient_norm = true, .fold_from = 0}).classes.size(), 2u);
}

TEST(Folding, FoldedPlansTrainTheSame) {
  for (const bool clip : {false, true})
    for (const int change : {0, 1, 2, 3}) {
      Case c(4);
      if (change == 1) c.strategy.ops[2] = single_device(c.graph).ops[2];
      if (change == 2) c.with([](OpStrategy& s) { s.zero = 3, s.zero_over = 2; });
      if (change == 3) c.strategy.bucket = Bytes(3000);
      const Plan plan = c.plan({.clip_gradient_norm = clip, .fold_from = 0});
      const interpreter::Sgd sgd{.clip_norm = 0.1};
      const auto difference = interpreter::compare(
          c.graph, interpreter::run_plan(c.graph, plan, {}, {.steps = 3, .sgd = sgd}),
          interpreter::run_unsharded(c.graph, {}, {.steps = 3, .clip = clip, .sgd = sgd}));
      EXPECT_LE(difference.worst, 1e-12) << change << ": " << difference.where;
    }
}

TEST(Bucket, GradientsOfOneBucketAreSummedTogether) {
  Case c(2);
  EXPECT_EQ(moves_of(c, c.plan()).size(), 8u);  // 4 weights, 4 biases
  c.strategy.bucket = Bytes(1 << 20);
  const Plan plan = c.plan();
  EXPECT_EQ(moves_of(c, plan), (std::vector<Moved>{{"", Pattern::kAllReduce, {0, 1}, kWeights}}));
  // The gradients are the bucket.
  const DeviceClass& p = plan.classes[0];
  std::set<std::uint32_t> buckets;
  Bytes inside;
  for (const Buffer& b : p.buffers) {
    if (b.kind != BufferKind::kWeightGradient || b.tensor == kNoIndex) continue;
    ASSERT_NE(b.inside, kNoIndex);
    EXPECT_EQ(b.offset, p.buffers[b.inside].offset + b.at);
    buckets.insert(b.inside);
    inside += b.size;
  }
  ASSERT_EQ(buckets.size(), 1u);
  EXPECT_EQ(p.buffers[*buckets.begin()].size, inside);
  EXPECT_EQ(inside, kWeights);
  EXPECT_EQ(task_label(c.graph, plan, p,
                       *std::find_if(p.tasks.begin(), p.tasks.end(),
                                     [](const Task& t) { return t.kind == TaskKind::kTransfer; })),
            "bucket of 8 gradients all-reduce");
}

TEST(Bucket, IsSentAsSoonAsItIsFull) {
  Case c(2);
  // fc4: 512 + 32 bytes, fc3 to fc1: 2,048 + 128 each. Backward begins with fc4; the last one is
  // sent as it is.
  c.strategy.bucket = Bytes(2700);
  EXPECT_EQ(moves_of(c, c.plan()),
            (std::vector<Moved>{{"", Pattern::kAllReduce, {0, 1}, Bytes(544 + 2176)},
                                {"", Pattern::kAllReduce, {0, 1}, Bytes(2176 + 2048)},
                                {"", Pattern::kAllReduce, {0, 1}, Bytes(128)}}));
}

TEST(HybridSharding, SumsInsideAGroupThenBetweenGroups) {
  Case c(4);
  c.with([](OpStrategy& s) { s.zero = 2, s.zero_over = 2; });
  const Plan plan = c.plan();
  const auto moves = moves_of(c, plan);
  const Bytes half(16 * 16 * 8 / 2);
  std::vector<Moved> of_weight;
  for (const Moved& m : moves)
    if (m.tensor == "fc1.weight") of_weight.push_back(m);
  EXPECT_EQ(of_weight, (std::vector<Moved>{{"fc1.weight", Pattern::kAllGather, {0, 1}, half},
                                           {"fc1.weight", Pattern::kReduceScatter, {0, 1}, half},
                                           {"fc1.weight", Pattern::kAllReduce, {0, 2}, half}}));
  for (const DeviceClass& p : plan.classes)
    EXPECT_EQ(bytes_of_kind(p, BufferKind::kOptimizerState, Memory::kDevice),
              Bytes(kWeights.value / 2));
}

TEST(HybridSharding, GroupsDivideTheCopies) {
  Case c(4);
  c.with([](OpStrategy& s) { s.zero = 1, s.zero_over = 3; });
  const auto plan = lower(c.graph, c.strategy, cluster_of(4), NominalCatalog{});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().message,
            "fc1: zero_over = 3: fc1.weight has 4 copies: a number that divides them is accepted, "
            "or 0 for all");
}

TEST(Server, EveryWeightLivesWithOneCopy) {
  Case c(2);
  c.with([](OpStrategy& s) { s.server = true; });
  const Plan plan = c.plan();
  Bytes all;
  for (const DeviceClass& p : plan.classes) {
    const Bytes own = bytes_of_kind(p, BufferKind::kWeight, Memory::kDevice);
    EXPECT_GT(own, Bytes(0));
    EXPECT_EQ(bytes_of_kind(p, BufferKind::kOptimizerState, Memory::kDevice), own);
    all += own;
  }
  EXPECT_EQ(all, kWeights);
  // Every weight is pulled once and its gradient pushed once: either device sends what it serves,
  // and the gradients of what the other one does.
  for (std::uint32_t d = 0; d < 2; ++d) {
    Bytes sent;
    for (const Moved& m : moves_of(c, plan, DeviceId(d))) sent += m.sent;
    EXPECT_EQ(sent, kWeights);
  }
}

TEST(Offload, OptimizerStatesLieOnTheHost) {
  Case c(1);
  const Plan before = c.plan({.optimizer_states = 2});
  c.with([](OpStrategy& s) { s.offload = Offload::kOptimizer; });
  const Plan plan = c.plan({.optimizer_states = 2});
  EXPECT_EQ(bytes_of_kind(plan.classes[0], BufferKind::kOptimizerState, Memory::kHost),
            2 * kWeights);
  EXPECT_EQ(bytes_of_kind(plan.classes[0], BufferKind::kOptimizerState, Memory::kDevice), Bytes(0));
  EXPECT_GE(plan.classes[0].host_arena, 2 * kWeights);
  EXPECT_LT(plan.classes[0].arena, before.classes[0].arena);
}

TEST(Offload, ActivationsLeaveTheDeviceBetweenForwardAndBackward) {
  // Activations of 4,096 samples outweigh all else: of 512 KiB each.
  Case c(1, 4096, 12);
  const Bytes activation(4096 * 16 * 8);
  const Plan before = c.plan();
  c.with([](OpStrategy& s) { s.offload = Offload::kActivations; });
  const Plan plan = c.plan();
  // What every relu made lived at once; now it is on the host. Nothing reads what they read again.
  EXPECT_GE(before.classes[0].arena, activation * 12);
  EXPECT_LE(plan.classes[0].arena, activation * 9);
  EXPECT_GE(plan.classes[0].host_arena, activation * 12);
  EXPECT_LT(plan.classes[0].host_arena, activation * 14);
}

// A gather may run beside the layer before, but not earlier: otherwise the weights of all layers
// would be there at once.
TEST(Window, WeightsAreGatheredOneLayerAhead) {
  Case c(2);
  c.with([](OpStrategy& s) { s.zero = 3; });
  const Plan plan = c.plan();
  const DeviceClass& p = plan.classes[0];
  const auto waits_for = [&](const Task& t) {
    std::uint32_t last = kNoIndex;
    for (const auto d : p.dependencies_of(t))
      if (!runs_beside(p.tasks[d].kind)) last = d;
    return last == kNoIndex ? std::string("nothing") : task_label(c.graph, plan, p, p.tasks[last]);
  };
  std::vector<std::string> seen;
  for (const Task& t : p.tasks)
    if (t.kind == TaskKind::kTransfer && t.phase == Phase::kForward &&
        c.graph.tensors()[t.tensor].name.ends_with(".weight"))
      seen.push_back(waits_for(t));
  EXPECT_EQ(seen, (std::vector<std::string>{"nothing", "nothing", "fc1 forward", "fc2 forward"}));
}

}  // namespace
}  // namespace soapstone::core
