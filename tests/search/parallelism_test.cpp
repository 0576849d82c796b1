// The short form of hybrid strategies.
#include "search/parallelism.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/derive.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::search {
namespace {

using namespace core;
using testing::HasSubstr;

Graph gpt(double layers = 4) {
  return build_model("gpt", {.batch = 8,
                             .parameters = {{"layers", layers},
                                            {"hidden", 16},
                                            {"heads", 4},
                                            {"seq", 8},
                                            {"vocab", 32}}})
      .value();
}

std::string refusal(const Graph& graph, int devices, std::string_view text) {
  const auto parallelism = parse_parallelism(text);
  if (!parallelism) return parallelism.error().message;
  const auto strategy = hybrid(graph, interpreter::cluster_of(devices), *parallelism);
  return strategy ? "accepted" : strategy.error().message;
}

Strategy strategy_of(const Graph& graph, int devices, std::string_view text) {
  return hybrid(graph, interpreter::cluster_of(devices), parse_parallelism(text).value()).value();
}

TEST(Parallelism, reads_every_key) {
  const auto p = parse_parallelism(
      "dp=4,tp=8,pp=16,cp=2,cp_style=ring,cp_order=zigzag,ep=2,schedule=interleaved-1f1b,vp=4,"
      "micro_batch=1,zero=1,"
      "recompute=selective,sp=1");
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(p->ranks(), 4 * 8 * 16 * 2);
  EXPECT_EQ(p->schedule, ScheduleKind::kInterleaved1F1B);
  EXPECT_EQ(p->recompute, Recompute::kSelective);
  EXPECT_TRUE(p->sp);
  EXPECT_EQ(p->cp_style, ContextStyle::kRing);
  EXPECT_EQ(p->cp_order, ContextOrder::kZigzag);
}

TEST(Parallelism, attention_goes_round_along_the_sequence) {
  const Graph g = gpt();
  const Strategy s = strategy_of(g, 4, "cp=2,tp=2,cp_style=ring");
  int rings = 0;
  for (std::size_t i = 0; i < s.ops.size(); ++i) {
    const Rounds& rounds = g.ops()[i].definition.rounds;
    EXPECT_EQ(s.ops[i].ring, rounds.along >= 0) << g.ops()[i].name;
    if (!s.ops[i].ring) continue;
    ++rings;
    EXPECT_EQ(s.ops[i].degrees[static_cast<std::size_t>(rounds.along)], 2);
    EXPECT_EQ(s.ops[i].replicas, 1);
    // Tensor-parallel ranks are neighbours, as everywhere.
    EXPECT_EQ(operand_layout(g.ops()[i].definition, 0, s.ops[i], Access::kRead).devices,
              (std::vector{DeviceId(0), DeviceId(1), DeviceId(2), DeviceId(3)}));
  }
  EXPECT_EQ(rings, 4);
  for (const OpStrategy& op : strategy_of(g, 4, "cp=2").ops) EXPECT_FALSE(op.ring);
  EXPECT_THAT(refusal(g, 4, "cp=2,cp_style=rings"), HasSubstr("did you mean `ring`?"));
  EXPECT_THAT(refusal(g, 4, "cp_style=ring"), HasSubstr("cp of at least 2"));
  EXPECT_THAT(refusal(g, 16, "cp=16,cp_style=ring,dp=1"), HasSubstr("cp of at most 8"));
  const Graph images = build_model("fashion-cnn", {.batch = 8}).value();
  EXPECT_NE(refusal(images, 2, "cp=2,cp_style=ring"), "accepted");
  const Graph windowed =
      build_model("mixtral-8x7b",
                  {.batch = 8, .parameters = {{"layers", 1}, {"seq", 8}, {"window", 4}}})
          .value();
  EXPECT_THAT(refusal(windowed, 2, "cp=2,cp_style=ring"), HasSubstr("cp_style=gather"));
}

TEST(Parallelism, the_sequence_is_dealt_out_in_zigzag) {
  const Graph g = gpt();
  for (const char* text : {"cp=2,cp_order=zigzag", "cp=2,cp_style=ring,cp_order=zigzag"}) {
    const Strategy s = strategy_of(g, 2, text);
    EXPECT_EQ(s.zigzag, 4) << text;
    Strategy in_order =
        strategy_of(g, 2, std::string(text).substr(0, std::string(text).rfind(',')));
    EXPECT_EQ(in_order.zigzag, 0);
    in_order.zigzag = 4;
    EXPECT_EQ(s, in_order) << text;  // nothing else differs
    EXPECT_THAT(summary(g, s), HasSubstr("; zigzag=4"));
    EXPECT_EQ(from_document(g, to_document(g, s)).value(), s);
  }
  EXPECT_EQ(strategy_of(g, 2, "cp=2,cp_order=contiguous").zigzag, 0);
  EXPECT_THAT(refusal(g, 2, "cp=2,cp_order=zigzg"), HasSubstr("did you mean `zigzag`?"));
  EXPECT_THAT(refusal(g, 2, "cp_order=zigzag"), HasSubstr("cp of at least 2"));
  EXPECT_EQ(refusal(g, 3, "dp=1,cp=3,cp_order=zigzag"),
            "--parallel: cp_order = zigzag with cp = 3: a sequence of layer0_attention has 8 "
            "indices, of which a rank has 2 of 6 equal chunks: cp=2 or cp_order=contiguous is "
            "accepted");
  EXPECT_THAT(refusal(build_model("bert-base", {.batch = 4}).value(), 2, "cp=2,cp_order=zigzag"),
              HasSubstr("has no causal attention"));
}

TEST(Parallelism, says_what_is_wrong_and_what_would_be_accepted) {
  const Graph g = gpt();
  EXPECT_THAT(refusal(g, 4, "dq=2"), HasSubstr("unknown key `dq`; did you mean `dp`?"));
  EXPECT_THAT(refusal(g, 4, "dp"), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(refusal(g, 4, "dp=2,dp=2"), HasSubstr("dp comes twice"));
  EXPECT_THAT(refusal(g, 4, "zero=4"), HasSubstr("from 0 to 3"));
  EXPECT_THAT(refusal(g, 4, "schedule=2f2b"), HasSubstr("1f1b"));
  EXPECT_THAT(refusal(g, 4, "zero_over=2"), HasSubstr("zero_over = 2 with zero = 0"));
  EXPECT_THAT(refusal(g, 4, "dp=4,zero=2,zero_over=3"), HasSubstr("for example 2"));
  EXPECT_THAT(refusal(g, 4, "zero=1,server=1"), HasSubstr("server = 1 with zero = 1"));
  EXPECT_THAT(refusal(g, 4, "zero=1,bucket=1MB"), HasSubstr("bucket = 977 KiB with zero = 1"));
  EXPECT_THAT(refusal(g, 4, "bucket=much"), HasSubstr("for example 25MiB"));
  EXPECT_THAT(refusal(g, 4, "offload=disk"), HasSubstr("activations"));
  EXPECT_THAT(refusal(g, 4, "dp=8"), HasSubstr("cluster"));
  EXPECT_THAT(refusal(g, 4, "dp=3"), HasSubstr("dp divides the batch, for example 2"));
  EXPECT_THAT(refusal(g, 4, "tp=3"), HasSubstr("has 4 heads"));
  EXPECT_THAT(refusal(g, 4, "pp=2,vp=2"), HasSubstr("interleaved-1f1b"));
  EXPECT_THAT(refusal(g, 4, "vp=2"), HasSubstr("pp of at least 2"));
  EXPECT_THAT(refusal(g, 4, "dp=2,ep=2"), HasSubstr("no experts"));
  EXPECT_THAT(refusal(g, 4, "dp=4,ep=3"), HasSubstr("ep divides dp"));
  EXPECT_THAT(refusal(g, 4, "micro_batch=3,dp=1"), HasSubstr("for example 2"));
  const Graph images = build_model("fashion-cnn", {.batch = 8}).value();
  EXPECT_THAT(refusal(images, 2, "cp=2"), HasSubstr("no operator of fashion-cnn has a sequence"));
}

TEST(Parallelism, what_is_left_of_the_devices_is_data_parallel) {
  const Graph g = gpt();
  const Strategy s = strategy_of(g, 8, "tp=2,pp=2");
  std::set<std::uint32_t> devices;
  for (const OpStrategy& op : s.ops) {
    EXPECT_EQ(op.devices.size(), 4u);
    for (const DeviceId d : op.devices) devices.insert(d.value);
  }
  EXPECT_EQ(devices.size(), 8u);
}

TEST(Parallelism, stages_follow_each_other_and_one_tensor_crosses) {
  const Graph g = gpt();
  const Strategy s = strategy_of(g, 4, "pp=4");
  std::map<std::int32_t, std::set<std::uint32_t>> crossing;  // by stage of the reader
  for (const Tensor& t : g.tensors()) {
    if (t.role != TensorRole::kActivation) continue;
    for (const OperandRef& use : t.uses)
      if (s.ops[use.op.value].stage != s.ops[t.producer.op.value].stage)
        crossing[s.ops[use.op.value].stage].insert(t.producer.op.value);
  }
  ASSERT_EQ(crossing.size(), 3u);
  for (const auto& [stage, tensors] : crossing) EXPECT_EQ(tensors.size(), 1u) << stage;
}

TEST(Parallelism, tensor_parallel_ranks_are_neighbours_and_pipeline_ranks_are_far) {
  const Graph g = gpt();
  const Strategy s = strategy_of(g, 8, "dp=2,tp=2,pp=2");
  const OpId attention = g.find_op("layer0_attention").value();
  const OpNode& node = g.op(attention);
  const OpStrategy& op = s.ops[attention.value];
  EXPECT_EQ(op.devices,
            (std::vector<DeviceId>{DeviceId(0), DeviceId(1), DeviceId(2), DeviceId(3)}));
  for (std::size_t a = 0; a < node.definition.axes.size(); ++a) {
    const std::string& name = node.definition.axes[a].name;
    EXPECT_EQ(op.degrees[a], name == "n" || name == "head" ? 2 : 1) << name;
  }
  EXPECT_EQ(s.ops.back().devices.front(), DeviceId(4));
}

TEST(Parallelism, a_shared_weights_gradient_crosses_between_stages_once) {
  const Graph g = gpt();
  const Cluster cluster = interpreter::cluster_of(8);
  const auto plan =
      lower(g, strategy_of(g, 8, "dp=4,pp=2"), cluster, interpreter::WorkspaceCatalog{}, {});
  ASSERT_TRUE(plan) << plan.error().message;
  const simulator::RooflineModel costs;
  const auto trace = simulator::simulate(g, *plan, cluster, costs);
  ASSERT_TRUE(trace) << trace.error().message;
  std::int64_t sent = 0;
  for (std::size_t i = 0; i < trace->spans.size(); ++i)
    if (trace->labels[trace->spans.label[i]] == "embed.table gradient boxes")
      sent += trace->spans.bytes[i].value;
  const auto weight = std::find_if(g.tensors().begin(), g.tensors().end(),
                                   [](const Tensor& t) { return t.name == "embed.table"; });
  // Each of the four copies sends the quarter that it has summed.
  EXPECT_EQ(sent, bytes_of(weight->desc).value);
}

TEST(Parallelism, stages_are_cut_where_little_crosses_and_are_as_equal_as_can_be) {
  // The head is as much work as five layers: no stage begins between it and the loss, where logits
  // would cross, and the layers before it are shared out evenly.
  const Graph g = build_model("gpt2", {.batch = 4}).value();
  const Strategy s = strategy_of(g, 4, "pp=4");
  const auto stage = [&](const char* op) { return s.ops[g.find_op(op).value().value].stage; };
  EXPECT_EQ(stage("head"), stage("loss"));
  std::map<std::int32_t, int> layers;
  for (int i = 0; i < 12; ++i) ++layers[stage(("layer" + std::to_string(i) + "_up").c_str())];
  EXPECT_EQ(layers[0], 4);
  EXPECT_EQ(layers[1], 4);
  EXPECT_EQ(layers[2], 4);
}

// Bytes of the largest arena.
std::int64_t arena(const Graph& graph, int devices, std::string_view text) {
  const auto plan =
      lower(graph, strategy_of(graph, devices, text), interpreter::cluster_of(devices),
            interpreter::WorkspaceCatalog{}, {.optimizer_states = 2});
  EXPECT_TRUE(plan) << plan.error().message;
  const Status is_sound = check(graph, *plan);
  EXPECT_TRUE(is_sound) << text << ": " << is_sound.error().message;
  std::int64_t most = 0;
  for (const DeviceClass& c : plan->classes) most = std::max(most, c.arena.value);
  return most;
}

TEST(Parallelism, memory_is_saved_where_it_is_said_to_be) {
  const Graph g = gpt();
  EXPECT_LT(arena(g, 1, "recompute=full"), arena(g, 1, "recompute=none"));
  EXPECT_LT(arena(g, 1, "recompute=selective"), arena(g, 1, "recompute=none"));
  // States, then gradients, then weights; the more so the more layers there are beside those whose
  // weights and gradients are on their way.
  const Graph deep = gpt(24);
  std::int64_t before = arena(deep, 4, "dp=4,micro_batch=1");
  for (const char* text :
       {"dp=4,micro_batch=1,zero=1", "dp=4,micro_batch=1,zero=2", "dp=4,micro_batch=1,zero=3"}) {
    const std::int64_t saved = arena(deep, 4, text);
    EXPECT_LT(saved, before) << text;
    before = saved;
  }
  // 1f1b keeps as many micro-batches as stages follow, gpipe all.
  EXPECT_LT(arena(g, 2, "dp=1,pp=2,micro_batch=1,schedule=1f1b"),
            arena(g, 2, "dp=1,pp=2,micro_batch=1,schedule=gpipe"));
  EXPECT_LE(arena(g, 2, "dp=1,pp=2,micro_batch=1,schedule=zb-h1"),
            arena(g, 2, "dp=1,pp=2,micro_batch=1,schedule=gpipe"));
}

// The head reads the table of the embedding: a copy of it goes to the last stage in every step.
TEST(Parallelism, a_weight_that_stages_share_does_not_hold_up_the_first_of_them) {
  const Graph g = gpt();
  const Plan plan = lower(g, strategy_of(g, 2, "dp=1,pp=2,micro_batch=1"),
                          interpreter::cluster_of(2), interpreter::WorkspaceCatalog{})
                        .value();
  const DeviceClass& p = plan.classes[0];
  std::set<std::uint32_t> copies;
  for (std::uint32_t i = 0; i < p.tasks.size(); ++i)
    if (p.tasks[i].kind == TaskKind::kTransfer && p.tasks[i].phase == Phase::kForward &&
        g.tensors()[p.tasks[i].tensor].name == "embed.table")
      copies.insert(i);
  ASSERT_EQ(copies.size(), 1u);
  for (const Task& t : p.tasks)
    if (t.kind == TaskKind::kCompute && t.phase == Phase::kForward && t.micro_batch < 2) {
      for (const std::uint32_t d : p.dependencies_of(t))
        EXPECT_FALSE(copies.contains(d)) << task_label(g, plan, p, t);
    }
}

TEST(Parallelism, results_are_never_computed_again) {
  const Graph g = gpt();
  for (const char* how : {"recompute=selective", "recompute=full"}) {
    const Strategy s = strategy_of(g, 1, how);
    EXPECT_FALSE(s.ops.back().recompute);
    int marked = 0;
    for (const OpStrategy& op : s.ops) marked += op.recompute;
    EXPECT_GT(marked, 8) << how;
  }
}

}  // namespace
}  // namespace soapstone::search
