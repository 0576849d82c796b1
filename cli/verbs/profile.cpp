// soapstone profile MODEL
#include <algorithm>
#include <map>
#include <sstream>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "cli/ranks.hpp"
#include "core/units.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/launch.hpp"
#include "runtime/profiler.hpp"
#include "search/expert.hpp"
#include "search/space.hpp"
#include "simulator/required_problems.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;
  CostArguments costs;
  std::vector<std::string> strategies;
  std::string time = "40ms";
  std::int64_t most = 0;
  std::string known = "check";
};

// What every operator may need under any cut that the cluster has devices for, or what the given
// strategies need.
core::Status require(simulator::RequiredProblems& required, const core::Graph& graph,
                     const core::Cluster& cluster, const core::KernelCatalog& catalog,
                     const std::vector<std::string>& strategies) {
  for (const auto& text : strategies) {
    SOAPSTONE_ASSIGN(const core::Strategy s, load_strategy(graph, cluster, text));
    SOAPSTONE_TRY(required.add(s, catalog));
  }
  if (!strategies.empty()) return {};
  SOAPSTONE_ASSIGN(
      const search::Space space,
      search::Space::make({.graph = &graph, .cluster = &cluster, .catalog = &catalog}));
  std::size_t most = 0;
  for (std::size_t op = 0; op < space.size(); ++op) most = std::max(most, space.cuts(op).size());
  for (std::size_t k = 0; k < most; ++k) {
    core::Strategy s = core::single_device(graph);
    for (std::size_t op = 0; op < space.size(); ++op) {
      const search::Cut& cut = space.cuts(op)[std::min(k, space.cuts(op).size() - 1)];
      s.ops[op] = {cut.degrees, cut.replicas, {}};
      for (std::int32_t d = 0; d < cut.devices; ++d)
        s.ops[op].devices.push_back(core::DeviceId(static_cast<std::uint32_t>(d)));
    }
    SOAPSTONE_TRY(required.add(s, catalog));
  }
  return {};
}

// What was measured on a busy machine is wrong on a quiet one, and the other way round.
constexpr double kDrift = 0.15;

// Time now ÷ time when measured, the median over the costliest steps whose `medians` (on the first
// process) are known. The same on every process.
std::optional<double> time_ratio(runtime::Communicator& communicator,
                                 const std::vector<simulator::RequiredProblem>& steps,
                                 std::span<const core::Nanoseconds> medians,
                                 const runtime::MeasureOptions& how) {
  constexpr std::size_t kProbes = 9;
  std::vector<std::size_t> probes;
  for (std::size_t i = 0; i < medians.size(); ++i)
    if (medians[i].value > 0) probes.push_back(i);
  std::stable_sort(probes.begin(), probes.end(),
                   [&](std::size_t a, std::size_t b) { return medians[a] > medians[b]; });
  if (probes.size() > kProbes) probes.resize(kProbes);
  std::string indices;
  for (const std::size_t i : probes) indices += fmt::format("{} ", i);
  std::istringstream agreed(communicator.broadcast(indices));
  std::vector<double> ratios;
  for (std::size_t i = 0; agreed >> i;) {
    const auto now = runtime::measure_step(communicator, steps[i].problem, steps[i].step,
                                           steps[i].candidate, how);
    ratios.push_back(static_cast<double>(now.median.value) /
                     static_cast<double>(std::max<std::int64_t>(1, medians[i].value)));
  }
  if (ratios.empty()) return std::nullopt;
  std::nth_element(ratios.begin(), ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2),
                   ratios.end());
  double ratio[] = {communicator.process() == 0 ? ratios[ratios.size() / 2] : 0.0};
  communicator.sum(ratio);
  return ratio[0];
}

core::Status profile(const Invocation& invocation, const Options& options) {
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster, load_cluster(options.cluster));
  if (!is_this_machine(cluster))
    return core::refuse(
        "cluster {} is not this machine: only what is here can be measured (soapstone clusters "
        "local)",
        cluster.name());
  const auto time = core::parse_quantity<core::Nanoseconds>(options.time);
  if (!time) return core::usage_error("--time: {}", time.error().message);
  const int ranks = static_cast<int>(cluster.size());
  SOAPSTONE_ASSIGN(const bool done, run_as_ranks(invocation, ranks, cluster.kinds()[0].threads));
  if (done) return {};

  const kernels::KokkosScope kokkos(cluster.kinds()[0].threads);
  const kernels::HostCatalog catalog;
  simulator::RequiredProblems required(graph, cluster);
  SOAPSTONE_TRY(require(required, graph, cluster, catalog, options.strategies));
  SOAPSTONE_ASSIGN(const auto communicator, open_communicator(ranks));
  const bool first = communicator->process() == 0;
  const int busy = busy_devices(cluster);

  // The first process knows what is missing; the others hear of it by number.
  std::optional<simulator::CostDatabase> database;
  std::string missing;
  std::vector<core::Nanoseconds> medians(required.list().size());  // 0: not known
  core::Status opened;
  if (first) {
    auto made = open_database(options.costs);
    if (made) {
      database.emplace(std::move(*made));
      for (std::size_t i = 0; opened && i < required.list().size(); ++i) {
        const auto known = database->get(simulator::cost_key(required.list()[i], busy));
        if (!known)
          opened = tl::unexpected(known.error());
        else
          missing += *known && options.known != "again" ? '0' : '1';
        if (known && *known) medians[i] = (*known)->median;
      }
    } else {
      opened = tl::unexpected(made.error());
    }
  }
  SOAPSTONE_TRY(communicator->agree(opened));
  missing = communicator->broadcast(missing);
  const runtime::MeasureOptions how{.most_repeats = 1000, .seconds = core::seconds(*time)};
  std::optional<double> ratio;
  if (options.known == "check") {
    SOAPSTONE_TRY(run_on_ranks(*communicator, [&]() -> core::Status {
      ratio = time_ratio(*communicator, required.list(), medians, how);
      return {};
    }));
    if (ratio && *ratio < 1 - kDrift) {
      if (first)
        fmt::print(stderr,
                   "soapstone: kernels take {:.0f} % less time than when they were measured: all "
                   "are measured again\n",
                   100 * (1 - *ratio));
      missing.assign(missing.size(), '1');
    } else if (ratio && *ratio > 1 + kDrift && first) {
      fmt::print(stderr,
                 "soapstone: kernels take {:.0f} % more time than when they were measured: is this "
                 "machine busy?\n",
                 100 * (*ratio - 1));
    }
  }

  // Steps of one local problem and candidate are measured together.
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> groups;
  std::vector<const std::vector<std::size_t>*> order;
  std::int64_t wanted = 0;
  for (std::size_t i = 0; i < required.list().size(); ++i) {
    if (missing[i] != '1') continue;
    ++wanted;
    auto& group = groups[{required.list()[i].problem.key(), required.list()[i].candidate}];
    group.push_back(i);
    if (group.size() == 1) order.push_back(&group);
  }
  const runtime::CancelOnSignal signals;
  std::int64_t measured = 0;
  bool stopped = false;
  const core::Status finished = run_on_ranks(*communicator, [&]() -> core::Status {
    core::Status written;
    std::optional<ProgressBar> bar;
    if (first) bar.emplace("profile");
    for (const auto* group : order) {
      double stop[] = {signals.flag() ? 1.0 : 0.0};
      communicator->sum(stop);
      if (stop[0] > 0 || (options.most > 0 && measured >= options.most)) {
        stopped = true;
        break;
      }
      const auto& head = required.list()[group->front()];
      std::vector<std::pair<simulator::CostKey, simulator::Measurement>> entries;
      for (const auto i : *group) {
        const auto& one = required.list()[i];
        const auto t =
            runtime::measure_step(*communicator, one.problem, one.step, one.candidate, how);
        entries.emplace_back(simulator::cost_key(one, busy), stored(t));
      }
      if (first && written) written = database->put(entries);
      SOAPSTONE_TRY(communicator->agree(written));
      measured += static_cast<std::int64_t>(group->size());
      if (bar)
        bar->show(static_cast<double>(measured) / static_cast<double>(wanted),
                  fmt::format("{} of {}: {}", measured, wanted, head.op));
    }
    return {};
  });
  SOAPSTONE_TRY(finished);
  if (!first) return {};
  ProfileOutput out;
  out.model = graph.name();
  out.cluster = cluster.name();
  out.database = database_file(options.costs).string();
  out.needed = static_cast<std::int64_t>(required.list().size());
  out.known_before = out.needed - wanted;
  out.measured = measured;
  out.time_ratio = ratio;
  SOAPSTONE_ASSIGN(out.statistics, database->statistics());
  if (invocation.json) return print_json(out);
  fmt::print("{} costs are needed, {} were known, {} are measured now{}; median spread {:.1f} %\n",
             out.needed, out.known_before, out.measured,
             stopped ? " (stopped early; the same command goes on)" : "",
             100 * out.statistics.median_spread);
  fmt::print("they are kept in {}\n", out.database);
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_cluster(app, o->cluster);
  declare_costs(app, o->costs);
  app.add_option("--strategy", o->strategies,
                 "Only what these strategies need; default: every cut of every operator")
      ->type_name("single|data-parallel|expert|FILE");
  app.add_option("--time", o->time, "Measure each step this long")
      ->type_name("TIME")
      ->capture_default_str();
  app.add_option("--known", o->known,
                 "Of costs that are known: check a few and measure all again if this machine is "
                 "faster now; keep; again")
      ->check(CLI::IsMember({"check", "keep", "again"}))
      ->capture_default_str();
  app.add_option("--most", o->most, "Stop after this many costs; 0: do all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return profile(invocation, *o); };
}

}  // namespace

const Verb kProfileVerb{"profile",
                        "Measure the kernels that a model's strategies need on this machine",
                        "soapstone profile fashion-cnn --batch 128 --cluster local.toml", declare};

}  // namespace soapstone::cli
