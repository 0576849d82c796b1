#include "search/mcmc.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/models/models.hpp"
#include "core/ops/linear.hpp"
#include "core/units.hpp"
#include "search/evaluator.hpp"
#include "search/exhaustive.hpp"
#include "search/expert.hpp"
#include "search/space.hpp"
#include "simulator/roofline_model.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::search {
namespace {

using namespace core;
using tests::small_cluster;

// Wide enough that communication and computing are of one size.
Graph two_layers(std::int64_t batch, std::int64_t in, std::int64_t hidden) {
  GraphBuilder g("two-layers");
  auto x = g.source("x", {{batch, in}, DType::kF32, {}});
  const auto y = g.source("labels", {{batch}, DType::kI32, {}}, 4);
  x = g.add("fc1", Linear{.out_features = {hidden}, .bias = false}, {x});
  x = g.add("fc2", Linear{.out_features = {4}, .bias = false}, {x});
  return g.build_with_loss(x, y).value();
}

struct Case {
  Graph graph;
  Cluster cluster;
  NominalCatalog catalog;
  simulator::RooflineModel costs;
  Problem problem;

  Case(Graph g, Cluster c) : graph(std::move(g)), cluster(std::move(c)) {
    problem.graph = &graph;
    problem.cluster = &cluster;
    problem.costs = &costs;
    problem.catalog = &catalog;
  }
  Case(const Case&) = delete;
};

const RankedStrategy& with_origin(const RankedStrategies& r, std::string_view part) {
  for (const auto& s : r.strategies)
    if (s.origin.starts_with(part) || s.origin.ends_with(", " + std::string(part))) return s;
  ADD_FAILURE() << "no strategy from " << part;
  return r.strategies.at(0);
}

TEST(Mcmc, FindsTheExhaustiveOptimumOnSmallGraphs) {
  struct Row {
    std::int64_t batch, in, hidden;
    int nodes, devices;
  };
  for (const Row& row :
       {Row{64, 256, 256, 1, 2}, Row{4, 512, 512, 1, 2}, Row{256, 64, 16, 1, 2},
        Row{32, 300, 100, 2, 1}, Row{3, 256, 250, 1, 2}, Row{48, 1024, 1024, 1, 3}}) {
    const Case c(two_layers(row.batch, row.in, row.hidden),
                 small_cluster(row.nodes, row.devices, 2));
    const auto best = exhaustive(c.problem).value();
    const auto found = mcmc(c.problem, Budget::proposals(6000), 1).value();
    EXPECT_EQ(found.strategies[0].step_time, best.strategies[0].step_time)
        << print(row.batch) << "x" << row.in << "x" << row.hidden << " on " << row.nodes << "x"
        << row.devices << " of " << best.proposals << " strategies";
    EXPECT_GE(best.proposals, 300);
  }
}

TEST(Mcmc, SameSeedGivesTheSameBytes) {
  const Case c(build_model("mlp").value(), small_cluster(2, 4, 2));
  const auto text = [&](std::uint64_t seed) {
    return document_text(mcmc(c.problem, Budget::proposals(300), seed).value()).value();
  };
  EXPECT_EQ(text(5), text(5));
  EXPECT_NE(text(5), text(6));
}

TEST(Mcmc, StoppingEarlyChangesNothing) {
  for (const char* model : {"fashion-cnn", "transformer-block"})
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      const Case c(build_model(model).value(), small_cluster(2, 2, 2));
      const auto with =
          mcmc(c.problem, Budget::proposals(400), seed, {}, {.beta = 20, .stop_early = true})
              .value();
      const auto without =
          mcmc(c.problem, Budget::proposals(400), seed, {}, {.beta = 20, .stop_early = false})
              .value();
      EXPECT_EQ(with, without) << model << " seed " << seed;
    }
}

TEST(Mcmc, ListsDataParallelAndExpertSortedAndOnce) {
  const Case c(build_model("fashion-cnn").value(), small_cluster(2, 2, 2));
  const auto found = mcmc(c.problem, Budget::proposals(500), 3).value();
  const auto& dp = with_origin(found, "data-parallel");
  with_origin(found, "expert");
  EXPECT_LE(found.strategies[0].step_time, dp.step_time);
  EXPECT_DOUBLE_EQ(dp.samples_per_second, 128 / seconds(dp.step_time));
  for (std::size_t i = 0; i < found.strategies.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_LE(found.strategies[j].step_time, found.strategies[i].step_time);
      EXPECT_NE(found.strategies[j].strategy, found.strategies[i].strategy);
    }
  ASSERT_FALSE(found.curve.empty());
  EXPECT_EQ(found.curve.back().step_time, found.strategies[0].step_time);
  for (std::size_t i = 1; i < found.curve.size(); ++i) {
    EXPECT_LT(found.curve[i].step_time, found.curve[i - 1].step_time);
    EXPECT_GE(found.curve[i].proposals, found.curve[i - 1].proposals);
  }
  // What is printed is what the strategy costs.
  for (const auto& s : found.strategies) {
    const Strategy strategy = from_document(c.graph, s.strategy).value();
    EXPECT_EQ(Evaluator(c.problem).report(strategy).step_time, s.step_time);
  }
}

TEST(Mcmc, HonoursPins) {
  Case c(build_model("mlp").value(), small_cluster(1, 4, 2));
  const OpStrategy whole{{1, 1, 1}, 1, {DeviceId(2)}};
  const OpStrategy halves{{2, 1, 1}, 1, {DeviceId(3), DeviceId(1)}};
  c.problem.pins["fc1"] = {whole};
  c.problem.pins["fc2"] = {whole, halves};
  const auto found = mcmc(c.problem, Budget::proposals(300), 9).value();
  const Space space = Space::make(c.problem).value();
  EXPECT_TRUE(found.strategies[0].feasible);
  for (const auto& s : found.strategies) {
    const Strategy strategy = from_document(c.graph, s.strategy).value();
    EXPECT_EQ(s.feasible, space.why_not(strategy).empty());
    EXPECT_EQ(s.why_not, s.feasible ? "" : "fc1 is not as pinned");
  }
  EXPECT_FALSE(with_origin(found, "data-parallel").feasible);
  EXPECT_EQ(found.strategies.back().origin.find("mcmc"), std::string::npos);
}

TEST(Mcmc, RefusesPinsThatMakeNoSense) {
  Case c(build_model("mlp").value(), small_cluster(1, 2, 2));
  c.problem.pins["fc11"] = {OpStrategy{{1, 1, 1}, 1, {DeviceId(0)}}};
  EXPECT_NE(mcmc(c.problem, Budget::proposals(1), 0).error().message.find("fc1"),
            std::string::npos);
  c.problem.pins.clear();
  c.problem.pins["fc1"] = {OpStrategy{{1, 1, 1}, 1, {DeviceId(5)}}};
  EXPECT_EQ(mcmc(c.problem, Budget::proposals(1), 0).error().message,
            "pin: fc1: device 5: the cluster has devices 0 to 1");
}

TEST(Mcmc, HonoursTheMemoryLimit) {
  Case c(two_layers(64, 1024, 1024), small_cluster(1, 2, 2));
  // The weights are 4 MiB and as much for gradients and momentum: two devices that share them need
  // half each.
  const auto free = mcmc(c.problem, Budget::proposals(1500), 2).value();
  c.problem.memory_limit = Bytes(8 << 20);
  const auto found = mcmc(c.problem, Budget::proposals(1500), 2).value();
  EXPECT_TRUE(found.strategies[0].feasible);
  EXPECT_LE(found.strategies[0].peak_memory.value, 8 << 20);
  EXPECT_LE(free.strategies[0].step_time, found.strategies[0].step_time);
  const auto& dp = with_origin(found, "data-parallel");
  EXPECT_FALSE(dp.feasible);
  EXPECT_NE(dp.why_not.find("the limit is 8"), std::string::npos) << dp.why_not;
  for (const auto& s : found.strategies) EXPECT_EQ(s.feasible, s.peak_memory.value <= 8 << 20);
}

TEST(Mcmc, SaysTheLeastThatWouldDoWhereNothingFits) {
  Case c(two_layers(64, 1024, 1024), small_cluster(1, 2, 2));
  c.problem.memory_limit = Bytes(1 << 20);
  const auto refused = mcmc(c.problem, Budget::proposals(1500), 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  const auto exact = exhaustive(c.problem);
  ASSERT_FALSE(exact);
  EXPECT_EQ(refused.error().message.substr(0, refused.error().message.find(" (")),
            exact.error().message.substr(0, exact.error().message.find(" (")));
  // With what the message says, in three digits, there is a strategy; with less there is none.
  const std::string& m = exact.error().message;
  const auto from = m.find("would do is ") + 12;
  const std::string said = m.substr(from, m.find(" per device") - from);
  const Bytes least = parse_quantity<Bytes>(said).value();
  c.problem.memory_limit = least;
  EXPECT_TRUE(exhaustive(c.problem)) << said;
  c.problem.memory_limit = least - Bytes(least.value / 100);
  EXPECT_FALSE(exhaustive(c.problem));
}

TEST(Mcmc, TheDevicesOwnMemoryIsALimitToo) {
  const Case c(two_layers(64, 1024, 1024), small_cluster(1, 2, 2, Bytes(8 << 20)));
  const auto found = mcmc(c.problem, Budget::proposals(1000), 2).value();
  EXPECT_LE(found.strategies[0].peak_memory.value, 8 << 20);
  EXPECT_FALSE(with_origin(found, "data-parallel").feasible);
}

TEST(Mcmc, CancellingKeepsTheBestSoFar) {
  const Case c(build_model("mlp").value(), small_cluster(1, 4, 2));
  int calls = 0;
  const auto found =
      mcmc(c.problem, Budget::proposals(1'000'000'000), 1, [&](const ProgressReport& r) {
        EXPECT_TRUE(r.best);
        EXPECT_LE(r.fraction, 1);
        return ++calls < 3;
      }).value();
  EXPECT_TRUE(found.cancelled);
  EXPECT_EQ(calls, 3);
  EXPECT_FALSE(found.strategies.empty());
}

TEST(Mcmc, ABudgetInTimeEndsInTime) {
  const Case c(build_model("mlp").value(), small_cluster(1, 4, 2));
  const auto begin = std::chrono::steady_clock::now();
  const auto found = mcmc(c.problem, Budget::time(std::chrono::milliseconds(200)), 1).value();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_TRUE(found.elapsed);
  EXPECT_GT(found.proposals, 0);
}

TEST(Mcmc, OneDeviceLeavesNothingToSearch) {
  const Case c(build_model("mlp").value(), small_cluster(1, 1, 2));
  const auto found = mcmc(c.problem, Budget::proposals(100), 1).value();
  EXPECT_EQ(found.strategies.size(), 1u);
  EXPECT_EQ(found.strategies[0].origin, "data-parallel, expert");
}

TEST(Mcmc, MicroBatchesReachEveryStrategy) {
  Case c(build_model("mlp").value(), small_cluster(1, 2, 2));
  c.problem.micro_batches = 4;
  for (const auto& s : mcmc(c.problem, Budget::proposals(50), 1).value().strategies)
    EXPECT_EQ(s.strategy.micro_batches, 4);
  c.problem.micro_batches = 3;
  EXPECT_NE(mcmc(c.problem, Budget::proposals(50), 1).error().message.find("micro_batches = 3"),
            std::string::npos);
}

TEST(RankedStrategies, ComeBackFromTheirDocument) {
  const Case c(build_model("mlp").value(), small_cluster(1, 2, 2));
  const auto found = mcmc(c.problem, Budget::proposals(50), 1).value();
  EXPECT_EQ(
      document_from_text<RankedStrategies>(document_text(found).value(), "ranked.json").value(),
      found);
}

TEST(Budget, IsReadAsTimeOrAsProposals) {
  EXPECT_EQ(std::get<std::chrono::nanoseconds>(parse_budget("10s")->amount),
            std::chrono::seconds(10));
  EXPECT_EQ(std::get<std::chrono::nanoseconds>(parse_budget("250ms")->amount),
            std::chrono::milliseconds(250));
  EXPECT_EQ(std::get<std::chrono::nanoseconds>(parse_budget("2min")->amount),
            std::chrono::minutes(2));
  EXPECT_EQ(std::get<std::int64_t>(parse_budget("2000")->amount), 2000);
  for (const char* bad : {"", "fast", "10 lightyears", "-5", "99999999999999999999"}) {
    ASSERT_FALSE(parse_budget(bad)) << bad;
    EXPECT_NE(parse_budget(bad).error().message.find("10s"), std::string::npos);
  }
}

TEST(Exhaustive, CountsInMentalArithmetic) {
  // One linear layer and the loss on two equal devices. Linear: whole on a device, or 2 parts along
  // one of n, o, i or copied. The first operator: device 0, or two devices in one order: 1 + 4.
  // Loss (n, replicas; c stays whole): after one device was named, either that or the other, or
  // both in two orders: 2 + 2·2 = 6; after both the same.
  GraphBuilder g("one");
  auto x = g.source("x", {{4, 4}, DType::kF32, {}});
  const auto y = g.source("labels", {{4}, DType::kI32, {}}, 4);
  x = g.add("fc", Linear{.out_features = {4}, .bias = false}, {x});
  const Case c(g.build_with_loss(x, y).value(), small_cluster(1, 2, 2));
  EXPECT_EQ(count_strategies(c.problem).value(), (1 + 4) * 6);
  EXPECT_EQ(exhaustive(c.problem).value().proposals, 30);
  // In ascending order: (2 + 4) · (2 + 2). In blocks on two devices the same.
  EXPECT_EQ(count_strategies(c.problem, {.device_lists = DeviceLists::kAscending}).value(), 24);
  EXPECT_EQ(exhaustive(c.problem, {}, {.device_lists = DeviceLists::kAscending}).value().proposals,
            24);
  EXPECT_EQ(exhaustive(c.problem, {}, {.device_lists = DeviceLists::kBlocks}).value().proposals,
            24);
}

TEST(Exhaustive, LooksAtAsManyAsItCounts) {
  for (const auto& [nodes, devices] : {std::pair{1, 3}, std::pair{2, 1}, std::pair{3, 1}}) {
    const Case c(two_layers(4, 4, 4), small_cluster(nodes, devices, 2));
    EXPECT_EQ(static_cast<double>(exhaustive(c.problem).value().proposals),
              count_strategies(c.problem).value());
  }
  Case c(two_layers(4, 4, 4), small_cluster(1, 3, 2));
  c.problem.pins["fc1"] = {OpStrategy{{1, 1, 1}, 1, {DeviceId(1)}}};
  const auto found = exhaustive(c.problem).value();
  EXPECT_EQ(static_cast<double>(found.proposals), count_strategies(c.problem).value());
}

TEST(Exhaustive, LosesNothingToTheSymmetryOfEqualDevices) {
  const Case c(two_layers(8, 64, 16), small_cluster(1, 2, 2));
  const Space space = Space::make(c.problem).value();
  const auto best = exhaustive(c.problem).value().strategies[0].step_time;
  Rng rng(3);
  Evaluator evaluator(c.problem);
  for (int k = 0; k < 2000; ++k) EXPECT_GE(evaluator.evaluate(space.random(rng))->step_time, best);
}

TEST(Exhaustive, RefusesWhatIsTooMuchWithItsSize) {
  const Case c(build_model("alexnet").value(), small_cluster(4, 4, 2));
  const auto refused = exhaustive(c.problem);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_NE(refused.error().message.find("e+"), std::string::npos) << refused.error().message;
}

TEST(Space, DrawsLegalStrategiesOnly) {
  for (const char* model : {"alexnet", "inception-block", "transformer-block"}) {
    const Case c(build_model(model).value(), small_cluster(2, 3, 2));
    const Space space = Space::make(c.problem).value();
    Rng rng(1);
    for (int k = 0; k < 300; ++k) {
      const Strategy s = space.random(rng);
      ASSERT_TRUE(core::check(c.graph, s, 6));
    }
  }
}

TEST(Space, ReachesEveryDegreeAndEveryOrderOfDevices) {
  const Case c(two_layers(4, 4, 4), small_cluster(1, 3, 2));
  const Space space = Space::make(c.problem).value();
  Rng rng(1);
  std::map<std::string, int> seen;
  for (int k = 0; k < 20000; ++k) {
    const OpStrategy s = space.random(0, rng);
    ++seen[print(s)];
  }
  // Cuts of up to 3 devices over n, o, i, replicas: 1 whole, 4 of two, 4 of three; lists 3, 6
  // and 6.
  EXPECT_EQ(seen.size(), 1u * 3 + 4 * 6 + 4 * 6);
}

TEST(Rng, IsTheSameEverywhere) {
  Rng rng(42);
  EXPECT_EQ(rng.bits(), 13679457532755275413ull);  // splitmix64's published sequence for seed 42
  double sum = 0, squares = 0;
  for (int k = 0; k < 100000; ++k) {
    const double e = rng.exponential();
    sum += e;
    squares += e * e;
  }
  EXPECT_NEAR(sum / 1e5, 1, 0.02);      // standard error 0.003
  EXPECT_NEAR(squares / 1e5, 2, 0.08);  // standard error 0.014
  int counts[3] = {};
  for (int k = 0; k < 30000; ++k) ++counts[rng.below(3)];
  for (const int n : counts) EXPECT_NEAR(n, 10000, 400);  // standard deviation 82
}

}  // namespace
}  // namespace soapstone::search
