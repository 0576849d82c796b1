// Attention whose keys and values go around a ring: rounds, what moves, what is left out.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/local_problem.hpp"
#include "core/lower.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/reshape.hpp"
#include "core/sequence_order.hpp"
#include "tests/support/interpreter/interpreter.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// One head of 2 features over 8 positions, f64: a part of 2 positions has 2 · 2 · 2 · 8 = 64 bytes
// of keys and values.
Graph sequence(const Attention& attention) {
  GraphBuilder g("sequence");
  auto x = g.source("x", {{1, 8, 3}, DType::kF64, {}});
  const auto labels = g.source("labels", {{1, 8}, DType::kI32, {}}, 4);
  x = g.add("qkv", Linear{.out_features = {3, 1, 2}, .packed = true}, {x});
  x = g.add("attention", attention, {x});
  x = g.add("merge", Reshape{.shape = {0, 0, 2}}, {x});
  return g.build_with_loss(g.add("head", Linear{.out_features = {4}}, {x}), labels).value();
}
constexpr Bytes kBlock(64);

constexpr std::size_t kAttention = 1;

Strategy in_a_ring(const Graph& graph, std::int32_t parts) {
  Strategy s = single_device(graph);
  OpStrategy& op = s.ops[kAttention];
  const auto along = static_cast<std::size_t>(graph.ops()[kAttention].definition.rounds.along);
  op.degrees[along] = parts;
  op.ring = true;
  op.devices.clear();
  for (std::int32_t d = 0; d < parts; ++d)
    op.devices.push_back(DeviceId(static_cast<std::uint32_t>(d)));
  return s;
}

// What a device does for the attention: steps as they are named, and bytes that its own values
// send.
struct Done {
  std::map<std::string, int> steps;
  std::map<Phase, Bytes> sent;
  double flops = 0;  // of rounds
};
Done done_by(const Graph& graph, const Plan& plan, std::uint32_t device) {
  Done out;
  const PlanPlace place = place_of(plan, DeviceId(device));
  const OpDefinition& def = graph.ops()[kAttention].definition;
  const Graph planned = planned_graph(graph, plan.micro_batches, plan.zigzag).value();
  for (const Task& t : plan.classes[place.class_index].tasks) {
    if (t.op != kAttention) continue;
    if (t.kind == TaskKind::kCompute) {
      const Step& step = def.steps[t.step];
      ++out.steps[step.name];
      if (step.reduces.has(def.rounds.over))
        out.flops += step_flops(planned.ops()[kAttention].definition, step,
                                plan.shards[plan.entry(t, place.member)].axes)
                         .value;
    }
    if (t.kind != TaskKind::kTransfer || t.tensor != kNoIndex) continue;
    const Transfer& transfer = plan.transfers[plan.entry(t, place.member)];
    for (std::uint32_t k = 0; k < transfer.members.size(); ++k)
      if (transfer.members[k].device == DeviceId(device))
        out.sent[t.phase] += bytes_sent(transfer, k);
  }
  return out;
}

Plan plan_of(const Graph& graph, std::int32_t parts, LowerOptions options = {},
             std::int32_t zigzag = 0) {
  Strategy strategy = in_a_ring(graph, parts);
  strategy.zigzag = zigzag;
  const Plan plan =
      lower(graph, strategy, interpreter::cluster_of(parts), NominalCatalog{}, options).value();
  const Status valid = check(graph, plan);
  EXPECT_TRUE(valid) << valid.error().message;
  return plan;
}

TEST(Rounds, EveryBlockVisitsEveryDevice) {
  const Graph graph = sequence(Attention{});
  const Plan plan = plan_of(graph, 4);
  for (std::uint32_t d = 0; d < 4; ++d) {
    const Done done = done_by(graph, plan, d);
    EXPECT_EQ(done.steps.at("ring_forward"), 4) << d;
    EXPECT_EQ(done.steps.at("ring_backward"), 4) << d;
    EXPECT_EQ(done.sent.at(Phase::kForward), 3 * kBlock) << d;
    // Blocks again, and their gradients, which come home.
    EXPECT_EQ(done.sent.at(Phase::kBackwardInput), (3 + 4) * kBlock) << d;
    EXPECT_EQ(done.flops, 14 * 2 * 8 * 2) << d;  // a quarter of 14 · 8 · 8 · 2
  }
}

TEST(Rounds, BlocksThatCausalityHidesAreNeitherComputedNorMoved) {
  const Graph graph = sequence(Attention{.causal = true});
  const Plan plan = plan_of(graph, 4);
  for (std::uint32_t d = 0; d < 4; ++d) {
    const Done done = done_by(graph, plan, d);
    const int rounds = static_cast<int>(d) + 1;
    EXPECT_EQ(done.steps.at("ring_forward"), rounds) << d;
    EXPECT_EQ(done.steps.at("ring_backward"), rounds) << d;
    // A block of 14 · 2 · 2 · 2 of which all is seen, and one of which 3 of 4 pairs are. What is
    // counted are the shares of 14 · 8 · 8 · 2 in 8 · 9 / 2 = 36 pairs.
    EXPECT_DOUBLE_EQ(done.flops, 14 * 8 * 8 * 2 * ((rounds - 1) * 4 + 3) / 36.0) << d;
    // What has come this far goes on, but for the last device, whose gradients go home.
    const std::int64_t blocks = d < 3 ? rounds : 0;
    EXPECT_EQ(done.sent.contains(Phase::kForward) ? done.sent.at(Phase::kForward) : Bytes(0),
              blocks * kBlock)
        << d;
    EXPECT_EQ(done.sent.at(Phase::kBackwardInput), (2 * blocks + (d == 3 ? 3 : 0)) * kBlock) << d;
  }
}

// Chunks of one position, dealt as 0 7, 1 6, 2 5, 3 4: of every block, but for the first of a
// device, each device sees half.
TEST(Rounds, InZigzagAllDevicesComputeEquallyMuch) {
  const Graph graph = sequence(Attention{.causal = true});
  const Plan plan = plan_of(graph, 4, {}, 8);
  EXPECT_EQ(plan.graph_hash, graph.hash());
  for (std::uint32_t d = 0; d < 4; ++d) {
    const Done done = done_by(graph, plan, d);
    EXPECT_EQ(done.steps.at("ring_forward"), 4) << d;
    EXPECT_EQ(done.sent.at(Phase::kForward), 3 * kBlock) << d;
    EXPECT_DOUBLE_EQ(done.flops, 14 * 8 * 8 * 2 * (3 + 3 * 2) / 36.0) << d;
  }
}

TEST(Rounds, InZigzagABlockIsSeenByHalf) {
  const Graph graph = in_zigzag(sequence(Attention{.causal = true}), 8).value();
  const OpNode& node = graph.ops()[kAttention];
  const OpStrategy s = in_a_ring(graph, 4).ops[kAttention];
  for (std::size_t device = 0; device < 4; ++device)
    for (std::int32_t round = 0; round < 4; ++round) {
      const LocalProblem p = local_problem(node, s, device, round);
      // Device 1 has positions 1 and 6: of 0 and 7 both see 0, of 2 and 5 the latter sees both.
      EXPECT_EQ(visible_pairs(node.definition, p.axes), round == 0 ? 3 : 2) << device << round;
      EXPECT_FALSE(is_hidden(node.definition, p.axes)) << device << round;
      EXPECT_THAT(p.key(), HasSubstr(round == 0 ? " seen=3" : " seen=2"));
    }
  // 3 and 4 follow each other, 2 and 5 do not.
  EXPECT_THAT(local_problem(node, s, 3).key(), HasSubstr(" s.runs=[2]"));
  EXPECT_THAT(local_problem(node, s, 2).key(), HasSubstr(" s.runs=[1, 1]"));
  EXPECT_NE(local_problem(node, s, 2).signature(), local_problem(node, s, 3).signature());
  EXPECT_EQ(local_problem(node, s, 1).signature(), local_problem(node, s, 2).signature());
}

// The block of the next round comes while a device computes with the present one, and not before it
// is done with the one before: there are two at a time.
TEST(Rounds, ABlockComesARoundAhead) {
  const Graph graph = sequence(Attention{});
  const Plan plan = plan_of(graph, 4);
  const DeviceClass& program = plan.classes[place_of(plan, DeviceId(2)).class_index];
  std::vector<std::uint32_t> rounds, hops;
  for (std::uint32_t i = 0; i < program.tasks.size(); ++i) {
    const Task& t = program.tasks[i];
    if (t.op != kAttention || t.phase != Phase::kForward) continue;
    if (t.kind == TaskKind::kTransfer && t.tensor == kNoIndex) hops.push_back(i);
    if (t.kind == TaskKind::kCompute &&
        graph.ops()[t.op].definition.steps[t.step].name == "ring_forward")
      rounds.push_back(i);
  }
  ASSERT_EQ(rounds.size(), 4u);
  ASSERT_EQ(hops.size(), 3u);
  const auto waits = [&](std::uint32_t task, std::uint32_t on) {
    const auto all = program.dependencies_of(program.tasks[task]);
    return std::find(all.begin(), all.end(), on) != all.end();
  };
  for (std::size_t r = 0; r < 3; ++r) {
    EXPECT_TRUE(waits(rounds[r + 1], hops[r])) << r;
    EXPECT_FALSE(waits(hops[r], rounds[r])) << r;
    EXPECT_TRUE(r == 0 || waits(hops[r], rounds[r - 1])) << r;
  }
}

TEST(Rounds, AnyNumberOfPartsGivesTheAnswerOfOneDevice) {
  for (const bool causal : {false, true}) {
    const Graph graph = sequence(Attention{.causal = causal});
    const auto expected = interpreter::run_unsharded(graph, {}, {});
    for (std::int32_t parts = 2; parts <= 8; ++parts)
      for (const std::size_t fold_from : {std::size_t{0}, std::size_t{64}}) {
        const Plan plan = plan_of(graph, parts, {.optimizer_states = 1, .fold_from = fold_from});
        const auto found =
            interpreter::run_plan(graph, plan, {}, {.turns = interpreter::Turns::kAnyOrder});
        const auto d = interpreter::compare(graph, found, expected);
        EXPECT_LE(d.worst, 1e-12) << parts << " parts, causal " << causal << ": " << d.where;
        const Status memory = interpreter::check_memory(plan);
        EXPECT_TRUE(memory) << memory.error().message;
      }
  }
}

// Also where parts are not whole chunks.
TEST(Rounds, AnyNumberOfPartsInZigzagGivesTheAnswerOfOneDevice) {
  const Graph graph = sequence(Attention{.causal = true});
  const auto expected = interpreter::run_unsharded(graph, {}, {});
  for (const std::int32_t zigzag : {2, 4, 8})
    for (std::int32_t parts = 2; parts <= 8; ++parts)
      for (const std::size_t fold_from : {std::size_t{0}, std::size_t{64}}) {
        const Plan plan = plan_of(graph, parts, {.fold_from = fold_from}, zigzag);
        const auto found =
            interpreter::run_plan(graph, plan, {}, {.turns = interpreter::Turns::kAnyOrder});
        const auto d = interpreter::compare(graph, found, expected);
        EXPECT_LE(d.worst, 1e-12) << parts << " parts, zigzag " << zigzag << ": " << d.where;
      }
}

TEST(Rounds, ABlockOfWhichSomethingIsHiddenHasAKeyOfItsOwn) {
  const Graph graph = sequence(Attention{.causal = true});
  const OpStrategy s = in_a_ring(graph, 4).ops[kAttention];
  const auto problem = [&](std::size_t device, std::int32_t round) {
    return local_problem(graph.ops()[kAttention], s, device, round);
  };
  EXPECT_EQ(problem(1, 0).key(), problem(3, 0).key());  // the diagonal
  EXPECT_EQ(problem(2, 1).key(), problem(3, 3).key());  // all keys are seen
  EXPECT_NE(problem(3, 0).key(), problem(3, 1).key());
  EXPECT_THAT(problem(3, 0).key(), HasSubstr(" t<1"));
  EXPECT_EQ(problem(2, 1).signature(), problem(3, 3).signature());
  EXPECT_NE(problem(3, 0).signature(), problem(3, 1).signature());
}

TEST(Rounds, WhatCannotGoRoundIsRefused) {
  const Graph graph = sequence(Attention{});
  const auto refusal = [&](const OpNode& node, const OpStrategy& s) {
    const Status status = check(node, s, 8);
    return status ? "accepted" : status.error().message;
  };
  OpStrategy whole = single_device(graph).ops[0];
  whole.ring = true;
  EXPECT_EQ(refusal(graph.ops()[0], whole),
            "qkv: ring: linear is not computed in rounds: ring = false is accepted");
  whole = single_device(graph).ops[kAttention];
  whole.ring = true;
  EXPECT_THAT(refusal(graph.ops()[kAttention], whole), HasSubstr("at least 2 parts go round"));
  const Graph windowed = sequence(Attention{.causal = true, .window = 2});
  EXPECT_EQ(
      refusal(windowed.ops()[kAttention], whole),
      "attention: ring: attention with a window, of which a part reads its keys alone: ring = "
      "false is accepted");
  OpStrategy nine = in_a_ring(graph, 2).ops[kAttention];
  nine.degrees[static_cast<std::size_t>(graph.ops()[kAttention].definition.rounds.along)] = 9;
  EXPECT_THAT(refusal(graph.ops()[kAttention], nine), HasSubstr("1 to 8 is accepted"));
}

}  // namespace
}  // namespace soapstone::core
