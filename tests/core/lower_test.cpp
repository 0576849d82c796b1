// Whole plans against one device: for every model many strategies, executed by the interpreter.
#include "core/lower.hpp"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/add.hpp"
#include "core/ops/attention.hpp"
#include "core/ops/batch_norm.hpp"
#include "core/ops/concat.hpp"
#include "core/ops/conv2d.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/embedding.hpp"
#include "core/ops/embedding_bag.hpp"
#include "core/ops/gelu.hpp"
#include "core/ops/layer_norm.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/pool2d.hpp"
#include "core/ops/relu.hpp"
#include "core/ops/reshape.hpp"
#include "tests/support/interpreter/interpreter.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::core {
namespace {

using interpreter::check_memory;
using interpreter::cluster_of;
using interpreter::compare;
using interpreter::describe;
using interpreter::random_strategy;
using interpreter::run_plan;
using interpreter::run_unsharded;
using interpreter::RunOptions;
using interpreter::TrainingData;
using interpreter::Turns;
using interpreter::UnshardedOptions;
using interpreter::UnshardedStep;
using interpreter::WorkspaceCatalog;

// Sums of a few hundred terms in another order, through some twenty operators: some 1e-14 of
// rounding.
constexpr double kTolerance = 1e-12;

struct Trial {
  Strategy strategy;
  LowerOptions options;
  int steps = 1;
  Turns turns = Turns::kTotalOrder;
};

// What one device makes of the same steps; kept, since many trials share it.
const std::vector<UnshardedStep>& expected_of(const Graph& graph, const UnshardedOptions& options) {
  static std::map<std::tuple<std::uint64_t, std::int64_t, int, std::uint32_t,
                             std::optional<std::uint32_t>, bool>,
                  std::vector<UnshardedStep>>
      known;
  const auto [it, is_new] =
      known.try_emplace({graph.hash(), options.micro_batches, options.steps,
                         options.optimizer_states, options.table_states, options.clip});
  if (is_new) it->second = run_unsharded(graph, TrainingData{}, options);
  return it->second;
}

UnshardedOptions unsharded_options(const Trial& t) {
  UnshardedOptions options{
      .micro_batches = t.strategy.micro_batches,
      .steps = t.steps,
      .optimizer_states = static_cast<std::uint32_t>(t.options.optimizer_states),
      .clip = t.options.clip_gradient_norm,
      .sgd = {.clip_norm = 0.05, .tables_have_adagrad = t.options.table_states.has_value()}};
  if (t.options.table_states)
    options.table_states = static_cast<std::uint32_t>(*t.options.table_states);
  return options;
}

Plan lowered(const Graph& graph, const Trial& t, int devices) {
  const Cluster cluster = cluster_of(devices);
  auto plan = lower(graph, t.strategy, cluster, WorkspaceCatalog{}, t.options);
  SOAPSTONE_ASSERT(plan, "{}", plan.error().message);
  return std::move(*plan);
}

interpreter::Difference difference(const Graph& graph, const Plan& plan, const Trial& t,
                                   std::optional<std::uint32_t> removed = {}) {
  const UnshardedOptions options = unsharded_options(t);
  const auto found =
      run_plan(graph, plan, TrainingData{},
               {.steps = t.steps, .sgd = options.sgd, .turns = t.turns, .removed_order = removed});
  return compare(graph, found, expected_of(graph, options));
}

void expect_unsharded_answer(const Graph& graph, const Trial& t, int devices) {
  const Plan plan = lowered(graph, t, devices);
  const Status valid = check(graph, plan);
  EXPECT_TRUE(valid) << valid.error().message;
  const Status memory = check_memory(plan);
  EXPECT_TRUE(memory) << memory.error().message;
  try {
    const auto d = difference(graph, plan, t);
    EXPECT_LE(d.worst, kTolerance) << d.where;
  } catch (const InvariantError& e) {
    ADD_FAILURE() << e.what();
  }
}

Graph model(std::string_view name, std::int64_t batch) {
  return build_model(name, {.batch = batch, .dtype = DType::kF64}).value();
}

// Smaller than the zoo, with what the zoo does not have: a tensor that one operator reads twice, a
// branch that the loss does not see, broadcasting, a weight with three owners, a regrouping
// reshape.
Graph oddities(std::int64_t batch, bool has_unseen_branch = true) {
  GraphBuilder g("oddities");
  const auto ids = g.source("ids", {{batch, 4}, DType::kI32, {}}, 5);
  const auto labels = g.source("labels", {{batch, 4}, DType::kI32, {}}, 5);
  const auto offset = g.source("offset", {{batch, 1, 6}, DType::kF64, {}});
  auto x = g.add("embed", Embedding{.vocab = 5, .features = 6, .dtype = DType::kF64}, {ids});
  const auto twin = g.add("twin", Embedding{.vocab = 5, .features = 6, .dtype = DType::kF64}, {ids},
                          {{"table", g.tensor("embed.table")}});
  x = g.add("twice", Add{}, {x, x});
  x = g.add("sum", Add{}, {x, twin});
  x = g.add("shift", Add{}, {offset, x});
  const auto heads = g.add("split", Linear{.out_features = {2, 3}}, {x});
  auto t = g.add("attend", Attention{}, {heads, heads, heads});
  t = g.add("merge", Reshape{.shape = {0, 0, 6}}, {t});
  if (has_unseen_branch) g.add("unseen", Linear{.out_features = {3}}, {t});
  t = g.add("double", Concat{.dim = 2}, {t, t});
  t = g.add("narrow", Linear{.out_features = {6}, .activation = Activation::kRelu}, {t});
  const auto row = g.add("row", Linear{.out_features = {1}}, {t});
  t = g.add("scale", Add{}, {row, t});
  t = g.add("regroup", Reshape{.shape = {0, 3, 8}}, {t});
  t = g.add("squash", Gelu{}, {t});
  t = g.add("ungroup", Reshape{.shape = {0, 4, 6}}, {t});
  t = g.add("head", Linear{.out_features = {5}, .bias = false}, {t},
            {{"weight", g.tensor("embed.table")}});
  const auto built = g.build_with_loss(t, labels);
  SOAPSTONE_ASSERT(built, "{}", built.error().message);
  return *built;
}

// Tables of all kinds: bags that are added up or averaged, sequences, one that is met more often
// than it has rows, one with two readers.
Graph tables(std::int64_t batch) {
  GraphBuilder g("tables");
  const auto bags = g.source("bags", {{batch, 3}, DType::kI32, {}}, 40);
  const auto words = g.source("words", {{batch, 4}, DType::kI32, {}}, 29);
  const auto labels = g.source("labels", {{batch}, DType::kI32, {}}, 3);
  const auto bag = [&](const char* name, TensorId ids, std::int64_t vocab, BagMode mode) {
    return g.add(name,
                 EmbeddingBag{.vocab = vocab, .features = 4, .mode = mode, .dtype = DType::kF64},
                 {ids});
  };
  const auto sum = bag("sum", bags, 40, BagMode::kSum);
  const auto mean = bag("mean", bags, 40, BagMode::kMean);
  const auto crowded = bag("crowded", words, 29, BagMode::kSum);
  const auto pairs = g.source("pairs", {{batch, 2}, DType::kI32, {}}, 31);
  auto x = g.add("sequence", Embedding{.vocab = 31, .features = 4, .dtype = DType::kF64}, {pairs});
  const auto twin =
      g.add("twin", Embedding{.vocab = 31, .features = 4, .dtype = DType::kF64}, {pairs});
  const auto shared = g.add("shared", Embedding{.vocab = 31, .features = 4, .dtype = DType::kF64},
                            {pairs}, {{"table", g.tensor("twin.table")}});
  x = g.add("twins", Add{}, {x, twin});
  x = g.add("all", Add{}, {x, shared});
  x = g.add("flat", Reshape{.shape = {0, 8}}, {x});
  x = g.add("beside", Concat{.dim = 1}, {x, sum, mean, crowded});
  x = g.add("hidden", Linear{.out_features = {6}}, {x});
  x = g.add("squash", Gelu{}, {x});
  x = g.add("out", Linear{.out_features = {3}}, {x});
  const auto built = g.build_with_loss(x, labels);
  SOAPSTONE_ASSERT(built, "{}", built.error().message);
  return *built;
}

Graph graph_named(const std::string& name, std::int64_t batch) {
  if (name == "tables") return tables(batch);
  if (name == "oddities") return oddities(batch);
  return name == "seen oddities" ? oddities(batch, false) : model(name, batch);
}

struct RandomCase {
  std::string model;
  int trials;
  int seed;
};
void PrintTo(const RandomCase& c, std::ostream* out) { *out << c.model; }

class RandomStrategies : public testing::TestWithParam<RandomCase> {};

TEST_P(RandomStrategies, GiveTheAnswerOfOneDevice) {
  const RandomCase& c = GetParam();
  std::mt19937_64 random(static_cast<std::uint64_t>(c.seed));
  for (int k = 0; k < c.trials && !HasFailure(); ++k) {
    const int micro_batches = 1 + static_cast<int>(random() % 3);
    const std::int64_t batch = micro_batches * (micro_batches == 3 ? 1 : 2);
    const Graph graph = graph_named(c.model, batch);
    const int devices = 1 + static_cast<int>(random() % 6);
    Trial t;
    t.strategy = random_strategy(graph, devices, micro_batches, random);
    t.options.clip_gradient_norm = random() % 2 == 0;
    t.options.patterns = random() % 4 == 0 ? Patterns::kBoxesOnly : Patterns::kChosen;
    t.options.optimizer_states = static_cast<int>(random() % 3 != 0);
    if (c.model == "tables" && random() % 8 != 0) {
      t.options.table_states = static_cast<int>(random() % 2);
      t.options.by_rows = random() % 6 != 0;
      t.steps = 2;
    }
    t.turns = random() % 2 == 0 ? Turns::kTotalOrder : Turns::kAnyOrder;
    SCOPED_TRACE(fmt::format("trial {}: {} devices, clip {}, {}: {}", k, devices,
                             t.options.clip_gradient_norm,
                             t.options.patterns == Patterns::kBoxesOnly ? "boxes" : "patterns",
                             describe(graph, t.strategy)));
    expect_unsharded_answer(graph, t, devices);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RandomStrategies,
                         testing::Values(RandomCase{"mlp", 12, 1},
                                         RandomCase{"inception-block", 200, 2},
                                         RandomCase{"transformer-block", 100, 3},
                                         RandomCase{"oddities", 200, 4},
                                         RandomCase{"tables", 200, 5}),
                         [](const auto& c) {
                           std::string name = c.param.model;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// The unsharded run is what everything else is held against; its gradients are held against its
// forward pass.
TEST(Unsharded, GradientsAreTheSlopesOfTheLoss) {
  for (const std::string name : {"inception-block", "transformer-block", "oddities"}) {
    GraphSpec spec = graph_named(name, 2).spec();
    for (auto& op : spec.ops)
      if (op.op.get_if<Dropout>())
        op.op = Dropout{.rate = 0};  // the second step would draw another mask
    const Graph graph = Graph::build(spec).value();
    const double slope = run_unsharded(graph, {}, {})[0].squared_norm;
    // Plain descent by r changes the loss by -r |gradient|² + O(r²).
    const auto loss_after = [&](double rate) {
      return run_unsharded(graph, {},
                           {.steps = 2, .optimizer_states = 0, .sgd = {.learning_rate = rate}})[1]
          .loss;
    };
    const double r = 1e-5 / slope;
    EXPECT_NEAR((loss_after(-r) - loss_after(r)) / (2 * r), slope, 1e-4 * slope) << name;
  }
}

TEST(Lower, OneDeviceMovesNothing) {
  for (const std::string name : {"mlp", "inception-block", "transformer-block", "oddities"}) {
    const Graph graph = graph_named(name, 2);
    const Trial t{
        .strategy = single_device(graph), .options = {.clip_gradient_norm = true}, .steps = 2};
    const Plan plan = lowered(graph, t, 1);
    ASSERT_EQ(plan.classes.size(), 1u);
    for (const Task& task : plan.classes[0].tasks) {
      // Only gradients that leave gaps or come short of the tensor are copied into place.
      const bool gradient = task.kind == TaskKind::kTransfer && task.phase != Phase::kForward;
      EXPECT_TRUE(task.kind != TaskKind::kTransfer || gradient)
          << task_label(graph, plan, plan.classes[0], task);
    }
    expect_unsharded_answer(graph, t, 1);
  }
}

TEST(Lower, DataParallelSumsEveryWeightsGradientOnce) {
  const Graph graph = model("transformer-block", 6);
  const std::vector<DeviceId> devices{DeviceId(2), DeviceId(0), DeviceId(1)};
  const Trial t{.strategy = data_parallel(graph, devices), .options = {}, .steps = 2};
  const Plan plan = lowered(graph, t, 3);
  std::map<std::string, int> all_reduces;
  for (const Task& task : plan.classes[0].tasks)
    if (task.kind == TaskKind::kTransfer) {
      EXPECT_EQ(plan.transfers[plan.entry(task, 0)].pattern, Pattern::kAllReduce);
      ++all_reduces[graph.tensors()[task.tensor].name];
    }
  for (const Tensor& tensor : graph.tensors()) {
    if (tensor.role == TensorRole::kWeight) {
      EXPECT_EQ(all_reduces[tensor.name], 1) << tensor.name;
    }
  }
  expect_unsharded_answer(graph, t, 3);
}

// A plan depends on the strategy, not on what was lowered before.
TEST(Lower, AWarmLoweringGivesTheSamePlan) {
  std::mt19937_64 random(9);
  const LowerOptions options{.clip_gradient_norm = true, .table_states = 0, .by_rows = true};
  for (const std::string name : {"inception-block", "transformer-block", "oddities", "tables"}) {
    const Graph graph = graph_named(name, 6);
    const Cluster cluster = cluster_of(6);
    const WorkspaceCatalog catalog;
    Lowering warm(graph, cluster, catalog, options);
    std::vector<Strategy> strategies;
    for (int k = 0; k < 12; ++k) strategies.push_back(random_strategy(graph, 6, 1 + k % 3, random));
    // One operator after the other, as a search does.
    for (int k = 0; k < 12; ++k) {
      Strategy next = strategies.back();
      const std::size_t op = random() % next.ops.size();
      next.ops[op] = interpreter::random_op_strategy(
          graph.micro_batch(next.micro_batches).value().ops()[op], 6, random);
      strategies.push_back(next);
    }
    for (const Strategy& s : strategies) {
      const auto plan = warm.lower(s);
      ASSERT_TRUE(plan) << plan.error().message;
      const Plan fresh = lower(graph, s, cluster, catalog, options).value();
      EXPECT_EQ(*plan, fresh) << describe(graph, s);
      EXPECT_EQ(hash_of(*plan), hash_of(fresh));
    }
    Strategy bad = strategies[0];
    bad.ops[0].devices[0] = DeviceId(6);
    EXPECT_FALSE(warm.lower(bad));
    EXPECT_EQ(*warm.lower(strategies[0]),
              lower(graph, strategies[0], cluster, catalog, options).value());
  }
}

TEST(Lower, WithoutTrainingOnlyTheForwardPassRuns) {
  std::mt19937_64 random(10);
  for (const std::string name : {"inception-block", "transformer-block", "oddities"}) {
    const Graph graph = graph_named(name, 4);
    for (int trial = 0; trial < 6; ++trial) {
      const int micro_batches = 1 + trial % 2;
      const Strategy s = random_strategy(graph, 5, micro_batches, random);
      const Plan plan =
          lower(graph, s, cluster_of(5), WorkspaceCatalog{}, {.training = false}).value();
      ASSERT_TRUE(check(graph, plan));
      const Status memory = check_memory(plan);
      EXPECT_TRUE(memory) << memory.error().message;
      for (const auto& c : plan.classes) {
        for (const Task& t : c.tasks) EXPECT_EQ(t.phase, Phase::kForward);
        for (const Buffer& b : c.buffers) EXPECT_NE(b.kind, BufferKind::kOptimizerState);
      }
      const auto found = run_plan(graph, plan, {}, {.turns = Turns::kAnyOrder})[0];
      const auto expected = run_unsharded(
          graph, {}, {.micro_batches = micro_batches, .run = StepUse::kEvaluation})[0];
      EXPECT_NEAR(found.loss, expected.loss, kTolerance * expected.loss) << describe(graph, s);
      EXPECT_EQ(found.correct, expected.correct);
      EXPECT_TRUE(found.gradients.empty());
    }
  }
}

// Every transfer between devices matters: without it some loss, gradient or weight is another.
// Looked for in whole steps of every model, under strategies that cut all that can be cut.
TEST(Lower, EveryTransferThatIsLeftOutShows) {
  std::mt19937_64 random(13);
  int gradient_transfers = 0;
  for (const std::string name :
       {"inception-block", "transformer-block", "seen oddities", "tables"}) {
    for (int trial = 0; trial < 2; ++trial) {
      const int micro_batches = 1 + trial % 2;
      const Graph graph = graph_named(name, 2 * micro_batches);
      Trial t{.strategy = random_strategy(graph, 4, micro_batches, random),
              .options = {.clip_gradient_norm = true}};
      if (name == "tables") t.options.table_states = 1, t.options.by_rows = true;
      const Plan plan = lowered(graph, t, 4);
      std::map<std::uint32_t, std::string> transfers;  // by order
      for (const auto& c : plan.classes)
        for (const Task& task : c.tasks) {
          if (task.kind != TaskKind::kTransfer) continue;
          const Transfer& transfer = plan.transfers[plan.entry(task, 0)];
          if (transfer.members.size() < 2) continue;
          if (transfers.emplace(task.order, task_label(graph, plan, c, task)).second)
            gradient_transfers += task.phase != Phase::kForward;
        }
      for (const auto& [order, label] : transfers) {
        double worst = 0;
        try {
          worst = difference(graph, plan, t, order).worst;
        } catch (const InvariantError& e) {
          ASSERT_TRUE(std::string(e.what()).find("copies of the loss differ") != std::string::npos)
              << e.what();
          worst = 1;
        }
        EXPECT_GT(worst, 1e-6) << "order " << order << " " << label
                               << " changes nothing: " << describe(graph, t.strategy);
      }
    }
  }
  EXPECT_GT(gradient_transfers, 100);
}

// What the update of a table by rows is for: nothing of the table's size but the table.
TEST(Lower, ATableThatIsUpdatedByRowsHasNoGradientOfItsSize) {
  const Graph graph = tables(4);
  const std::vector<DeviceId> devices{DeviceId(0), DeviceId(1)};
  const auto lower_with = [&](const LowerOptions& options) {
    return lower(graph, data_parallel(graph, devices), cluster_of(2), NominalCatalog{}, options)
        .value();
  };
  const LowerOptions rows = lower_options(OptimizerKind::kSgd, 0.9, 0, TableOptimizer::kSgd);
  EXPECT_EQ(rows.optimizer_states, 1);
  EXPECT_EQ(rows.table_states, 0);
  const Plan plan = lower_with(rows);
  const auto& program = plan.classes[0];
  std::map<std::string, TaskKind> updates;
  std::map<std::string, Pattern> gradients;
  for (const Task& task : program.tasks) {
    if (task.kind == TaskKind::kUpdate || task.kind == TaskKind::kUpdateRows)
      updates[graph.tensors()[task.tensor].name] = task.kind;
    if (task.kind == TaskKind::kTransfer && task.phase != Phase::kForward)
      gradients[graph.tensors()[task.tensor].name] = plan.transfers[plan.entry(task, 0)].pattern;
  }
  for (const char* table : {"sum.table", "mean.table", "sequence.table"}) {
    EXPECT_EQ(updates.at(table), TaskKind::kUpdateRows) << table;
    EXPECT_FALSE(gradients.contains(table)) << table;
    for (const Buffer& b : program.buffers)
      EXPECT_TRUE(b.kind != BufferKind::kWeightGradient || graph.tensors()[b.tensor].name != table);
  }
  for (const char* y : {"sum.y", "mean.y", "sequence.y"})
    EXPECT_EQ(gradients.at(y), Pattern::kAllGather) << y;
  // 16 ids for 29 rows of crowded.table; two operators read twin.table.
  EXPECT_EQ(updates.at("crowded.table"), TaskKind::kUpdateRows);
  EXPECT_EQ(updates.at("twin.table"), TaskKind::kUpdate);
  EXPECT_EQ(gradients.at("twin.table"), Pattern::kAllReduce);
  // 32 ids are too many.
  const Graph larger = tables(8);
  const Plan crowded =
      lower(larger, data_parallel(larger, devices), cluster_of(2), NominalCatalog{}, rows).value();
  for (const Task& task : crowded.classes[0].tasks)
    if (task.tensor != kNoIndex && larger.tensors()[task.tensor].name == "crowded.table") {
      EXPECT_NE(task.kind, TaskKind::kUpdateRows);
    }
  // Momentum and weight decay move every row, and AdamW's moments do.
  for (const auto& [kind, momentum, decay] :
       {std::tuple{OptimizerKind::kSgd, 0.9, 0.0}, std::tuple{OptimizerKind::kSgd, 0.0, 0.1},
        std::tuple{OptimizerKind::kAdagrad, 0.9, 0.1},
        std::tuple{OptimizerKind::kAdamW, 0.9, 0.0}}) {
    const Plan whole = lower_with(lower_options(kind, momentum, decay, TableOptimizer::kSame));
    for (const Task& task : whole.classes[0].tasks)
      EXPECT_NE(task.kind, TaskKind::kUpdateRows) << name_of(kind);
  }
  EXPECT_TRUE(lower_options(OptimizerKind::kAdagrad, 0.9, 0, TableOptimizer::kSame).by_rows);
}

// One device without clipping: nothing moves, and the arena shrinks by the gradients of the tables.
TEST(Lower, UpdatesByRowsNeedLessMemory) {
  const Graph graph =
      build_model("dlrm", {.batch = 8, .parameters = {{"tables", 2}, {"rows", 10000}}}).value();
  const auto arena = [&](TableOptimizer of_tables) {
    return lower(graph, single_device(graph), cluster_of(1), NominalCatalog{},
                 lower_options(OptimizerKind::kSgd, 0.9, 0, of_tables))
        .value()
        .classes[0]
        .arena;
  };
  const Bytes table(10000 * 64 * 4);
  // Two gradients and two momentum buffers less.
  EXPECT_GT(arena(TableOptimizer::kSame) - arena(TableOptimizer::kSgd), table * 4 - Bytes(100'000));
}

TEST(Lower, RefusesWhatDoesNotFitTheMicroBatch) {
  const Graph graph = model("mlp", 4);
  Strategy s = data_parallel(graph, std::vector{DeviceId(0), DeviceId(1), DeviceId(2)});
  s.micro_batches = 2;
  const auto plan = lower(graph, s, cluster_of(3), NominalCatalog{});
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("degree 3 of axis n (2 indices"), std::string::npos)
      << plan.error().message;
}

}  // namespace
}  // namespace soapstone::core
