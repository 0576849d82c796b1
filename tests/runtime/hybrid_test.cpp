// Pipelines, sharded weights, recomputation, sequence, context and expert parallelism, alone and
// together, train to the same result as one device.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "kernels/catalog.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/trainer.hpp"
#include "runtime/verify.hpp"
#include "search/parallelism.hpp"
#include "simulator/analysis/memory.hpp"
#include "tests/support/interpreter/strategies.hpp"

namespace soapstone::runtime {
namespace {

core::Graph small_model(const std::string& name) {
  core::ModelOptions o{.batch = 8, .dtype = core::DType::kF64};
  if (name == "gpt-12") {
    o.parameters = {{"layers", 2}, {"hidden", 16}, {"heads", 4}, {"seq", 12}, {"vocab", 32}};
    return core::build_model("gpt", o).value();
  }
  if (name == "mixtral-window") {
    o.parameters = {{"layers", 1},  {"hidden", 16}, {"ffn", 24},   {"heads", 4}, {"kv_heads", 2},
                    {"experts", 4}, {"seq", 8},     {"vocab", 32}, {"window", 3}};
    return core::build_model("mixtral-8x7b", o).value();
  }
  if (name == "gpt")
    o.parameters = {{"layers", 4}, {"hidden", 16}, {"heads", 4}, {"seq", 8}, {"vocab", 32}};
  if (name == "mixtral-8x7b")
    o.parameters = {{"layers", 2},   {"hidden", 16}, {"ffn", 24}, {"heads", 4},
                    {"kv_heads", 2}, {"experts", 4}, {"seq", 8},  {"vocab", 32}};
  return core::build_model(name, o).value();
}

// The worst difference of each strategy.
void expect_equal(const std::string& model, int devices, const std::vector<std::string>& texts,
                  std::int64_t steps = 3) {
  const core::Graph graph = small_model(model);
  const core::Cluster cluster = interpreter::cluster_of(devices);
  const kernels::HostCatalog catalog;
  const DataSets data = make_synthetic_data(graph, 3).value();
  const auto communicator = make_local_communicator(devices);
  std::vector<core::Strategy> strategies;
  for (const std::string& text : texts) {
    const auto parallelism = search::parse_parallelism(text);
    ASSERT_TRUE(parallelism) << parallelism.error().message;
    auto strategy = search::hybrid(graph, cluster, *parallelism);
    ASSERT_TRUE(strategy) << text << ": " << strategy.error().message;
    strategies.push_back(std::move(*strategy));
  }
  VerifyOptions options;
  options.steps = steps;
  options.optimizer = {.learning_rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3};
  options.optimizer.clip_gradient_norm = 1;
  // With a program for every device, and with one for those that do the same.
  for (const std::size_t fold_from : {std::size_t{1} << 20, std::size_t{0}}) {
    options.fold_from = fold_from;
    const auto verdicts =
        verify(*communicator, graph, cluster, catalog, *data.train, strategies, options);
    ASSERT_TRUE(verdicts) << verdicts.error().message;
    for (std::size_t k = 0; k < texts.size(); ++k)
      EXPECT_LE((*verdicts)[k].worst_relative_difference, 1e-9)
          << model << " on " << devices << ", folded from " << fold_from << ": " << texts[k] << "\n"
          << core::print((*verdicts)[k]);
  }
}

class Stages : public testing::TestWithParam<int> {};

TEST_P(Stages, every_schedule_equals_one_device) {
  const int n = GetParam();
  std::vector<std::string> texts;
  for (const int micro_batch : {8, 4, 2, 1}) {
    const std::string rest = fmt::format("dp=1,pp={},micro_batch={},schedule=", n, micro_batch);
    for (const char* schedule : {"gpipe", "1f1b", "zb-h1", "zb-v"})
      texts.push_back(rest + schedule);
    if (8 / micro_batch % n == 0) texts.push_back(rest + "interleaved-1f1b,vp=2");
  }
  expect_equal("gpt", n, texts);
}
INSTANTIATE_TEST_SUITE_P(Pipelines, Stages, testing::Values(2, 3, 4));

class Ranks : public testing::TestWithParam<int> {};

TEST_P(Ranks, sharded_weights_equal_whole_ones) {
  const int n = GetParam();
  std::vector<std::string> texts;
  for (int zero = 1; zero <= 3; ++zero)
    for (const int micro_batch : {8 / n, 1})
      texts.push_back(fmt::format("dp={},zero={},micro_batch={}", n, zero, micro_batch));
  expect_equal("gpt", n, texts);
  expect_equal("fashion-cnn", n, texts);
}
INSTANTIATE_TEST_SUITE_P(Zero, Ranks, testing::Values(2, 4));

TEST(Hybrid, weights_split_over_a_number_of_ranks_that_divides_nothing) {
  expect_equal("gpt", 3, {"dp=1,pp=3,zero=3", "dp=1,cp=3,zero=2", "dp=1,cp=3,zero=3"});
}

TEST(Hybrid, groups_of_copies_have_all_parts_each) {
  expect_equal("gpt", 4,
               {"dp=4,zero=1,zero_over=2", "dp=4,zero=2,zero_over=2,micro_batch=1",
                "dp=4,zero=3,zero_over=2", "dp=4,zero=3,zero_over=4",
                "dp=2,cp=2,zero=3,zero_over=2", "dp=4,zero=2,zero_over=1"});
  expect_equal("fashion-cnn", 4, {"dp=4,zero=2,zero_over=2", "dp=4,zero=3,zero_over=2"});
}

TEST(Hybrid, gradients_are_summed_in_buckets) {
  for (const char* model : {"gpt", "fashion-cnn", "mixtral-8x7b"})
    expect_equal(model, 4,
                 {"dp=4,bucket=1kB", "dp=4,bucket=100MB", "dp=2,tp=2,bucket=4kB",
                  "dp=2,pp=2,bucket=2kB,micro_batch=2"});
  expect_equal("gpt", 3, {"dp=1,cp=3,bucket=2kB"});
}

TEST(Hybrid, servers_update_weights) {
  for (const char* model : {"gpt", "fashion-cnn", "mixtral-8x7b"})
    expect_equal(model, 4, {"dp=4,server=1", "dp=2,tp=2,server=1", "dp=2,pp=2,server=1"});
}

TEST(Hybrid, what_waits_on_the_host_comes_back) {
  for (const char* model : {"gpt", "fashion-cnn", "mixtral-8x7b"})
    for (const char* what : {"activations", "optimizer", "both"})
      expect_equal(model, 2,
                   {fmt::format("dp=2,offload={}", what),
                    fmt::format("dp=2,zero=2,micro_batch=2,offload={}", what),
                    fmt::format("dp=1,pp=2,micro_batch=2,offload={},recompute=selective", what)});
}

TEST(Hybrid, what_is_computed_again_is_the_same) {
  for (const char* model : {"gpt", "fashion-cnn", "mixtral-8x7b"})
    expect_equal(model, 2,
                 {"recompute=selective", "recompute=full", "recompute=full,micro_batch=2",
                  "pp=2,recompute=full,schedule=gpipe", "pp=2,recompute=selective,schedule=zb-h1"});
}

TEST(Hybrid, sequences_are_split) {
  expect_equal("gpt", 2, {"cp=2", "tp=2", "tp=2,sp=1"});
  expect_equal("gpt", 4, {"cp=4", "cp=2,tp=2,sp=1", "tp=4,sp=1,zero=3"});
}

TEST(Hybrid, keys_and_values_go_round_in_a_ring) {
  expect_equal("gpt", 2,
               {"cp=2,cp_style=ring", "cp=2,cp_style=ring,recompute=full",
                "cp=2,cp_style=ring,zero=3,micro_batch=2", "cp=2,cp_style=ring,offload=both"});
  expect_equal("gpt", 3, {"cp=3,cp_style=ring,dp=1"});
  expect_equal("gpt", 4,
               {"cp=4,cp_style=ring", "cp=2,tp=2,sp=1,cp_style=ring",
                "cp=2,pp=2,cp_style=ring,schedule=zb-h1,recompute=selective",
                "dp=2,cp=2,cp_style=ring,zero=1,recompute=full"});
  // Groups of heads; keys and values by themselves.
  expect_equal("mixtral-8x7b", 4, {"cp=4,cp_style=ring", "cp=2,tp=2,cp_style=ring"});
}

// The sequence stands in another order for all operators, in which causal attention is as much work
// for every rank.
TEST(Hybrid, sequences_are_dealt_out_in_zigzag) {
  for (const std::string ring : {"", ",cp_style=ring"}) {
    const auto order = [&](std::string text) { return text + ring + ",cp_order=zigzag"; };
    expect_equal("gpt", 2,
                 {order("cp=2"), order("cp=2,recompute=full"), order("cp=2,zero=3,micro_batch=2")});
    expect_equal("gpt", 4,
                 {order("cp=4"), order("cp=2,tp=2,sp=1"),
                  order("cp=2,pp=2,schedule=zb-h1,recompute=selective"), order("dp=2,cp=2,zero=2"),
                  order("dp=2,cp=2,bucket=2kB,offload=both")});
    expect_equal("gpt-12", 3, {order("dp=1,cp=3"), order("dp=1,cp=3,zero=3,zero_over=3")});
    // Turned keys, groups of heads, experts.
    expect_equal("mixtral-8x7b", 4,
                 {order("cp=4"), order("cp=2,tp=2"), order("dp=2,ep=2,cp=2,micro_batch=2")});
    expect_equal("transformer-block", 3, {order("dp=1,cp=3,micro_batch=2")});
  }
}

TEST(Hybrid, a_window_is_dealt_out_in_zigzag) {
  expect_equal("mixtral-window", 2,
               {"cp=2,cp_order=zigzag", "cp=2,cp_order=zigzag,recompute=full"});
}

TEST(Hybrid, experts_are_split) {
  expect_equal("mixtral-8x7b", 2, {"dp=2,ep=2"});
  expect_equal("mixtral-8x7b", 4, {"dp=4,ep=4", "dp=4,ep=2", "dp=2,ep=2,tp=2", "dp=4,ep=2,zero=3"});
}

TEST(Hybrid, a_schedule_of_ones_own_equals_one_device) {
  const core::Graph graph = small_model("gpt");
  const core::Cluster cluster = interpreter::cluster_of(2);
  core::Strategy strategy =
      search::hybrid(graph, cluster, {.dp = 1, .pp = 2, .micro_batch = 4}).value();
  strategy.schedule_lines = {"0F0,0F1,0I1,0B0,0W1", "1F0,1F1,1I1,1W1,1B0"};
  const kernels::HostCatalog catalog;
  const DataSets data = make_synthetic_data(graph, 3).value();
  const auto communicator = make_local_communicator(2);
  const core::Strategy all[] = {strategy};
  VerifyOptions options;
  options.steps = 3;
  const auto verdicts = verify(*communicator, graph, cluster, catalog, *data.train, all, options);
  ASSERT_TRUE(verdicts) << verdicts.error().message;
  EXPECT_LE((*verdicts)[0].worst_relative_difference, 1e-9);
}

// Evaluations share the weights of the training, in the parts in which they live.
TEST(Hybrid, trains_evaluates_and_saves_as_one_device_does) {
  core::Graph graph = small_model("fashion-cnn");
  const kernels::HostCatalog catalog;
  const DataSets data = make_synthetic_data(graph, 2, 40, 19).value();
  std::string name = (std::filesystem::temp_directory_path() / "soapstone-hybrid-XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(name.data());
  const auto trained = [&](int devices, const core::Strategy& strategy, const std::string& resume) {
    TrainOptions options;
    options.steps = 7;
    options.seed = 4;
    options.checkpoint = folder / "weights";
    options.resume = resume;
    options.optimizer.momentum = 0.5;
    const auto communicator = make_local_communicator(devices);
    const core::Cluster cluster = interpreter::cluster_of(devices);
    return train(*communicator, {graph, strategy, cluster, catalog, *data.train, data.test.get()},
                 options);
  };
  const auto alone = trained(1, core::single_device(graph), "");
  ASSERT_TRUE(alone) << alone.error().message;
  for (const char* text :
       {"dp=2,zero=3,micro_batch=2", "dp=1,pp=2,schedule=zb-h1,micro_batch=2",
        "dp=2,zero=1,recompute=full", "dp=2,offload=both", "dp=2,server=1,offload=optimizer"}) {
    const core::Cluster cluster = interpreter::cluster_of(2);
    const core::Strategy strategy =
        search::hybrid(graph, cluster, search::parse_parallelism(text).value()).value();
    const auto report = trained(2, strategy, "");
    ASSERT_TRUE(report) << text << ": " << report.error().message;
    EXPECT_NEAR(report->last_loss, alone->last_loss, 1e-9) << text;
    EXPECT_EQ(report->last_evaluation->samples, 19) << text;
    EXPECT_NEAR(report->last_evaluation->loss, alone->last_evaluation->loss, 1e-9) << text;
    // What was saved in parts goes on whole.
    const auto on = trained(1, core::single_device(graph), (folder / "weights").string());
    EXPECT_TRUE(on) << text << ": " << on.error().message;
  }
  std::filesystem::remove_all(folder);
}

// Who holds what adds up to what the ranks allocate, to the byte.
TEST(Hybrid, memory_is_what_was_foretold) {
  const core::Graph graph = small_model("gpt");
  const kernels::HostCatalog catalog;
  const core::Cluster cluster = interpreter::cluster_of(2);
  const DataSets data = make_synthetic_data(graph, 2, 40, 16).value();
  for (const char* text :
       {"dp=2", "dp=2,zero=3,micro_batch=2", "dp=1,pp=2,schedule=zb-h1,micro_batch=2",
        "dp=2,bucket=4kB", "dp=2,offload=both", "dp=1,cp=2,recompute=full"}) {
    const core::Strategy strategy =
        search::hybrid(graph, cluster, search::parse_parallelism(text).value()).value();
    TrainOptions options;
    options.steps = 1;
    const auto communicator = make_local_communicator(2);
    const auto report =
        train(*communicator, {graph, strategy, cluster, catalog, *data.train, nullptr}, options);
    ASSERT_TRUE(report) << text << ": " << report.error().message;
    const core::Plan plan =
        core::lower(graph, strategy, cluster, catalog, lower_options(options.optimizer)).value();
    core::Bytes most;
    for (const auto& row : simulator::memory_of_devices(plan))
      most = std::max(most, row.holders.allocated() + row.holders.host);
    EXPECT_EQ(report->peak_memory, most) << text;
  }
}

// Tables that are updated by rows stay whole.
TEST(Hybrid, tables_and_sharded_weights_go_together) {
  core::Graph graph =
      core::build_model("dlrm",
                        {.batch = 8, .dtype = core::DType::kF64, .parameters = {{"rows", 200}}})
          .value();
  const kernels::HostCatalog catalog;
  const DataSets data = make_synthetic_data(graph, 2, 40, 16).value();
  const core::Cluster cluster = interpreter::cluster_of(2);
  TrainOptions options;
  options.steps = 3;
  options.optimizer.momentum = 0.9;
  options.optimizer.table_kind = core::TableOptimizer::kSgd;
  const auto communicator = make_local_communicator(2);
  const core::Strategy strategy =
      search::hybrid(graph, cluster, search::parse_parallelism("dp=2,zero=3").value()).value();
  const auto report = train(
      *communicator, {graph, strategy, cluster, catalog, *data.train, data.test.get()}, options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->last_evaluation);
}

// All of them together.
class Combinations : public testing::TestWithParam<int> {};

TEST_P(Combinations, random_ones_equal_one_device) {
  std::mt19937_64 random(static_cast<std::uint64_t>(GetParam()));
  const auto pick = [&](std::initializer_list<int> of) {
    return *(of.begin() + static_cast<std::ptrdiff_t>(random() % of.size()));
  };
  const char* const models[] = {"gpt", "fashion-cnn", "mixtral-8x7b"};
  for (int tries = 0, done = 0; done < 10; ++tries) {
    ASSERT_LT(tries, 1000);
    const std::string model = models[random() % 3];
    const bool is_image = model == "fashion-cnn";
    const int dp = pick({1, 2, 4}), tp = pick({1, 2}), pp = pick({1, 2, 3, 4}),
              cp = is_image ? 1 : pick({1, 1, 2}),
              ep = model == "mixtral-8x7b" ? std::min(dp, pick({1, 2, 4})) : 1;
    const int ranks = dp * tp * pp * cp;
    if (ranks < 2 || ranks > 8) continue;
    const int micro_batch = pick({1, 2, 4});
    if (8 / dp % micro_batch != 0) continue;
    const int count = 8 / dp / micro_batch;
    const char* const schedules[] = {"gpipe", "1f1b", "zb-h1", "zb-v", "interleaved-1f1b"};
    const std::string schedule = schedules[random() % 5];
    if (schedule == "interleaved-1f1b" && count % pp != 0) continue;
    const int zero = pick({0, 1, 2, 3});
    std::string text = fmt::format(
        "dp={},tp={},pp={},cp={},ep={},micro_batch={},zero={},sp={},schedule={},recompute={},"
        "offload={}",
        dp, tp, pp, cp, ep, micro_batch, zero, pick({0, 1}), schedule,
        std::array{"none", "selective", "full"}[random() % 3],
        std::array{"none", "none", "activations", "both"}[random() % 4]);
    if (zero > 0 && dp * cp % 2 == 0 && pick({0, 1}) == 1) text += ",zero_over=2";
    if (zero == 0) text += std::array{"", ",bucket=2kB", ",server=1"}[random() % 3];
    if (schedule == "interleaved-1f1b" && pp > 1) text += ",vp=2";
    if (cp > 1) text += std::array{"", ",cp_style=ring"}[random() % 2];
    if (cp > 1) text += std::array{"", ",cp_order=zigzag"}[random() % 2];
    expect_equal(model, ranks, {text}, 2);
    ++done;
  }
}
INSTANTIATE_TEST_SUITE_P(Hybrids, Combinations, testing::Range(0, 10));

}  // namespace
}  // namespace soapstone::runtime
