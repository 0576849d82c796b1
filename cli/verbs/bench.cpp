// soapstone bench MODEL
#include <algorithm>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "cli/ranks.hpp"
#include "core/lower.hpp"
#include "core/units.hpp"
#include "kernels/device.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"
#include "runtime/trainer.hpp"
#include "search/space.hpp"
#include "simulator/analysis/accuracy.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;
  CostArguments costs;
  std::int64_t strategies = 12;
  std::int64_t steps = 40;
  std::int64_t rounds = 3;
  std::uint64_t seed = 1;
};

core::Status bench(const Invocation& invocation, const Options& options) {
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster, load_cluster(options.cluster));
  if (!is_this_machine(cluster))
    return core::refuse(
        "cluster {} is not this machine: only what is here can be run (soapstone clusters local)",
        cluster.name());
  const int ranks = static_cast<int>(cluster.size());
  SOAPSTONE_ASSIGN(const bool done, run_as_ranks(invocation, ranks, cluster.kinds()[0].threads));
  if (done) return {};

  const int threads =
      runtime::threads_for_rank(runtime::surroundings(), cluster.kinds()[0].threads);
  const kernels::KokkosScope kokkos(threads);
  SOAPSTONE_ASSIGN(const Costs costs, open_costs(cluster, options.costs));
  SOAPSTONE_ASSIGN(const search::Space space,
                   search::Space::make({.graph = &graph,
                                        .cluster = &cluster,
                                        .costs = &costs.model(),
                                        .catalog = costs.catalog.get()}));
  SOAPSTONE_ASSIGN(const auto data, runtime::open_data("synthetic", graph, options.seed));
  SOAPSTONE_TRY(data.train->check(graph));
  SOAPSTONE_ASSIGN(const auto communicator, open_communicator(ranks));

  BenchOutput out;
  out.model = graph.name();
  out.cluster = cluster.name();
  out.batch = graph.batch();
  out.ranks = ranks;
  out.threads = threads;
  out.steps = options.steps;
  out.seed = options.seed;
  search::Rng rng(options.seed);
  const bool first = communicator->process() == 0;
  const core::Status finished = run_on_ranks(*communicator, [&]() -> core::Status {
    std::optional<ProgressBar> bar;
    if (first) bar.emplace("bench");
    std::vector<core::Strategy> strategies;
    for (std::int64_t i = 0; i < options.strategies; ++i) {
      strategies.push_back(space.random(rng));
      SOAPSTONE_ASSIGN(const core::Plan plan,
                       core::lower(graph, strategies.back(), cluster, *costs.catalog));
      SOAPSTONE_ASSIGN(const core::Trace predicted,
                       simulator::simulate(graph, plan, cluster, costs.model()));
      BenchEntry entry;
      entry.strategy = core::summary(graph, strategies.back());
      entry.predicted_step_time_ns = predicted.step_time.value;
      entry.measured_share = measured_share(predicted);
      out.strategies.push_back(std::move(entry));
    }
    // Rounds lie far apart in time: what disturbs the machine for a while does not disturb all
    // measurements of one strategy.
    runtime::TrainOptions train;
    train.steps = options.steps;
    train.seed = options.seed;
    std::vector<std::vector<core::Nanoseconds>> measured(strategies.size());
    const auto runs = static_cast<double>(options.rounds * options.strategies);
    double run = 0;
    for (std::int64_t round = 1; round <= options.rounds; ++round)
      for (std::size_t i = 0; i < strategies.size(); ++i) {
        SOAPSTONE_ASSIGN(
            const runtime::TrainReport report,
            runtime::train(*communicator,
                           {graph, strategies[i], cluster, *costs.catalog, *data.train}, train));
        measured[i].push_back(report.median_step_time);
        if (bar)
          bar->show(++run / runs, fmt::format("round {} of {}: {} of {} strategies", round,
                                              options.rounds, i + 1, options.strategies));
      }
    std::vector<simulator::StrategyTimes> times;
    for (std::size_t i = 0; i < strategies.size(); ++i) {
      auto& all = measured[i];
      std::sort(all.begin(), all.end());
      BenchEntry& entry = out.strategies[i];
      entry.measured_step_time_ns = all[all.size() / 2].value;
      for (const core::Nanoseconds t : all) entry.rounds_ns.push_back(t.value);
      times.push_back({fmt::format("#{}", i + 1), core::Nanoseconds(entry.predicted_step_time_ns),
                       all[all.size() / 2]});
    }
    out.accuracy = simulator::accuracy(times);
    return {};
  });
  SOAPSTONE_TRY(finished);
  if (!first) return {};
  if (invocation.json) return print_json(out);
  std::vector<std::vector<std::string>> rows{{"#", "predicted", "measured", "error", "strategy"}};
  for (std::size_t i = 0; i < out.strategies.size(); ++i) {
    const BenchEntry& e = out.strategies[i];
    rows.push_back(
        {std::to_string(i + 1), core::human_text(core::Nanoseconds(e.predicted_step_time_ns)),
         core::human_text(core::Nanoseconds(e.measured_step_time_ns)),
         fmt::format("{:+.1f} %", 100 * (static_cast<double>(e.predicted_step_time_ns) /
                                             static_cast<double>(e.measured_step_time_ns) -
                                         1)),
         e.strategy});
  }
  fmt::print(
      "{} with a batch of {} on {}, {} rank(s) of {} thread(s), median of {} rounds of {} steps "
      "on synthetic data, seed {}\n",
      out.model, out.batch, out.cluster, out.ranks, out.threads, options.rounds, out.steps,
      out.seed);
  fmt::print("{}{}", table(rows), simulator::text(out.accuracy));
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_cluster(app, o->cluster);
  declare_costs(app, o->costs);
  app.add_option("--strategies", o->strategies, "How many to draw at random")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--steps", o->steps, "Training steps of each")
      ->check(CLI::Range(6, 1000000))
      ->capture_default_str();
  app.add_option("--rounds", o->rounds, "So often all are run; the median counts")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--seed", o->seed, "Of the strategies, weights and data")->capture_default_str();
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return bench(invocation, *o); };
}

}  // namespace

const Verb kBenchVerb{
    "bench", "Run random strategies on this machine and tell how well their steps were predicted",
    "soapstone bench fashion-cnn --batch 128 --cluster local.toml --strategies 12 --seed 1",
    declare};

}  // namespace soapstone::cli
