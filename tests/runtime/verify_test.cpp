// Strategies train to the same result as one device.
#include "runtime/verify.hpp"

#include <map>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
#include "core/ops/dropout.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/reshape.hpp"
#include "kernels/catalog.hpp"
#include "runtime/comm/local.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

struct Setting {
  const char* model;
  int devices;
  int micro_batches;
  std::uint64_t seed;
};

std::vector<core::DeviceId> first_devices(int count) {
  std::vector<core::DeviceId> list;
  for (int d = 0; d < count; ++d) list.emplace_back(static_cast<std::uint32_t>(d));
  return list;
}

class Bench {
 public:
  Bench(const char* model, int devices, std::int64_t batch = 6,
        core::DType dtype = core::DType::kF64)
      : Bench(core::build_model(model, {.batch = batch, .dtype = dtype}).value(), devices) {}
  Bench(core::Graph of, int devices)
      : graph(std::move(of)),
        cluster(interpreter::cluster_of(devices)),
        data(make_synthetic_data(graph, 3).value()),
        communicator(make_local_communicator(devices)) {}

  core::Result<std::vector<Verdict>> run(std::span<const core::Strategy> strategies,
                                         const VerifyOptions& options) {
    return verify(*communicator, graph, cluster, catalog, *data.train, strategies, options);
  }

  core::Graph graph;
  core::Cluster cluster;
  kernels::HostCatalog catalog;
  DataSets data;
  std::unique_ptr<Communicator> communicator;
};

VerifyOptions few_steps() {
  VerifyOptions o;
  o.steps = 4;
  o.optimizer = {.learning_rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3, .nesterov = true};
  return o;
}

class Verify : public testing::TestWithParam<Setting> {};

TEST_P(Verify, random_strategies_equal_one_device) {
  const Setting s = GetParam();
  Bench bench(s.model, s.devices);
  std::mt19937_64 random(s.seed);
  std::vector<core::Strategy> strategies;
  for (int k = 0; k < 8; ++k)
    strategies.push_back(
        interpreter::random_strategy(bench.graph, s.devices, s.micro_batches, random));
  const auto verdicts = bench.run(strategies, few_steps());
  ASSERT_TRUE(verdicts) << verdicts.error().message;
  for (std::size_t k = 0; k < strategies.size(); ++k)
    EXPECT_LE((*verdicts)[k].worst_relative_difference, 1e-9)
        << core::print((*verdicts)[k]) << "\n"
        << interpreter::describe(bench.graph, strategies[k]);
}

INSTANTIATE_TEST_SUITE_P(
    Models, Verify,
    testing::Values(Setting{"mlp", 2, 1, 1}, Setting{"mlp", 4, 1, 2}, Setting{"mlp", 3, 2, 3},
                    Setting{"inception-block", 2, 1, 4}, Setting{"inception-block", 4, 1, 5},
                    Setting{"inception-block", 3, 3, 6}, Setting{"transformer-block", 2, 1, 7},
                    Setting{"transformer-block", 4, 1, 8}, Setting{"transformer-block", 3, 2, 9}),
    [](const auto& instance) {
      std::string name = fmt::format("{}_on_{}_devices_in_{}", instance.param.model,
                                     instance.param.devices, instance.param.micro_batches);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(VerifyOf, clipped_gradients_equal_those_of_one_device) {
  Bench bench("mlp", 3);
  VerifyOptions options = few_steps();
  options.optimizer.clip_gradient_norm = 0.1;
  std::mt19937_64 random(11);
  std::vector<core::Strategy> strategies;
  for (int k = 0; k < 6; ++k)
    strategies.push_back(interpreter::random_strategy(bench.graph, 3, 1, random));
  const auto verdicts = bench.run(strategies, options);
  ASSERT_TRUE(verdicts) << verdicts.error().message;
  for (const Verdict& v : *verdicts) EXPECT_LE(v.worst_relative_difference, 1e-9) << core::print(v);
}

TEST(VerifyOf, every_optimizer_equals_one_device) {
  for (const auto kind : {core::OptimizerKind::kAdamW, core::OptimizerKind::kAdagrad}) {
    Bench bench("transformer-block", 3);
    VerifyOptions options = few_steps();
    options.optimizer = {.kind = kind, .learning_rate = 0.01, .weight_decay = 0.1};
    std::mt19937_64 random(12);
    std::vector<core::Strategy> strategies;
    for (int k = 0; k < 4; ++k)
      strategies.push_back(interpreter::random_strategy(bench.graph, 3, 1, random));
    const auto verdicts = bench.run(strategies, options);
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    for (const Verdict& v : *verdicts)
      EXPECT_LE(v.worst_relative_difference, 1e-9) << core::name_of(kind) << core::print(v);
  }
}

// A small model of every family.
struct Family {
  const char* model;
  std::map<std::string, double> parameters;
};
void PrintTo(const Family& f, std::ostream* out) { *out << f.model; }
class Families : public testing::TestWithParam<Family> {};

TEST_P(Families, random_strategies_equal_one_device) {
  for (const int micro_batches : {1, 2}) {
    Bench bench(core::build_model(
                    GetParam().model,
                    {.batch = 6, .dtype = core::DType::kF64, .parameters = GetParam().parameters})
                    .value(),
                3);
    VerifyOptions options = few_steps();
    options.optimizer.learning_rate = 0.01;
    std::mt19937_64 random(21);
    std::vector<core::Strategy> strategies;
    for (int k = 0; k < 3; ++k)
      strategies.push_back(interpreter::random_strategy(bench.graph, 3, micro_batches, random));
    const auto verdicts = bench.run(strategies, options);
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    for (std::size_t k = 0; k < strategies.size(); ++k)
      EXPECT_LE((*verdicts)[k].worst_relative_difference, 1e-9)
          << core::print((*verdicts)[k]) << "\n"
          << interpreter::describe(bench.graph, strategies[k]);
  }
}

const std::map<std::string, double> kSmallTransformer{
    {"layers", 2}, {"hidden", 16}, {"heads", 4}, {"seq", 6}, {"vocab", 19}};
std::map<std::string, double> with(std::map<std::string, double> more,
                                   const std::map<std::string, double>& base) {
  more.insert(base.begin(), base.end());
  return more;
}
const std::map<std::string, double> kSmallRecurrent{
    {"layers", 2}, {"hidden", 12}, {"embedding", 10}, {"seq", 7}, {"chunk", 3}, {"vocab", 19}};
const std::map<std::string, double> kSmallTables{{"tables", 3}, {"rows", 40}, {"features", 8}};

INSTANTIATE_TEST_SUITE_P(
    Models, Families,
    testing::Values(Family{"resnext-50",
                           {{"image", 64},
                            {"classes", 10},
                            {"channels", 8},
                            {"blocks1", 1},
                            {"blocks2", 1},
                            {"blocks3", 1},
                            {"blocks4", 1},
                            {"groups", 2},
                            {"group_width", 32}}},
                    Family{"gpt", with({{"positions", 6}}, kSmallTransformer)},
                    Family{"bert-base", with({{"positions", 6}}, kSmallTransformer)},
                    Family{"llama3-8b",
                           with({{"kv_heads", 2}, {"ffn", 24}, {"window", 3}}, kSmallTransformer)},
                    Family{"mixtral-8x7b",
                           with({{"kv_heads", 2}, {"ffn", 24}, {"experts", 4}}, kSmallTransformer)},
                    Family{"deepseek-v2-lite", with({{"q_rank", 6},
                                                     {"kv_rank", 10},
                                                     {"nope_dim", 4},
                                                     {"rope_dim", 2},
                                                     {"value_dim", 3},
                                                     {"ffn", 24},
                                                     {"dense_layers", 1},
                                                     {"expert_ffn", 8},
                                                     {"experts", 4},
                                                     {"experts_per_token", 2},
                                                     {"shared_experts", 2}},
                                                    kSmallTransformer)},
                    Family{"rnnlm", kSmallRecurrent}, Family{"rnntc", kSmallRecurrent},
                    Family{"nmt", kSmallRecurrent}, Family{"dlrm", kSmallTables},
                    Family{"xdl", kSmallTables},
                    Family{"candle-uno", {{"hidden", 12}, {"feature_layers", 1}, {"layers", 2}}}),
    [](const auto& instance) {
      std::string name = instance.param.model;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// Tables are updated by the rows that a step meets: gathered, merged, and clipped by a norm of
// merged rows.
struct TableSetting {
  const char* name;
  OptimizerSettings optimizer;
};
void PrintTo(const TableSetting& s, std::ostream* out) { *out << s.name; }
class Tables : public testing::TestWithParam<TableSetting> {};

TEST_P(Tables, updated_by_rows_equal_one_device) {
  for (const char* model : {"dlrm", "xdl"})
    for (const int micro_batches : {1, 3}) {
      std::map<std::string, double> parameters = kSmallTables;
      parameters["bag"] = 2;
      Bench bench(core::build_model(
                      model, {.batch = 12, .dtype = core::DType::kF64, .parameters = parameters})
                      .value(),
                  4);
      VerifyOptions options = few_steps();
      options.optimizer = GetParam().optimizer;
      std::mt19937_64 random(31);
      std::vector<core::Strategy> strategies{core::data_parallel(bench.graph, first_devices(4))};
      for (int k = 0; k < 5; ++k)
        strategies.push_back(interpreter::random_strategy(bench.graph, 4, micro_batches, random));
      if (micro_batches > 1) strategies.erase(strategies.begin());
      int by_rows = 0;
      const auto plan = core::lower(bench.graph, strategies.back(), bench.cluster, bench.catalog,
                                    lower_options(options.optimizer));
      for (const core::Task& task : plan->classes[0].tasks)
        by_rows += task.kind == core::TaskKind::kUpdateRows;
      const auto verdicts = bench.run(strategies, options);
      ASSERT_TRUE(verdicts) << verdicts.error().message;
      for (std::size_t k = 0; k < strategies.size(); ++k)
        EXPECT_LE((*verdicts)[k].worst_relative_difference, 1e-9)
            << model << " " << core::print((*verdicts)[k]) << "\n"
            << interpreter::describe(bench.graph, strategies[k]);
      EXPECT_GT(by_rows, 0) << interpreter::describe(bench.graph, strategies.back());
    }
}

INSTANTIATE_TEST_SUITE_P(
    Optimizers, Tables,
    testing::Values(TableSetting{"sgd", {.momentum = 0}},
                    TableSetting{"adagrad",
                                 {.kind = core::OptimizerKind::kAdagrad, .learning_rate = 0.01}},
                    TableSetting{"sgd_clipped", {.momentum = 0, .clip_gradient_norm = 0.05}},
                    TableSetting{"adagrad_clipped",
                                 {.kind = core::OptimizerKind::kAdagrad,
                                  .learning_rate = 0.01,
                                  .clip_gradient_norm = 0.05}},
                    TableSetting{"sgd_beside_adamw",
                                 {.kind = core::OptimizerKind::kAdamW,
                                  .learning_rate = 0.01,
                                  .weight_decay = 0.1,
                                  .table_kind = core::TableOptimizer::kSgd,
                                  .table_learning_rate = 0.1}},
                    TableSetting{"adagrad_beside_momentum",
                                 {.momentum = 0.9,
                                  .weight_decay = 1e-3,
                                  .clip_gradient_norm = 0.05,
                                  .table_kind = core::TableOptimizer::kAdagrad}}),
    [](const auto& instance) { return std::string(instance.param.name); });

// The gradients of the first step and the weights after all are those that whole gradients give.
TEST(VerifyOf, updates_by_rows_are_those_by_whole_gradients) {
  Bench bench(core::build_model(
                  "dlrm", {.batch = 6, .dtype = core::DType::kF64, .parameters = kSmallTables})
                  .value(),
              2);
  VerifyOptions options = few_steps();
  options.optimizer = {.momentum = 0, .clip_gradient_norm = 0.05};
  const core::Strategy strategies[] = {core::data_parallel(bench.graph, first_devices(2))};
  const auto by_rows = bench.run(strategies, options);
  options.optimizer.weight_decay = 1e-300;  // moves nothing, but makes rows of zeros ones to update
  const auto whole = bench.run(strategies, options);
  ASSERT_TRUE(by_rows && whole);
  EXPECT_DOUBLE_EQ(by_rows->front().first_loss, whole->front().first_loss);
  EXPECT_NEAR(by_rows->front().last_loss, whole->front().last_loss, 1e-14);
}

TEST(VerifyOf, the_loss_falls) {
  Bench bench("mlp", 2, 32);
  VerifyOptions options = few_steps();
  options.steps = 20;
  const core::Strategy strategies[] = {core::data_parallel(bench.graph, first_devices(2))};
  const auto verdicts = bench.run(strategies, options);
  ASSERT_TRUE(verdicts) << verdicts.error().message;
  EXPECT_LT(verdicts->front().last_loss, 0.9 * verdicts->front().first_loss);
}

TEST(VerifyOf, the_same_strategy_twice_gives_the_same_bits) {
  Bench bench("transformer-block", 4);
  std::mt19937_64 random(5);
  const core::Strategy one = interpreter::random_strategy(bench.graph, 4, 1, random);
  const core::Strategy strategies[] = {one, one};
  const auto verdicts = bench.run(strategies, few_steps());
  ASSERT_TRUE(verdicts) << verdicts.error().message;
  EXPECT_EQ((*verdicts)[0], (*verdicts)[1]);
}

TEST(VerifyOf, leaving_out_any_gradient_transfer_is_noticed) {
  for (const std::string model : {"mlp", "inception-block", "transformer-block", "dlrm"}) {
    const bool has_tables = model == "dlrm";
    Bench bench(
        core::build_model(
            model, {.batch = 6,
                    .dtype = core::DType::kF64,
                    .parameters = has_tables ? kSmallTables : std::map<std::string, double>{}})
            .value(),
        2);
    VerifyOptions options = few_steps();
    options.steps = 2;
    if (has_tables) options.optimizer.table_kind = core::TableOptimizer::kSgd;
    const core::Strategy strategies[] = {core::data_parallel(bench.graph, first_devices(2))};
    const auto plan = core::lower(bench.graph, strategies[0], bench.cluster, bench.catalog,
                                  lower_options(options.optimizer));
    const auto moved = gradient_transfers(*plan, bench.graph);
    ASSERT_GT(moved.size(), 3u) << model;
    for (std::size_t k = 0; k < moved.size(); ++k) {
      // Attention does not depend on the bias of its keys, which adds the same to all scores of a
      // query: this gradient is zero on every device.
      if (moved[k] == "layer1_k.bias") continue;
      options.dropped_gradient_transfer = k;
      const auto verdicts = bench.run(strategies, options);
      ASSERT_TRUE(verdicts) << verdicts.error().message;
      EXPECT_GT(verdicts->front().gradient.value, 1e-3) << model << ": " << moved[k];
    }
  }
}

// Dropout's mask is a function of the element's place in the mini-batch, also where a reshape
// before it made rows of samples and another dimension.
TEST(VerifyOf, dropout_after_merged_dimensions_is_the_same_with_micro_batches) {
  core::GraphBuilder g("merged-dropout");
  auto x = g.source("values", {{6, 5, 8}, core::DType::kF64, {}});
  const auto y = g.source("labels", {{6}, core::DType::kI32, {}}, 4);
  x = g.add("wide", core::Linear{.out_features = {8}}, {x});
  x = g.add("merge", core::Reshape{.shape = {-1, 8}}, {x});
  x = g.add("drop", core::Dropout{.rate = 0.5}, {x});
  x = g.add("narrow", core::Linear{.out_features = {3}}, {x});
  x = g.add("part", core::Reshape{.shape = {-1, 15}}, {x});
  x = g.add("out", core::Linear{.out_features = {4}}, {x});
  Bench bench(g.build_with_loss(x, y).value(), 3);
  std::mt19937_64 random(17);
  std::vector<core::Strategy> strategies{core::single_device(bench.graph)};
  for (int k = 0; k < 9; ++k)
    strategies.push_back(interpreter::random_strategy(bench.graph, 3, 1 + k % 3, random));
  const auto verdicts = bench.run(strategies, few_steps());
  ASSERT_TRUE(verdicts) << verdicts.error().message;
  const double loss = verdicts->front().last_loss;
  for (std::size_t k = 0; k < strategies.size(); ++k) {
    const Verdict& v = (*verdicts)[k];
    EXPECT_LE(v.worst_relative_difference, 1e-9)
        << core::print(v) << "\n"
        << interpreter::describe(bench.graph, strategies[k]);
    EXPECT_NEAR(v.last_loss, loss, 1e-9 * loss)
        << strategies[k].micro_batches << " micro-batches against one";
  }
}

// How many roundings stand between the inputs of a training step and any gradient. A value passes
// every step of every operator at most once. There an element of the largest tensor that the step
// writes takes its share of the FLOPs, a smaller tensor's element (a bias's gradient, the loss)
// adds up what the step sums over, and one more rounding is for storing it.
double roundings(const core::Graph& graph) {
  double count = 0;
  for (const core::OpNode& node : graph.ops()) {
    const auto axes = core::axis_intervals(node.definition, {}, 0);
    for (const core::Step& step : node.definition.steps) {
      double largest = 1, sum = 1;
      for (const core::Ref& written : step.writes)
        largest = std::max(largest, static_cast<double>(core::elements(
                                        node.definition.operands[written.operand].desc.shape)));
      for (std::size_t a = 0; a < axes.size(); ++a)
        if (step.reduces.has(static_cast<int>(a))) sum *= static_cast<double>(axes[a].extent());
      count += core::step_flops(step, axes).value / largest + sum + 1;
    }
  }
  return count;
}

// In f32, against one device in f64. A sum of n products in any order, and so a sum cut over
// devices, has an error of at most γ_n Σ|x_i y_i|, γ_n = n u / (1 - n u), u = 2^-24 (Higham,
// Accuracy and Stability of Numerical Algorithms, 2002, sect. 3.1), and a chain of them one of
// γ_N |A_1| … |A_k| with the sum N of the lengths (sect. 3.5). A gradient is such a chain through
// the derivatives. The bound stands for norms, max|f32 - f64| <= γ_N max|f64|: that Σ|x_i y_i| is
// larger than |Σ x_i y_i|, by √n for terms of random signs, is made up for by roundings of random
// signs, which grow as √n (sect. 2.8). It knows nothing of an activation that is zero but for
// rounding and falls on the other side of relu: with these seeds there is none.
TEST(VerifyOf, gradients_in_f32_are_those_of_f64_but_for_rounding) {
  for (const char* model : {"mlp", "inception-block", "transformer-block"}) {
    Bench bench(model, 3, 6, core::DType::kF32);
    const core::Graph reference =
        core::build_model(model, {.batch = 6, .dtype = core::DType::kF64}).value();
    const double n = roundings(reference), u = 0x1p-24;
    const double bound = n * u / (1 - n * u);
    VerifyOptions options = few_steps();
    options.steps = 1;
    options.reference = &reference;
    // The gradient of the keys' bias is zero but for rounding: it is small beside what cancels.
    options.smallest_scale = 1e-2;
    std::mt19937_64 random(23);
    std::vector<core::Strategy> strategies{core::single_device(bench.graph)};
    for (int k = 0; k < 6; ++k)
      strategies.push_back(interpreter::random_strategy(bench.graph, 3, 1 + k % 2, random));
    const auto verdicts = bench.run(strategies, options);
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    double worst = 0;
    for (std::size_t k = 0; k < strategies.size(); ++k) {
      const Verdict& v = (*verdicts)[k];
      worst = std::max(worst, v.worst_relative_difference);
      EXPECT_LE(v.worst_relative_difference, bound)
          << model << ": " << core::print(v) << "\n"
          << interpreter::describe(bench.graph, strategies[k]);
      EXPECT_GT(v.worst_relative_difference, 0) << model << " was not computed in f32";
    }
    std::printf("%s: %.1e of at most %.1e (%.0f roundings)\n", model, worst, bound, n);
  }
}

}  // namespace
}  // namespace soapstone::runtime
