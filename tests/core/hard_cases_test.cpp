// The shapes of parallelism that are easy to get wrong, each by name: layouts, partial sums,
// gradient groups and moves against the brute-force oracle and against figures made by hand, and
// the whole step against one device.
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/add.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/batch_norm.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/pool2d.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"
#include "tests/support/interpreter/interpreter.hpp"
#include "tests/support/interpreter/plan_writer.hpp"
#include "tests/support/interpreter/strategies.hpp"
#include "tests/support/oracle/index_sets.hpp"
#include "tests/support/oracle/moves.hpp"

namespace soapstone::core {
namespace {

using interpreter::check_memory;
using interpreter::cluster_of;
using interpreter::compare;
using interpreter::run_plan;
using interpreter::run_unsharded;
using interpreter::TrainingData;
using interpreter::Turns;

// Small graphs: sums of some tens of terms. A bias before batch_norm has only rounding for a
// gradient.
constexpr double kTolerance = 1e-11;

// A strategy by operators' and axes' names; what is not named is whole on device 0.
struct Cut {
  std::map<std::string, std::int32_t> degrees;
  std::vector<std::int32_t> devices;
  std::int32_t replicas = 1;
};
Strategy strategy_of(const Graph& graph, const std::map<std::string, Cut>& cuts,
                     std::int32_t micro_batches = 1) {
  StrategyDocument doc;
  doc.graph = graph.name();
  doc.micro_batches = micro_batches;
  for (const auto& [name, cut] : cuts) doc.ops[name] = {cut.degrees, cut.replicas, cut.devices};
  const auto strategy = from_document(graph, doc);
  SOAPSTONE_ASSERT(strategy, "{}", strategy.error().message);
  return *strategy;
}

const OpNode& node(const Graph& g, std::string_view name) { return g.op(*g.find_op(name)); }
const OpStrategy& cut_of(const Graph& g, const Strategy& s, std::string_view name) {
  return s.ops[g.find_op(name)->value];
}

Layout read_layout(const Graph& g, const Strategy& s, std::string_view op,
                   std::string_view operand) {
  const auto& d = node(g, op).definition;
  return operand_layout(d, d.operand(operand), cut_of(g, s, op), Access::kRead);
}
// Of the value or the gradient that the used step writes.
Layout written_layout(const Graph& g, const Strategy& s, std::string_view op,
                      std::string_view operand, bool gradient = false) {
  const auto& d = node(g, op).definition;
  for (const Step& step : d.steps)
    for (const Ref& w : step.writes)
      if (step_is_used(step, split_axes(d, cut_of(g, s, op))) && w.operand == d.operand(operand) &&
          w.gradient == gradient)
        return operand_layout(d, w.operand, cut_of(g, s, op), Access::kWritten, step.reduces);
  SOAPSTONE_ASSERT(false, "{} does not write {}", op, operand);
}

void expect_move(const std::string& what, const Layout& from, const Layout& to,
                 const Shape& shape) {
  std::mt19937_64 random(3);
  oracle::Values whole(static_cast<std::size_t>(elements(shape)));
  for (double& v : whole) v = static_cast<double>(random() % 1000) + 1;
  const auto pieces = oracle::pieces_of(from, shape, whole, random);
  for (const Patterns patterns : {Patterns::kChosen, Patterns::kBoxesOnly}) {
    const Reshard r = reshard(from, to, patterns);
    const auto out = oracle::moved(r, from, to, pieces);
    ASSERT_TRUE(out) << what << ": " << out.error().message;
    const auto value = oracle::value_of(to, shape, *out);
    ASSERT_TRUE(value) << what << ": " << value.error().message;
    for (std::size_t i = 0; i < whole.size(); ++i)
      EXPECT_TRUE(std::isnan((*value)[i]) || (*value)[i] == whole[i]) << what << " element " << i;
    EXPECT_EQ(elements_moved(r, from, to), oracle::least_elements_moved(from, to, shape)) << what;
  }
}

// Operators, edges and gradients against the oracle, then whole steps against one device.
void expect_right(const Graph& graph, const Strategy& strategy, int devices) {
  const Graph micro = graph.micro_batch(strategy.micro_batches).value();
  for (std::size_t i = 0; i < micro.ops().size(); ++i) {
    const Status status = oracle::check_all(micro.ops()[i].definition, strategy.ops[i]);
    EXPECT_TRUE(status) << micro.ops()[i].name << ": " << status.error().message;
  }
  for (const Tensor& t : micro.tensors()) {
    if (t.role == TensorRole::kSource) continue;
    const OpNode& producer = micro.op(t.producer.op);
    const auto& made = producer.definition;
    const Layout home =
        operand_layout(made, t.producer.operand, strategy.ops[t.producer.op.value], Access::kRead);
    for (const OperandRef& use : t.uses) {
      const OpStrategy& s = strategy.ops[use.op.value];
      const OpDefinition& reader = micro.op(use.op).definition;
      const Layout to = operand_layout(reader, use.operand, s, Access::kRead);
      if (t.role == TensorRole::kWeight) {
        expect_move(t.name, home, to, t.desc.shape);
      } else {
        for (const Step& step : made.steps)
          for (const Ref& w : step.writes)
            if (!w.gradient && w.operand == t.producer.operand &&
                step_is_used(step, split_axes(made, strategy.ops[t.producer.op.value])))
              expect_move(t.name,
                          operand_layout(made, w.operand, strategy.ops[t.producer.op.value],
                                         Access::kWritten, step.reduces),
                          to, t.desc.shape);
      }
      for (const Step& step : reader.steps)
        for (const Ref& w : step.writes)
          if (w.gradient && w.operand == use.operand && t.needs_gradient)
            expect_move(t.name + " gradient",
                        operand_layout(reader, w.operand, s, Access::kWritten, step.reduces), home,
                        t.desc.shape);
    }
  }
  for (const bool clip : {false, true})
    for (const Patterns patterns : {Patterns::kChosen, Patterns::kBoxesOnly}) {
      const auto plan = lower(graph, strategy, cluster_of(devices), NominalCatalog{},
                              {.clip_gradient_norm = clip, .patterns = patterns});
      ASSERT_TRUE(plan) << plan.error().message;
      const Status valid = check(graph, *plan), memory = check_memory(*plan);
      EXPECT_TRUE(valid) << valid.error().message;
      EXPECT_TRUE(memory) << memory.error().message;
      const interpreter::Sgd sgd{.clip_norm = 0.1};
      const auto expected = run_unsharded(
          graph, {},
          {.micro_batches = strategy.micro_batches, .steps = 2, .clip = clip, .sgd = sgd});
      for (const Turns turns : {Turns::kTotalOrder, Turns::kAnyOrder}) {
        const auto d = compare(
            graph, run_plan(graph, *plan, {}, {.steps = 2, .sgd = sgd, .turns = turns}), expected);
        EXPECT_LE(d.worst, kTolerance) << d.where;
      }
    }
}

TensorDesc image(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return {{n, c, h, w}, DType::kF64, channels_last(4)};
}
TensorDesc dense(Shape shape) { return {std::move(shape), DType::kF64, {}}; }
TensorDesc classes(Shape shape) { return {std::move(shape), DType::kI32, {}}; }
Graph built(Result<Graph> g) {
  SOAPSTONE_ASSERT(g, "{}", g.error().message);
  return *g;
}
using Parts = std::vector<Interval>;
using Groups = std::set<oracle::Devices>;
oracle::Devices on(std::initializer_list<std::uint32_t> numbers) {
  oracle::Devices out;
  for (const auto n : numbers) out.insert(DeviceId(n));
  return out;
}

TEST(HardCases, StridedConvolutionWithAsymmetricPaddingAndHalo) {
  GraphBuilder g("strided");
  auto x = g.source("images", image(2, 2, 9, 8));
  const auto y = g.source("labels", classes({2}), 3);
  x = g.add("first", Conv2D{.out_channels = 2, .kernel = {1, 1}}, {x});
  x = g.add("strided",
            Conv2D{.out_channels = 3,
                   .kernel = {3, 3},
                   .stride = {2, 1},
                   .padding = {0, 1, 1, 0},
                   .activation = Activation::kRelu},
            {x});
  x = g.add("skips",
            Conv2D{.out_channels = 2, .kernel = {1, 2}, .stride = {3, 3}, .padding = {0, 2, 1, 0}},
            {x});
  x = g.add("flatten", Reshape{.shape = {0, -1}}, {x});
  x = g.add("fc", Linear{.out_features = {3}}, {x});
  const Graph graph = built(g.build_with_loss(x, y));
  ASSERT_EQ(graph.tensor(*graph.find_tensor("strided.y")).desc.shape, (Shape{2, 3, 4, 7}));

  const Strategy s = strategy_of(graph, {{"first", {{{"n", 2}, {"h", 2}}, {0, 1, 2, 3}}},
                                         {"strided", {{{"h", 2}, {"w", 2}}, {3, 0, 1, 2}}},
                                         {"skips", {{{"h", 2}, {"ci", 2}}, {1, 0, 3, 2}}},
                                         {"flatten", {{{"n", 2}}, {0, 1}}}});
  // Output rows 0-1 and 2-3 read input rows 0-4 and 4-8; columns 0-3 and 4-6 read -1-4 and 3-7,
  // where -1 is padding.
  const Layout read = read_layout(graph, s, "strided", "x");
  EXPECT_EQ(read.parts[2], (Parts{{0, 5}, {4, 9}}));
  EXPECT_EQ(read.parts[3], (Parts{{0, 5}, {3, 8}}));
  EXPECT_EQ(read.overlap, Overlap::kCopy);
  const Layout gradient = written_layout(graph, s, "strided", "x", true);
  EXPECT_EQ(gradient.parts, read.parts);
  EXPECT_EQ(gradient.overlap, Overlap::kSum);
  // Row 4 of columns 3 and 4 is in all four windows.
  const auto sums = oracle::contributions_of(gradient, {2, 2, 9, 8});
  EXPECT_EQ(sums.at(4 * 8 + 3), (Groups{on({0}), on({1}), on({2}), on({3})}));
  EXPECT_EQ(sums.at(4 * 8 + 0), (Groups{on({3}), on({1})}));
  // Windows of 1 row every 3: row 1 and 2 are read by nobody, and their gradient is zero.
  EXPECT_EQ(read_layout(graph, s, "skips", "x").parts[2], (Parts{{0, 1}, {3, 4}}));
  EXPECT_EQ(written_layout(graph, s, "skips", "x", true).overlap, Overlap::kSum);
  expect_right(graph, s, 4);
}

TEST(HardCases, ConcatWithEmptyPieces) {
  GraphBuilder g("concat");
  const auto x = g.source("images", image(2, 2, 3, 3));
  const auto y = g.source("labels", classes({2}), 3);
  const auto a = g.add("a", Conv2D{.out_channels = 1}, {x});
  const auto b = g.add("b", Conv2D{.out_channels = 5}, {x});
  const auto c = g.add("c", Conv2D{.out_channels = 2}, {x});
  auto t = g.add("concat", Concat{.dim = 1}, {a, b, c});
  t = g.add("relu", Relu{}, {t});
  t = g.add("flatten", Reshape{.shape = {0, -1}}, {t});
  t = g.add("fc", Linear{.out_features = {3}}, {t});
  const Graph graph = built(g.build_with_loss(t, y));
  const Strategy s = strategy_of(graph, {{"b", {{{"n", 2}, {"co", 2}}, {3, 2, 1, 0}}},
                                         {"c", {{{"co", 2}}, {1, 3}}},
                                         {"concat", {{{"c", 4}}, {0, 1, 2, 3}}},
                                         {"relu", {{{"h", 3}}, {2, 0, 3}}}});
  EXPECT_EQ(read_layout(graph, s, "concat", "x0").parts[1], (Parts{{0, 1}, {}, {}, {}}));
  EXPECT_EQ(read_layout(graph, s, "concat", "x1").parts[1], (Parts{{0, 1}, {1, 3}, {3, 5}, {}}));
  EXPECT_EQ(read_layout(graph, s, "concat", "x2").parts[1], (Parts{{}, {}, {}, {0, 2}}));
  expect_right(graph, s, 4);
}

TEST(HardCases, FlattenAfterAChannelSplit) {
  GraphBuilder g("flatten");
  auto x = g.source("images", image(4, 2, 4, 5));
  const auto y = g.source("labels", classes({4}), 3);
  x = g.add("conv", Conv2D{.out_channels = 3, .kernel = {3, 3}, .activation = Activation::kRelu},
            {x});
  x = g.add("flatten", Reshape{.shape = {0, -1}}, {x});
  x = g.add("fc", Linear{.out_features = {3}}, {x});
  const Graph graph = built(g.build_with_loss(x, y));
  const auto& axes = node(graph, "flatten").definition.axes;
  ASSERT_EQ(axes.size(), 4u);
  EXPECT_EQ(axes[1].coupling, Coupling::kNone);
  EXPECT_EQ(axes[2].coupling, Coupling::kUnsplittable);
  const Strategy s = strategy_of(graph, {{"conv", {{{"co", 2}, {"n", 2}}, {0, 1, 2, 3}}},
                                         {"flatten", {{{axes[1].name, 2}, {"n", 2}}, {0, 1, 2, 3}}},
                                         {"fc", {{{"i", 2}, {"n", 2}}, {0, 1, 2, 3}}}});
  // Channels 0-1 and 2 of 2 x 3 places each.
  EXPECT_EQ(written_layout(graph, s, "flatten", "y").parts[1], (Parts{{0, 12}, {12, 18}}));
  EXPECT_EQ(read_layout(graph, s, "fc", "x").parts[1], (Parts{{0, 9}, {9, 18}}));
  EXPECT_TRUE(reshard(written_layout(graph, s, "conv", "y"), read_layout(graph, s, "flatten", "x"))
                  .nothing());
  // Three of the 12 features of each of two samples cross, on either pair of devices.
  const Layout from = written_layout(graph, s, "flatten", "y"),
               to = read_layout(graph, s, "fc", "x");
  EXPECT_EQ(elements_moved(reshard(from, to), from, to), 12);
  expect_right(graph, s, 4);
}

TEST(HardCases, PackedQkvAttentionCutByHead) {
  GraphBuilder g("packed");
  auto x = g.source("features", dense({2, 3, 6}));
  const auto y = g.source("labels", classes({2, 3}), 4);
  x = g.add("norm", LayerNorm{}, {x});
  x = g.add("qkv", Linear{.out_features = {3, 3, 2}, .packed = true}, {x});
  x = g.add("attention", Attention{.causal = true}, {x});
  x = g.add("out", Linear{.out_features = {6}, .contracted_dims = 2}, {x});
  x = g.add("head", Linear{.out_features = {4}}, {x});
  const Graph graph = built(g.build_with_loss(x, y));
  const Strategy s = strategy_of(graph, {{"norm", {{}, {2, 0}, 2}},
                                         {"qkv", {{{"o1", 2}}, {2, 0}}},
                                         {"attention", {{{"head", 2}}, {2, 0}}},
                                         {"out", {{{"i0", 2}}, {2, 0}}},
                                         {"head", {{}, {2, 0}, 2}}});
  // Of q, k and v alike heads 0-1 on device 2, head 2 on device 0.
  const Layout qkv = written_layout(graph, s, "qkv", "y");
  EXPECT_EQ(qkv.box(0), (Box{{0, 2}, {0, 3}, {0, 3}, {0, 2}, {0, 2}}));
  EXPECT_EQ(qkv.box(1), (Box{{0, 2}, {0, 3}, {0, 3}, {2, 3}, {0, 2}}));
  EXPECT_TRUE(reshard(qkv, read_layout(graph, s, "attention", "qkv")).nothing());
  EXPECT_TRUE(reshard(written_layout(graph, s, "attention", "y"), read_layout(graph, s, "out", "x"))
                  .nothing());
  EXPECT_TRUE(
      reshard(read_layout(graph, s, "norm", "x"), read_layout(graph, s, "qkv", "x")).nothing());
  // One all-reduce behind the second linear in the forward pass, one behind the first in the
  // backward pass.
  EXPECT_EQ(written_layout(graph, s, "out", "y").partials, 2);
  EXPECT_EQ(reshard(written_layout(graph, s, "out", "y"), read_layout(graph, s, "head", "x"))
                .groups.at(0)
                .pattern,
            Pattern::kAllReduce);
  EXPECT_EQ(written_layout(graph, s, "qkv", "x", true).partials, 2);
  EXPECT_EQ(read_layout(graph, s, "out", "bias").devices, std::vector<DeviceId>{DeviceId(2)});
  expect_right(graph, s, 3);
}

TEST(HardCases, LinearWithSplitReductionBiasAndActivation) {
  GraphBuilder g("reduction");
  auto x = g.source("features", dense({4, 7}));
  const auto y = g.source("labels", classes({4}), 3);
  x = g.add("in", Linear{.out_features = {8}}, {x});
  x = g.add("split", Linear{.out_features = {5}, .activation = Activation::kRelu}, {x});
  x = g.add("out", Linear{.out_features = {3}}, {x});
  const Graph graph = built(g.build_with_loss(x, y));
  const Strategy s = strategy_of(graph, {{"in", {{{"o", 3}}, {0, 1, 2}}},
                                         {"split", {{{"n", 2}, {"i", 3}}, {5, 1, 2, 3, 0, 4}}},
                                         {"out", {{{"n", 2}, {"i", 2}}, {0, 1, 2, 3}}}});
  const Layout pre = written_layout(graph, s, "split", "pre");
  EXPECT_EQ(pre.partials, 3);
  EXPECT_EQ(written_layout(graph, s, "split", "y").replicas, 3);
  // The bias is on the first part of i, for either half of the samples, and so is its gradient.
  EXPECT_EQ(read_layout(graph, s, "split", "bias").devices,
            (std::vector<DeviceId>{DeviceId(5), DeviceId(3)}));
  const Layout bias = written_layout(graph, s, "split", "bias", true);
  EXPECT_EQ(bias.devices, (std::vector<DeviceId>{DeviceId(5), DeviceId(3)}));
  EXPECT_EQ(bias.partials, 2);
  EXPECT_EQ(oracle::contributions_of(bias, {5}).at(0), (Groups{on({5}), on({3})}));
  // Every weight is on two devices, which sum over their halves of the samples.
  const auto weight =
      oracle::contributions_of(written_layout(graph, s, "split", "weight", true), {5, 8});
  EXPECT_EQ(weight.at(0), (Groups{on({5}), on({3})}));
  EXPECT_EQ(weight.at(7), (Groups{on({2}), on({4})}));
  expect_right(graph, s, 6);
}

TEST(HardCases, VocabSplitEmbeddingTiedToTheOutputHead) {
  GraphBuilder g("tied");
  const auto ids = g.source("ids", classes({2, 4}), 7);
  const auto y = g.source("labels", classes({2, 4}), 7);
  auto x = g.add("embed", Embedding{.vocab = 7, .features = 4, .dtype = DType::kF64}, {ids});
  x = g.add("norm", LayerNorm{}, {x});
  x = g.add("head", Linear{.out_features = {7}, .bias = false}, {x},
            {{"weight", g.tensor("embed.table")}});
  const Graph graph = built(g.build_with_loss(x, y));
  const Strategy s = strategy_of(graph, {{"embed", {{{"vocab", 3}}, {0, 1, 2}}},
                                         {"norm", {{}, {0, 1, 2}, 3}},
                                         {"head", {{{"o", 2}, {"n", 2}}, {2, 3, 0, 1}}}});
  EXPECT_EQ(written_layout(graph, s, "embed", "y").partials, 3);
  EXPECT_EQ(read_layout(graph, s, "embed", "table").parts[0], (Parts{{0, 3}, {3, 5}, {5, 7}}));
  EXPECT_EQ(read_layout(graph, s, "head", "weight").parts[0], (Parts{{0, 4}, {4, 7}}));
  EXPECT_EQ(written_layout(graph, s, "head", "weight", true).partials, 2);
  expect_right(graph, s, 4);
  // Cut alike, the head reads the table where it lies, and both gradients are there.
  const Strategy alike = strategy_of(graph, {{"embed", {{{"vocab", 3}}, {0, 1, 2}}},
                                             {"norm", {{}, {0, 1, 2}, 3}},
                                             {"head", {{{"o", 3}}, {0, 1, 2}}}});
  EXPECT_EQ(read_layout(graph, alike, "embed", "table"),
            read_layout(graph, alike, "head", "weight"));
  const Plan plan = lower(graph, alike, cluster_of(3), NominalCatalog{}).value();
  for (const DeviceClass& c : plan.classes)
    for (const Task& t : c.tasks)
      EXPECT_FALSE(t.kind == TaskKind::kTransfer && t.tensor != kNoIndex &&
                   graph.tensors()[t.tensor].role == TensorRole::kWeight &&
                   graph.tensors()[t.tensor].name == "embed.table");
  expect_right(graph, alike, 3);
}

TEST(HardCases, BatchNormOverUnevenShards) {
  GraphBuilder g("batch-norm");
  auto x = g.source("images", image(5, 2, 3, 4));
  const auto y = g.source("labels", classes({5}), 3);
  x = g.add("conv", Conv2D{.out_channels = 3}, {x});
  x = g.add("bn", BatchNorm{}, {x});
  x = g.add("relu", Relu{}, {x});
  x = g.add("flatten", Reshape{.shape = {0, -1}}, {x});
  x = g.add("fc", Linear{.out_features = {3}}, {x});
  const Graph graph = built(g.build_with_loss(x, y));
  // 2 + 2 + 1 samples, 2 + 1 rows.
  const Strategy s = strategy_of(graph, {{"conv", {{{"n", 3}}, {0, 1, 2}}},
                                         {"bn", {{{"n", 3}, {"h", 2}}, {0, 3, 1, 4, 2, 5}}},
                                         {"relu", {{{"n", 5}}, {0, 1, 2, 3, 4}}}});
  EXPECT_EQ(written_layout(graph, s, "bn", "sums").partials, 6);
  EXPECT_EQ(written_layout(graph, s, "bn", "grad_sums").partials, 6);
  // The sums are complete everywhere: six equal gradients of gamma, of which none is added to
  // another.
  const Layout gamma = written_layout(graph, s, "bn", "gamma", true);
  EXPECT_EQ(gamma.partials, 1);
  EXPECT_EQ(oracle::contributions_of(gamma, {3}).at(0), Groups{on({0, 1, 2, 3, 4, 5})});
  expect_right(graph, s, 6);
  // Channels too, unevenly.
  expect_right(
      graph,
      strategy_of(graph, {{"bn", {{{"n", 2}, {"c", 2}, {"w", 2}}, {7, 6, 5, 4, 3, 2, 1, 0}}}}), 8);
}

TEST(HardCases, ReplicatedLayerNormBetweenTensorParallelLinears) {
  GraphBuilder g("replicated");
  auto x = g.source("features", dense({3, 2, 5}));
  const auto y = g.source("labels", classes({3, 2}), 3);
  const auto a = g.add("in", Linear{.out_features = {6}}, {x});
  x = g.add("down", Linear{.out_features = {4}}, {a});
  x = g.add("norm", LayerNorm{}, {x});
  x = g.add("up", Linear{.out_features = {6}}, {x});
  x = g.add("residual", Add{}, {x, a});
  x = g.add("out", Linear{.out_features = {3}}, {x});
  const Graph graph = built(g.build_with_loss(x, y));
  const Strategy s = strategy_of(graph, {{"in", {{{"o", 3}}, {0, 1, 2}}},
                                         {"down", {{{"i", 3}}, {0, 1, 2}}},
                                         {"norm", {{}, {0, 1, 2}, 3}},
                                         {"up", {{{"o", 3}}, {0, 1, 2}}},
                                         {"residual", {{{"c", 3}}, {0, 1, 2}}},
                                         {"out", {{{"i", 3}}, {0, 1, 2}}}});
  // Copies compute the same: their gradients are equal and nothing is summed.
  const Layout gamma = written_layout(graph, s, "norm", "gamma", true);
  EXPECT_EQ(oracle::contributions_of(gamma, {4}).at(0), Groups{on({0, 1, 2})});
  EXPECT_TRUE(reshard(gamma, read_layout(graph, s, "norm", "gamma")).nothing());
  // Its input's gradient comes as three partial sums.
  EXPECT_EQ(written_layout(graph, s, "up", "x", true).partials, 3);
  EXPECT_EQ(reshard(written_layout(graph, s, "up", "x", true), read_layout(graph, s, "norm", "x"))
                .groups.at(0)
                .pattern,
            Pattern::kAllReduce);
  const Plan plan = lower(graph, s, cluster_of(3), NominalCatalog{}).value();
  int all_reduces = 0;
  for (const Task& t : plan.classes[0].tasks)
    if (t.kind == TaskKind::kTransfer)
      all_reduces += plan.transfers[plan.entry(t, 0)].pattern == Pattern::kAllReduce;
  EXPECT_EQ(all_reduces, 2);
  expect_right(graph, s, 3);
}

Graph two_layers(std::int64_t batch) {
  GraphBuilder g("two-layers");
  auto x = g.source("features", dense({batch, 5}));
  const auto y = g.source("labels", classes({batch}), 4);
  x = g.add("fc1", Linear{.out_features = {7}, .activation = Activation::kRelu}, {x});
  x = g.add("fc2", Linear{.out_features = {4}}, {x});
  return built(g.build_with_loss(x, y));
}

// Stage 0 (fc1) on device 0, stage 1 (fc2, loss) on device 1, two micro-batches, one forward one
// backward:
//   device 0   F0 F1    B0    B1
//   device 1      F0 B0 F1 B1
TEST(HardCases, TwoStagePipelineInOneForwardOneBackwardOrder) {
  const Graph graph = two_layers(6);
  const Strategy s = strategy_of(graph, {{"fc2", {{}, {1}}}, {"loss", {{}, {1}}}}, 2);
  const Plan by_micro_batch = lower(graph, s, cluster_of(2), NominalCatalog{}).value();
  // A transfer belongs to the stage that sends it.
  const auto slot = [&](const Task& t, DeviceId device) {
    if (t.phase == Phase::kUpdate) return 100;
    const bool forward = t.phase == Phase::kForward;
    std::uint32_t stage = device.value;
    if (t.kind == TaskKind::kTransfer) stage = forward ? 0 : 1;
    static constexpr int kSlots[2][2][2] = {{{0, 2}, {4, 7}},
                                            {{1, 5}, {3, 6}}};  // [stage][backward][micro-batch]
    return kSlots[stage][forward ? 0 : 1][t.micro_batch];
  };
  const Plan plan = interpreter::reordered(by_micro_batch, slot);
  const Status valid = check(graph, plan), memory = check_memory(plan);
  ASSERT_TRUE(valid) << valid.error().message;
  EXPECT_TRUE(memory) << memory.error().message;
  std::string seen[2];
  for (std::size_t c = 0; c < 2; ++c)
    for (const Task& t : plan.classes[c].tasks)
      if (t.kind == TaskKind::kCompute) {
        const std::string what =
            (t.phase == Phase::kForward ? "F" : "B") + std::to_string(t.micro_batch) + " ";
        if (!seen[c].ends_with(what)) seen[c] += what;
      }
  EXPECT_EQ(seen[0], "F0 F1 B0 B1 ");
  EXPECT_EQ(seen[1], "F0 B0 F1 B1 ");
  const auto expected = run_unsharded(graph, {}, {.micro_batches = 2, .steps = 3});
  for (const Turns turns : {Turns::kTotalOrder, Turns::kAnyOrder}) {
    const auto d =
        compare(graph, run_plan(graph, plan, {}, {.steps = 3, .turns = turns}), expected);
    EXPECT_LE(d.worst, kTolerance) << d.where;
  }
  // Losing either micro-batch's activation or gradient on the way shows.
  for (const Task& t : plan.classes[0].tasks) {
    if (t.kind != TaskKind::kTransfer) continue;
    const auto d =
        compare(graph, run_plan(graph, plan, {}, {.steps = 3, .removed_order = t.order}), expected);
    EXPECT_GT(d.worst, 1e-3) << task_label(graph, plan, plan.classes[0], t);
  }
}

// Every weight and its optimizer state lie in three parts on three data-parallel devices; whole
// weights live from an all-gather to the step that reads them; gradients go straight to their
// owners' sum.
TEST(HardCases, ZeroStageThreeWrittenByHand) {
  const Graph graph = two_layers(7);
  constexpr std::uint32_t kDevices = 3;
  interpreter::PlanWriter w(graph, kDevices, 1);
  using Buffers = std::vector<std::uint32_t>;
  const auto id = [&](std::string_view name) { return *graph.find_tensor(name); };
  const auto shape = [&](TensorId t) { return graph.tensor(t).desc.shape; };
  const auto rows = [&](std::uint32_t d) {
    return part_of(7, 1, kDevices, static_cast<int>(d));
  };  // 3, 2, 2 samples
  const auto on_all = [&](BufferKind kind, TensorId t, const auto& box_of) {
    Buffers out;
    for (std::uint32_t d = 0; d < kDevices; ++d) out.push_back(w.buffer(d, kind, t, box_of(d)));
    return out;
  };
  const auto whole_of = [&](TensorId t) {
    return [&, t](std::uint32_t) { return whole(shape(t)); };
  };
  const auto sharded = [&](TensorId t) {
    return [&, t](std::uint32_t d) {
      Box box = whole(shape(t));
      box[0] = part_of(shape(t)[0], 1, kDevices, static_cast<int>(d));
      return box;
    };
  };
  const auto samples = [&](TensorId t) {
    return [&, t](std::uint32_t d) {
      Box box = whole(shape(t));
      box[0] = rows(d);
      return box;
    };
  };
  const auto collective = [&](Pattern pattern, Algorithm algorithm, TensorId t, Phase phase,
                              const Buffers& held, const Buffers& wanted) {
    Transfer transfer;
    transfer.pattern = pattern;
    transfer.algorithm = algorithm;
    transfer.sum = pattern == Pattern::kReduceScatter;
    const bool gathers = pattern == Pattern::kAllGather;
    for (std::uint32_t d = 0; d < kDevices; ++d)
      transfer.members.push_back({DeviceId(d), gathers ? sharded(t)(d) : whole(shape(t)),
                                  gathers ? whole(shape(t)) : sharded(t)(d)});
    w.transfer(transfer, t, phase, held, wanted);
    w.next();
  };
  std::map<std::string, Buffers> weight, state, gradient;
  const std::vector<std::string> weights{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"};
  for (const auto& name : weights) {
    weight[name] = on_all(BufferKind::kWeight, id(name), sharded(id(name)));
    state[name] = on_all(BufferKind::kOptimizerState, id(name), sharded(id(name)));
  }
  const auto gathered = [&](const std::string& name, Phase phase) {
    const Buffers full = on_all(BufferKind::kActivation, id(name), whole_of(id(name)));
    collective(Pattern::kAllGather, Algorithm::kRing, id(name), phase, weight[name], full);
    return full;
  };
  const auto step = [&](std::string_view op, std::string_view name, std::vector<Interval> rest,
                        const std::vector<Buffers>& buffers) {
    for (std::uint32_t d = 0; d < kDevices; ++d) {
      std::vector<Interval> axes{rows(d)};
      axes.insert(axes.end(), rest.begin(), rest.end());
      Buffers own;
      for (const auto& b : buffers) own.push_back(b[d]);
      w.compute(d, *graph.find_op(op), name, axes, own);
    }
    w.next();
  };
  const auto scattered = [&](const std::string& name, const Buffers& partial) {
    gradient[name] = on_all(BufferKind::kWeightGradient, id(name), sharded(id(name)));
    collective(Pattern::kReduceScatter, Algorithm::kHalvingDoubling, id(name),
               Phase::kBackwardWeight, partial, gradient[name]);
  };
  const auto internal = [&](std::int64_t columns) {
    return on_all(BufferKind::kInternal, TensorId(), [&](std::uint32_t d) {
      return Box{rows(d), {0, columns}};
    });
  };

  const Buffers x = on_all(BufferKind::kSource, id("features"), samples(id("features")));
  const Buffers y = on_all(BufferKind::kSource, id("labels"), samples(id("labels")));
  for (std::uint32_t d = 0; d < kDevices; ++d)
    w.load(d, id("features"), x[d]), w.load(d, id("labels"), y[d]);
  w.next();
  const Buffers hidden = on_all(BufferKind::kActivation, id("fc1.y"), samples(id("fc1.y")));
  const Buffers logits = on_all(BufferKind::kActivation, id("fc2.y"), samples(id("fc2.y")));
  const std::vector<Interval> fc1{{0, 7}, {0, 5}}, fc2{{0, 4}, {0, 7}}, loss{{0, 4}};
  {
    const Buffers w1 = gathered("fc1.weight", Phase::kForward),
                  b1 = gathered("fc1.bias", Phase::kForward);
    step("fc1", "forward", fc1, {x, w1, b1, hidden});
    const Buffers w2 = gathered("fc2.weight", Phase::kForward),
                  b2 = gathered("fc2.bias", Phase::kForward);
    step("fc2", "forward", fc2, {hidden, w2, b2, logits});
  }
  const Buffers loss_sum = on_all(BufferKind::kScalar, id("loss.loss"), whole_of(id("loss.loss")));
  const Buffers correct =
      on_all(BufferKind::kScalar, id("loss.correct"), whole_of(id("loss.correct")));
  const Buffers labelled =
      on_all(BufferKind::kScalar, id("loss.labelled"), whole_of(id("loss.labelled")));
  const Buffers lse =
      on_all(BufferKind::kInternal, TensorId(), [&](std::uint32_t d) { return Box{rows(d)}; });
  step("loss", "forward", loss, {logits, y, loss_sum, correct, labelled, lse});
  const Buffers d_logits =
      on_all(BufferKind::kActivationGradient, id("fc2.y"), samples(id("fc2.y")));
  step("loss", "backward_input", loss, {logits, y, lse, d_logits});
  const Buffers d_hidden =
      on_all(BufferKind::kActivationGradient, id("fc1.y"), samples(id("fc1.y")));
  step("fc2", "backward_input", fc2,
       {d_logits, gathered("fc2.weight", Phase::kBackwardInput), d_hidden});
  const Buffers dw2 =
      on_all(BufferKind::kWeightGradient, id("fc2.weight"), whole_of(id("fc2.weight")));
  const Buffers db2 = on_all(BufferKind::kWeightGradient, id("fc2.bias"), whole_of(id("fc2.bias")));
  step("fc2", "backward_weight", fc2, {d_logits, hidden, dw2, db2});
  scattered("fc2.weight", dw2);
  scattered("fc2.bias", db2);
  const Buffers d_pre = internal(7);
  step("fc1", "backward_activation", fc1, {hidden, d_hidden, d_pre});
  const Buffers dw1 =
      on_all(BufferKind::kWeightGradient, id("fc1.weight"), whole_of(id("fc1.weight")));
  const Buffers db1 = on_all(BufferKind::kWeightGradient, id("fc1.bias"), whole_of(id("fc1.bias")));
  step("fc1", "backward_weight", fc1, {d_pre, x, dw1, db1});
  scattered("fc1.weight", dw1);
  scattered("fc1.bias", db1);
  for (const auto& name : weights) {
    for (std::uint32_t d = 0; d < kDevices; ++d)
      w.update(d, id(name), {weight[name][d], gradient[name][d], state[name][d]});
    w.next();
  }

  const Plan plan = w.take();
  const Status valid = check(graph, plan), memory = check_memory(plan);
  ASSERT_TRUE(valid) << valid.error().message;
  EXPECT_TRUE(memory) << memory.error().message;
  const auto expected = run_unsharded(graph, {}, {.steps = 3});
  for (const Turns turns : {Turns::kTotalOrder, Turns::kAnyOrder}) {
    const auto d =
        compare(graph, run_plan(graph, plan, {}, {.steps = 3, .turns = turns}), expected);
    EXPECT_LE(d.worst, kTolerance) << d.where;
  }
  for (const Task& t : plan.classes[0].tasks) {
    if (t.kind != TaskKind::kTransfer) continue;
    const auto d =
        compare(graph, run_plan(graph, plan, {}, {.steps = 3, .removed_order = t.order}), expected);
    EXPECT_GT(d.worst, 1e-3) << task_label(graph, plan, plan.classes[0], t);
  }
  // No device keeps a whole weight between steps.
  Bytes kept, all;
  for (const Buffer& b : plan.classes[0].buffers)
    if (b.kind == BufferKind::kWeight) kept += b.size;
  for (const auto& name : weights) all += bytes_of(graph.tensor(id(name)).desc);
  EXPECT_LT(kept.value * 2, all.value);
}

}  // namespace
}  // namespace soapstone::core
