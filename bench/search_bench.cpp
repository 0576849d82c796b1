// Speed of lowering, simulating and searching; and how the acceptance's β decides what a search
// finds.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "search/exhaustive.hpp"
#include "search/expert.hpp"
#include "search/mcmc.hpp"
#include "search/parallelism.hpp"
#include "search/space.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"

namespace {

using namespace soapstone;

struct Case {
  core::Graph graph;
  core::Cluster cluster;
  core::NominalCatalog catalog;
  simulator::RooflineModel costs;

  Case(const std::string& model, const std::string& cluster_name)
      : graph(core::build_model(model).value()),
        cluster(core::load_cluster(cluster_name).value()) {}
  search::Problem problem() const {
    return {.graph = &graph,
            .cluster = &cluster,
            .costs = &costs,
            .catalog = &catalog,
            .pins = {},
            .memory_limit = {},
            .micro_batches = 1,
            .lower = {}};
  }
};

// Lowering and simulating strategy after strategy, of which each differs from the one before in one
// operator. The argument: 0 data parallel with one random operator, 1 all operators random.
void lower_and_simulate(benchmark::State& state, const std::string& model,
                        const std::string& cluster) {
  const Case c(model, cluster);
  const search::Problem problem = c.problem();
  const search::Space space = search::Space::make(problem).value();
  core::Lowering lowering(c.graph, c.cluster, c.catalog, {.place_memory = false});
  simulator::Simulator simulator(c.graph, c.cluster, c.costs);
  search::Rng rng(7);
  std::vector<core::DeviceId> devices;
  for (std::uint32_t d = 0; d < c.cluster.size(); ++d) devices.push_back(core::DeviceId(d));
  const core::Strategy base =
      state.range(0) == 0 ? core::data_parallel(c.graph, devices) : space.random(rng);
  double lowering_seconds = 0, simulating_seconds = 0;
  std::size_t tasks = 0;
  for (auto _ : state) {
    core::Strategy strategy = base;
    const std::size_t op = rng.below(space.size());
    strategy.ops[op] = space.random(op, rng);
    const auto begin = std::chrono::steady_clock::now();
    const core::Plan plan = lowering.lower(strategy).value();
    const auto lowered = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(simulator.step_time(plan));
    lowering_seconds += std::chrono::duration<double>(lowered - begin).count();
    simulating_seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - lowered).count();
    for (const auto& program : plan.classes) tasks += program.tasks.size();
  }
  const auto rate = benchmark::Counter::kAvgIterations;
  state.counters["lower_ms"] = benchmark::Counter(lowering_seconds * 1e3, rate);
  state.counters["simulate_ms"] = benchmark::Counter(simulating_seconds * 1e3, rate);
  state.counters["tasks"] = benchmark::Counter(static_cast<double>(tasks), rate);
}

// From nothing, with memory placed and the whole trace, as `soapstone simulate` does.
void one_strategy_from_nothing(benchmark::State& state, const std::string& model,
                               const std::string& cluster) {
  const Case c(model, cluster);
  const core::Strategy strategy = search::expert(c.graph, c.cluster);
  for (auto _ : state) {
    const core::Plan plan = core::lower(c.graph, strategy, c.cluster, c.catalog).value();
    benchmark::DoNotOptimize(simulator::simulate(c.graph, plan, c.cluster, c.costs).value());
  }
}

// GPT-3 as it is trained on 1,024 devices: lowered, with a program per class of devices. Arguments:
// micro-batches of every pipeline, and whether memory is placed too.
void lower_gpt3(benchmark::State& state, const std::string& how) {
  const core::Graph graph = core::build_model("gpt3-175b", {.batch = 8 * state.range(0)}).value();
  const core::Cluster cluster = core::load_cluster("a100-128x8").value();
  const core::NominalCatalog catalog;
  const core::Strategy strategy =
      search::hybrid(graph, cluster, search::parse_parallelism(how).value()).value();
  std::size_t tasks = 0, classes = 0;
  for (auto _ : state) {
    core::Lowering lowering(graph, cluster, catalog,
                            {.optimizer_states = 2, .place_memory = state.range(1) != 0});
    const core::Plan plan = lowering.lower(strategy).value();
    tasks = 0, classes = plan.classes.size();
    for (const auto& program : plan.classes) tasks += program.tasks.size();
  }
  state.counters["classes"] = static_cast<double>(classes);
  state.counters["tasks"] = static_cast<double>(tasks);
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  state.counters["peak_GiB"] = static_cast<double>(used.ru_maxrss) / (1 << 20);
}

void mcmc_proposals(benchmark::State& state, const std::string& model, const std::string& cluster) {
  const Case c(model, cluster);
  const search::Problem problem = c.problem();
  std::int64_t proposals = 0;
  std::uint64_t seed = 0;
  double speedup = 0;
  for (auto _ : state) {
    const auto found =
        search::mcmc(problem, search::Budget::proposals(state.range(0)), ++seed).value();
    proposals += found.proposals;
    for (const auto& s : found.strategies)
      if (s.origin.starts_with("data-parallel"))
        speedup += core::seconds(s.step_time) / core::seconds(found.strategies[0].step_time);
  }
  state.counters["proposals/s"] =
      benchmark::Counter(static_cast<double>(proposals), benchmark::Counter::kIsRate);
  state.counters["over_data_parallel"] =
      benchmark::Counter(speedup, benchmark::Counter::kAvgIterations);
}

// Step time of what a search with β = range(0) finds over what data parallelism takes; mean over
// seeds.
void beta_sweep(benchmark::State& state, const std::string& model, const std::string& cluster,
                std::int64_t proposals) {
  const Case c(model, cluster);
  const search::Problem problem = c.problem();
  std::uint64_t seed = 0;
  double speedup = 0;
  for (auto _ : state) {
    const auto found = search::mcmc(problem, search::Budget::proposals(proposals), ++seed, {},
                                    {.beta = static_cast<double>(state.range(0))})
                           .value();
    for (const auto& s : found.strategies)
      if (s.origin.starts_with("data-parallel"))
        speedup += core::seconds(s.step_time) / core::seconds(found.strategies[0].step_time);
  }
  state.counters["over_data_parallel"] =
      benchmark::Counter(speedup, benchmark::Counter::kAvgIterations);
}

BENCHMARK_CAPTURE(lower_and_simulate, tiny, std::string("mlp"), std::string("p100-4x4"))
    ->Arg(0)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(mcmc_proposals, tiny, std::string("mlp"), std::string("p100-4x4"))
    ->Arg(20)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lower_and_simulate, alexnet_16, std::string("alexnet"), std::string("p100-4x4"))
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(one_strategy_from_nothing, alexnet_16, std::string("alexnet"),
                  std::string("p100-4x4"))
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(mcmc_proposals, alexnet_16, std::string("alexnet"), std::string("p100-4x4"))
    ->Arg(2000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lower_gpt3, interleaved,
                  std::string("dp=8,tp=8,pp=16,vp=2,schedule=interleaved-1f1b,micro_batch=1"))
    ->Args({64, 0})
    ->Args({192, 0})
    ->Args({64, 1})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(beta_sweep, alexnet_16, std::string("alexnet"), std::string("p100-4x4"), 2000)
    ->RangeMultiplier(4)
    ->Range(1, 4096)
    ->Iterations(4)
    ->Unit(benchmark::kMillisecond);

}  // namespace
