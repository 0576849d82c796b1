// soapstone verify MODEL
#include "runtime/verify.hpp"

#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/data.hpp"
#include "cli/documents.hpp"
#include "cli/optimizer.hpp"
#include "cli/output.hpp"
#include "cli/ranks.hpp"
#include "core/suggest.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"
#include "search/space.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  int ranks = 0;
  std::int64_t random = 0;
  std::int64_t steps = 20;
  std::uint64_t seed = 1;
  std::string strategy;
  std::string backend = "local";
  DataArguments data{.name = "synthetic"};
  double tolerance = 1e-9;
  OptimizerArguments optimizer;
};

core::Status verify_strategies(const Invocation& invocation, Options options) {
  static constexpr std::string_view kBackends[] = {"local", "mpi"};
  if (options.backend != "local" && options.backend != "mpi")
    return core::usage_error("--backend `{}`: {}", options.backend,
                             core::accepted_names(options.backend, kBackends));
  SOAPSTONE_ASSIGN(options.ranks, local_ranks(options.ranks, options.strategy));
  if (options.backend == "mpi") {
    SOAPSTONE_ASSIGN(const bool done, run_as_ranks(invocation, options.ranks, 1));
    if (done) return {};
  }
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster,
                   core::Cluster::build(assumed_local_cluster(options.ranks)));
  const kernels::KokkosScope kokkos(
      runtime::threads_for_rank(runtime::surroundings(), options.backend == "local" ? 0 : 1));
  const kernels::HostCatalog catalog;

  std::vector<core::Strategy> strategies;
  if (!options.strategy.empty() || options.random == 0) {
    SOAPSTONE_ASSIGN(core::Strategy s,
                     load_strategy(graph, cluster,
                                   options.strategy.empty() ? "data-parallel" : options.strategy));
    strategies.push_back(std::move(s));
  }
  search::Rng rng(options.seed);
  SOAPSTONE_ASSIGN(
      const search::Space space,
      search::Space::make({.graph = &graph, .cluster = &cluster, .catalog = &catalog}));
  for (std::int64_t i = 0; i < options.random; ++i) strategies.push_back(space.random(rng));

  SOAPSTONE_ASSIGN(const auto communicator,
                   runtime::make_communicator(options.backend, options.ranks));
  SOAPSTONE_ASSIGN(const auto data, open_data(options.data, graph, options.seed));
  SOAPSTONE_TRY(data.train->check(graph));
  const bool first = communicator->process() == 0;
  runtime::VerifyOptions how;
  how.steps = options.steps;
  how.seed = options.seed;
  SOAPSTONE_ASSIGN(how.optimizer, settings_of(options.optimizer));
  core::Result<std::vector<runtime::Verdict>> verdicts;
  const core::Status finished = run_on_ranks(*communicator, [&]() -> core::Status {
    ProgressBar bar("verify");
    verdicts = runtime::verify(
        *communicator, graph, cluster, catalog, *data.train, strategies, how,
        [&](std::size_t done) {
          if (first)
            bar.show(static_cast<double>(done) / static_cast<double>(strategies.size()),
                     fmt::format("{} of {} strategies", done, strategies.size()));
        });
    SOAPSTONE_TRY(verdicts);
    return {};
  });
  SOAPSTONE_TRY(finished);

  VerifyOutput out;
  out.model = graph.name();
  out.backend = options.backend;
  out.data = std::string(data.train->name());
  out.ranks = options.ranks;
  out.steps = options.steps;
  out.seed = options.seed;
  out.tolerance = options.tolerance;
  std::size_t worst = 0;
  for (std::size_t i = 0; i < verdicts->size(); ++i) {
    auto& v = (*verdicts)[i];
    for (double* x : {&v.gradient.value, &v.loss.value, &v.weight.value,
                      &v.worst_relative_difference, &v.first_loss, &v.last_loss})
      if (!std::isfinite(*x)) *x = std::numeric_limits<double>::max();  // JSON has no word for it
    out.strategies.push_back({core::summary(graph, strategies[i]), v});
    if (!(v.worst_relative_difference <= (*verdicts)[worst].worst_relative_difference)) worst = i;
    out.gradient = std::max(out.gradient, v.gradient.value);
    out.loss = std::max(out.loss, v.loss.value);
    out.weight = std::max(out.weight, v.weight.value);
  }
  out.worst_relative_difference = (*verdicts)[worst].worst_relative_difference;
  out.first_loss = (*verdicts)[0].first_loss;
  out.last_loss = (*verdicts)[0].last_loss;
  out.passed = out.worst_relative_difference <= options.tolerance;
  if (first) {
    if (invocation.json) {
      SOAPSTONE_TRY(print_json(out));
    } else {
      fmt::print("{}: {} strategies on {} ranks ({}), {} steps on {} data; loss {:.6g} → {:.6g}\n",
                 out.model, out.strategies.size(), out.ranks, out.backend, out.steps, out.data,
                 out.first_loss, out.last_loss);
      fmt::print(
          "worst relative difference  gradients {:.3g}, losses {:.3g}, weights {:.3g}; all {:.3g} "
          "(accepted: {:.3g})\n",
          out.gradient, out.loss, out.weight, out.worst_relative_difference, options.tolerance);
    }
  }
  if (!out.passed && first) {
    const auto& v = (*verdicts)[worst];
    return core::fail(
        "strategy {} differs from one device by {:.3g}: gradient {} {:.3g}, loss {} {:.3g}, weight "
        "{} {:.3g}; its strategy: {}",
        worst + 1, v.worst_relative_difference, v.gradient.name, v.gradient.value, v.loss.name,
        v.loss.value, v.weight.name, v.weight.value, core::summary(graph, strategies[worst]));
  }
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->model.dtype = core::DType::kF64;
  app.add_option("--ranks", o->ranks, "How many devices; default: 2, or what --parallel asks for")
      ->check(CLI::Range(1, 64));
  declare_strategy(app, o->strategy);
  app.add_option("--random", o->random, "Try this many random strategies")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--steps", o->steps, "Training steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", o->seed, "Of weights, data and random strategies")
      ->capture_default_str();
  app.add_option("--backend", o->backend, "local (one process) or mpi")
      ->type_name("local|mpi")
      ->capture_default_str();
  declare_data(app, o->data, "What to train on");
  declare_optimizer(app, o->optimizer);
  app.add_option("--tolerance", o->tolerance, "Worst relative difference that is accepted")
      ->capture_default_str();
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return verify_strategies(invocation, *o); };
}

}  // namespace

const Verb kVerifyVerb{
    "verify", "Train in double precision with strategies and on one device, and compare",
    "soapstone verify transformer-block --ranks 4 --random 50 --steps 20 --seed 7 --json", declare};

}  // namespace soapstone::cli
