// Strategies train to the same result as one device.
#include "runtime/verify.hpp"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/models.hpp"
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
  Bench(const char* model, int devices, std::int64_t batch = 6)
      : graph(core::build_model(model, {.batch = batch, .dtype = core::DType::kF64}).value()),
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
      std::string name = fmt::format("{}_on_{}_devices_in_{}", instance.param.model, instance.param.devices,
                                     instance.param.micro_batches);
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
  for (const char* model : {"mlp", "inception-block", "transformer-block"}) {
    Bench bench(model, 2);
    const core::Strategy strategies[] = {core::data_parallel(bench.graph, first_devices(2))};
    const auto plan = core::lower(bench.graph, strategies[0], bench.cluster, bench.catalog);
    const auto moved = gradient_transfers(*plan, bench.graph);
    ASSERT_GT(moved.size(), 3u) << model;
    VerifyOptions options = few_steps();
    options.steps = 2;
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

}  // namespace
}  // namespace soapstone::runtime
