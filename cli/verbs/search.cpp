// soapstone search MODEL
#include <atomic>
#include <csignal>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/optimizer.hpp"
#include "cli/output.hpp"
#include "core/document.hpp"
#include "core/ranked_strategies.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"
#include "search/bound.hpp"
#include "search/exhaustive.hpp"
#include "search/mcmc.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;
  CostArguments costs;
  std::string searcher = "mcmc";
  std::string budget = "10s";
  std::string memory_limit;
  std::string pins;
  std::string out;
  std::uint64_t seed = 1;
  double beta = search::McmcOptions{}.beta;
  std::int32_t micro_batches = 1;
  std::size_t top = 10;
  OptimizerChoice optimizer;
};

std::atomic<bool> interrupted{false};

core::Status search_strategies(const Invocation& invocation, const Options& options) {
  static constexpr std::string_view kSearchers[] = {"mcmc", "exhaustive"};
  if (std::find(std::begin(kSearchers), std::end(kSearchers), options.searcher) ==
      std::end(kSearchers))
    return core::usage_error("--searcher `{}`: {}", options.searcher,
                             core::accepted_names(options.searcher, kSearchers));
  SOAPSTONE_TRY(check_folder_of("--out", options.out));
  SOAPSTONE_ASSIGN(const search::Budget budget, search::parse_budget(options.budget));
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster, load_cluster(options.cluster));
  SOAPSTONE_ASSIGN(const Costs costs, open_costs(cluster, options.costs));

  search::Problem problem{.graph = &graph,
                          .cluster = &cluster,
                          .costs = &costs.model(),
                          .catalog = costs.catalog.get()};
  problem.micro_batches = options.micro_batches;
  problem.lower = options.optimizer.lower_options();
  if (!options.memory_limit.empty()) {
    const auto limit = core::parse_quantity<core::Bytes>(options.memory_limit);
    if (!limit) return core::usage_error("--memory-limit: {}", limit.error().message);
    problem.memory_limit = *limit;
  }
  if (!options.pins.empty()) {
    // A strategy document that names some operators only.
    SOAPSTONE_ASSIGN(const auto document,
                     core::load_document<core::StrategyDocument>(options.pins));
    auto pinned = core::from_document(graph, document);
    if (!pinned) return core::usage_error("{}: {}", options.pins, pinned.error().message);
    for (const auto& [name, ignored] : document.ops)
      problem.pins[name] = {pinned->ops[graph.find_op(name)->value]};
  }

  const auto stop = [](int) { interrupted = true; };
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
  core::Result<core::RankedStrategies> ranked;
  {
    ProgressBar bar("search");
    const auto show = [&](double fraction, std::int64_t proposals,
                          std::optional<core::Nanoseconds> best) {
      bar.show(fraction, fmt::format("{} proposals, best {}", proposals,
                                     best ? core::human_text(*best) : std::string("none yet")));
    };
    double fraction = 0;
    const search::Progress progress = [&](const search::ProgressReport& report) {
      show(fraction = report.fraction, report.proposals, report.best);
      return !interrupted;
    };
    ranked = options.searcher == "exhaustive"
                 ? search::exhaustive(problem, progress, {.most = options.top})
                 : search::mcmc(problem, budget, options.seed, progress,
                                {.beta = options.beta, .most = options.top});
    if (ranked && !ranked->strategies.empty())
      show(ranked->cancelled ? fraction : 1, ranked->proposals, ranked->strategies[0].step_time);
  }
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  if (!ranked) return tl::unexpected(ranked.error());
  if (ranked->cancelled) fmt::print(stderr, "soapstone: stopped early; this is the best so far\n");
  // What cannot be written is printed nevertheless.
  const core::Status written =
      options.out.empty() ? core::Status{} : core::save_document(options.out, *ranked);
  if (invocation.json) {
    SOAPSTONE_TRY(print_json(*ranked));
    return written;
  }

  std::vector<std::vector<std::string>> rows{
      {"#", "step", "samples/s", "memory", "origin", "strategy"}};
  for (std::size_t i = 0; i < ranked->strategies.size(); ++i) {
    const auto& s = ranked->strategies[i];
    SOAPSTONE_ASSIGN(const core::Strategy strategy, core::from_document(graph, s.strategy));
    std::string text = core::summary(graph, strategy);
    if (text.size() > 90) text = text.substr(0, text.rfind("; ", 88)) + "; …";
    rows.push_back({std::to_string(i + 1), core::human_text(s.step_time),
                    fmt::format("{:.4g}", s.samples_per_second), core::human_text(s.peak_memory),
                    s.origin, s.feasible ? text : s.why_not});
  }
  fmt::print("{}", table(rows));
  if (!ranked->strategies.empty()) {
    SOAPSTONE_ASSIGN(const core::Strategy fastest,
                     core::from_document(graph, ranked->strategies[0].strategy));
    const core::Nanoseconds step = ranked->strategies[0].step_time;
    fmt::print("fastest: {}\n",
               step_text(step_figures(graph, cluster, devices_in_use(fastest), step), step));
    if (const auto bound = search::lower_bound(graph, cluster, problem.lower);
        bound && bound->value > 0)
      fmt::print(
          "lower bound: {}, all FLOPs on all devices at their peak; the fastest takes {:.2f} "
          "times that\n",
          core::human_text(*bound),
          static_cast<double>(step.value) / static_cast<double>(bound->value));
  }
  return written;
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_cluster(app, o->cluster);
  declare_costs(app, o->costs);
  app.add_option("--searcher", o->searcher, "mcmc or exhaustive")
      ->type_name("mcmc|exhaustive")
      ->capture_default_str();
  app.add_option("--budget", o->budget, "A time (10s, 2min) or a number of proposals")
      ->type_name("TIME|COUNT")
      ->capture_default_str();
  app.add_option("--seed", o->seed, "Same seed and number of proposals, same answer")
      ->capture_default_str();
  app.add_option("--beta", o->beta, "Greediness of mcmc")->capture_default_str();
  app.add_option("--memory-limit", o->memory_limit,
                 "Per device, such as 12GiB or 800MiB; default: what the devices have")
      ->type_name("BYTES");
  app.add_option("--micro-batches", o->micro_batches,
                 "Parts of the batch whose gradients are accumulated")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--pins", o->pins,
                 "Strategy file with the keys `format`, `graph` (the model's name) and `ops`; the "
                 "operators that `ops` names stay as it says")
      ->type_name("FILE");
  declare_optimizer(app, o->optimizer);
  app.add_option("--top", o->top, "How many strategies to keep")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--out", o->out, "Write the ranked strategies here")->type_name("FILE");
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return search_strategies(invocation, *o); };
}

}  // namespace

const Verb kSearchVerb{
    "search", "Search the fastest strategy for a model on a cluster",
    "soapstone search alexnet --batch 64 --cluster p100-4x4 --budget 10s --out ranked.json",
    declare};

}  // namespace soapstone::cli
