// soapstone explain MODEL
#include "simulator/analysis/explain.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/documents.hpp"
#include "cli/enum_option.hpp"
#include "cli/optimizer.hpp"
#include "cli/output.hpp"
#include "cli/traces.hpp"
#include "core/document.hpp"
#include "core/file.hpp"
#include "core/lower.hpp"
#include "core/ranked_strategies.hpp"
#include "core/trace_file.hpp"
#include "core/units.hpp"
#include "importers/chrome_trace.hpp"
#include "reports/report_input.hpp"
#include "simulator/analysis/what_if.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;
  CostArguments costs;
  std::string strategy = "data-parallel";
  OptimizerChoice optimizer;
  std::string trace, against, ranked;
  std::vector<std::string> what_if;
  std::size_t facts = 5, spans = 0;
  simulator::WaterfallBasis basis = simulator::WaterfallBasis::kDevices;
};

// A strategy with its plan and its step.
struct Step {
  std::string name;
  std::optional<core::Strategy> strategy;  // none: nothing but a trace
  core::Plan plan;
  core::Trace trace;
  simulator::StepAnalysis analysis;
};

struct Bench {
  const Invocation& invocation;
  const Options& options;
  const core::Graph& graph;
  const core::Cluster& cluster;
  const Costs& costs;

  core::Result<core::Plan> plan(const core::Strategy& strategy) const {
    return core::lower(graph, strategy, cluster, *costs.catalog, options.optimizer.lower_options());
  }
  core::Result<Step> simulated(std::string name, core::Strategy strategy) const {
    Step step;
    step.name = std::move(name);
    SOAPSTONE_ASSIGN(step.plan, plan(strategy));
    SOAPSTONE_ASSIGN(step.trace, simulator::simulate(graph, step.plan, cluster, costs.model()));
    SOAPSTONE_ASSIGN(step.analysis, simulator::analyse(step.plan, step.trace));
    step.strategy = std::move(strategy);
    return step;
  }
};

core::Result<Step> explained_step(const Bench& bench) {
  const Options& o = bench.options;
  SOAPSTONE_ASSIGN(core::Strategy strategy, load_strategy(bench.graph, bench.cluster, o.strategy));
  if (o.trace.empty()) return bench.simulated(o.strategy, std::move(strategy));
  Step step;
  step.name = o.trace;
  SOAPSTONE_ASSIGN(step.plan, bench.plan(strategy));
  SOAPSTONE_ASSIGN(importers::OpenedTrace opened,
                   open_trace(bench.invocation, o.trace, &bench.graph));
  step.trace = std::move(opened.trace);
  if (opened.is_foreign) {
    // Its spans are of no plan: what it shows itself is told.
    step.analysis = simulator::analyse(step.trace);
    step.strategy = std::move(strategy);
    return step;
  }
  if (const auto status = reports::check_trace(step.plan, step.trace, step.trace.origin); !status)
    return tl::unexpected(in_file(o.trace, status.error()));
  auto analysis = simulator::analyse(step.plan, step.trace);
  if (!analysis) return tl::unexpected(in_file(o.trace, analysis.error()));
  step.analysis = std::move(*analysis);
  step.strategy = std::move(strategy);
  return step;
}

// A strategy, or the trace of one.
core::Result<Step> other_step(const Bench& bench, const Step& step) {
  const std::string& against = bench.options.against;
  std::error_code ignored;  // what cannot be looked at is no file
  const bool is_folder = std::filesystem::is_directory(against, ignored);
  if (is_folder || std::filesystem::is_regular_file(against, ignored)) {
    std::string text;
    if (!is_folder) {
      SOAPSTONE_ASSIGN(text, core::read_file(against));
    }
    bool is_trace = is_folder || core::is_trace_file(text) || importers::is_chrome_trace(text);
    if (!is_trace) {
      SOAPSTONE_ASSIGN(const core::DocumentFormat format, core::document_format(text, against));
      is_trace = format.kind == core::Trace::kFormat;
    }
    if (is_trace) {
      Step other;
      SOAPSTONE_ASSIGN(importers::OpenedTrace opened,
                       open_trace(bench.invocation, against, &bench.graph));
      other.trace = std::move(opened.trace);
      other.name = against;
      if (other.trace.graph != step.trace.graph)
        return core::usage_error("--against {}: a trace of {}, one of {} is wanted", against,
                                 other.trace.graph, step.trace.graph);
      // Another trace of the same plan is told as exactly as this one.
      if (other.trace.plan_hash == core::hash_of(step.plan)) {
        auto analysis = simulator::analyse(step.plan, other.trace);
        if (!analysis) return tl::unexpected(in_file(against, analysis.error()));
        other.analysis = std::move(*analysis);
      } else {
        other.analysis = simulator::analyse(other.trace);
      }
      return other;
    }
  }
  SOAPSTONE_ASSIGN(core::Strategy strategy, load_strategy(bench.graph, bench.cluster, against));
  return bench.simulated(against, std::move(strategy));
}

ExplainComparison compared(const Step& first, const Step& second, simulator::WaterfallBasis basis) {
  ExplainComparison out;
  out.first = first.name;
  out.second = second.name;
  out.waterfall =
      simulator::waterfall(first.trace, first.analysis, second.trace, second.analysis, basis);
  out.sentence = simulator::why(out.waterfall, first.name, second.name);
  return out;
}

// Why the first of a ranking is better than the second and than data parallelism.
core::Status explain_ranking(const Bench& bench, std::vector<ExplainComparison>& out) {
  const std::string& file = bench.options.ranked;
  SOAPSTONE_ASSIGN(const auto ranked, core::load_document<core::RankedStrategies>(file));
  if (const auto status = reports::check_ranked(bench.graph, bench.cluster, ranked); !status)
    return tl::unexpected(in_file(file, status.error()));
  if (ranked.strategies.empty()) return core::usage_error("{}: no strategy is in it", file);
  SOAPSTONE_ASSIGN(core::Strategy best, load_strategy(bench.graph, bench.cluster, file + "#1"));
  SOAPSTONE_ASSIGN(const Step first, bench.simulated("#1", std::move(best)));
  if (ranked.strategies.size() > 1) {
    SOAPSTONE_ASSIGN(core::Strategy next, load_strategy(bench.graph, bench.cluster, file + "#2"));
    SOAPSTONE_ASSIGN(const Step second, bench.simulated("#2", std::move(next)));
    out.push_back(compared(first, second, bench.options.basis));
  }
  SOAPSTONE_ASSIGN(core::Strategy usual,
                   load_strategy(bench.graph, bench.cluster, "data-parallel"));
  SOAPSTONE_ASSIGN(const Step data_parallel, bench.simulated("data-parallel", std::move(usual)));
  out.push_back(compared(first, data_parallel, bench.options.basis));
  return {};
}

// One change at a time.
core::Result<std::vector<ExplainWhatIf>> try_changes(const Bench& bench, const Step& step) {
  std::vector<simulator::Change> changes;
  for (const std::string& text : bench.options.what_if) {
    auto change = simulator::parse_change(text);
    core::Status known = change ? simulator::check(*change, bench.graph, bench.cluster)
                                : tl::unexpected(change.error());
    if (!known)
      return tl::unexpected(core::Error{"--what-if " + known.error().message, known.error().kind});
    changes.push_back(std::move(*change));
  }
  std::vector<ExplainWhatIf> out;
  if (changes.empty()) return out;
  // What a measured step would be is not known: predictions are compared.
  SOAPSTONE_ASSIGN(const core::Trace now,
                   simulator::simulate(bench.graph, step.plan, bench.cluster, bench.costs.model()));
  const simulator::Scenario scenario{bench.graph,          *step.strategy,
                                     bench.cluster,        bench.costs.model(),
                                     *bench.costs.catalog, bench.options.optimizer.lower_options()};
  for (std::size_t k = 0; k < changes.size(); ++k) {
    ExplainWhatIf& row = out.emplace_back();
    row.change = bench.options.what_if[k];
    row.words = simulator::words(changes[k]);
    row.before_ns = now.step_time.value;
    const auto outcome = simulator::what_if(scenario, std::span(&changes[k], 1));
    if (outcome)
      row.step_time_ns = outcome->trace.step_time.value;
    else if (outcome.error().kind == core::ErrorKind::kRefused)
      row.why_not = outcome.error().message;
    else
      return tl::unexpected(outcome.error());
  }
  return out;
}

std::vector<ExplainSpan> worst_spans(const Step& step, std::size_t most) {
  const core::Spans& s = step.trace.spans;
  const simulator::Slack& slack = step.analysis.slack;
  std::vector<std::uint32_t> order(s.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return slack.saves_if_free[a] > slack.saves_if_free[b]; });
  std::vector<ExplainSpan> out;
  std::optional<std::uint32_t> last_unit;
  for (const std::uint32_t i : order) {
    if (out.size() == most || slack.saves_if_free[i].value <= 0) break;
    // A transfer once, not once per device.
    const std::uint32_t unit = step.analysis.graph.unit[step.analysis.graph.node_of_span[i]];
    if (std::exchange(last_unit, unit) == unit) continue;
    out.push_back({step.trace.labels[s.label[i]], step.trace.lanes[s.lane[i]].device, i,
                   s.start[i].value, s.end[i].value, slack.slack[i].value,
                   slack.saves_if_free[i].value});
  }
  return out;
}

void print_text(const ExplainOutput& out, const Step& step) {
  const core::Nanoseconds time(out.step_time_ns);
  fmt::print("{} with a batch of {} on {}: {}\n", out.model, out.batch, out.cluster, out.strategy);
  fmt::print("{} step {}: {}\n", core::name_of(out.origin), core::human_text(time),
             simulator::text(simulator::utilization(step.trace)));
  int number = 0;
  for (const simulator::Fact& fact : out.facts) {
    fmt::print("\n{}. {}\n", ++number, fact.text);
    for (const std::string& hint : fact.hints) fmt::print("     try {}\n", hint);
  }
  fmt::print("\n{}", simulator::text(step.analysis.path));
  if (!out.spans.empty()) {
    fmt::print("\ntasks whose time matters most, and what the step would save without them\n");
    for (const ExplainSpan& span : out.spans)
      fmt::print("  {:>9} of {:>9}  {} on {}\n", core::human_text(core::Nanoseconds(span.saves_ns)),
                 core::human_text(core::Nanoseconds(span.end_ns - span.start_ns)), span.name,
                 span.device.value);
  }
  if (!out.what_if.empty()) fmt::print("\nwhat if\n");
  for (const ExplainWhatIf& row : out.what_if) {
    if (!row.step_time_ns) {
      fmt::print("  {}\n", row.why_not);
      continue;
    }
    const double change = row.before_ns == 0
                              ? 0
                              : 100.0 * static_cast<double>(*row.step_time_ns - row.before_ns) /
                                    static_cast<double>(row.before_ns);
    fmt::print("  {}: {} instead of {} ({:+.1f} %)\n", row.words,
               core::human_text(core::Nanoseconds(*row.step_time_ns)),
               core::human_text(core::Nanoseconds(row.before_ns)), change);
  }
  for (const ExplainComparison& c : out.comparisons) {
    fmt::print("\n{}\n", c.sentence);
    const bool is_this = c.first == step.name;
    fmt::print("{}", simulator::text(c.waterfall, is_this ? "this" : c.first,
                                     is_this ? "the other" : c.second));
  }
}

core::Status explain_step(const Invocation& invocation, const Options& options) {
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster, load_cluster(options.cluster, options.strategy));
  SOAPSTONE_ASSIGN(const Costs costs, open_costs(cluster, options.costs));
  const Bench bench{invocation, options, graph, cluster, costs};
  SOAPSTONE_ASSIGN(const Step step, explained_step(bench));

  ExplainOutput out;
  out.model = graph.name();
  out.cluster = cluster.name();
  out.strategy = strategy_text(graph, *step.strategy, options.strategy);
  out.batch = graph.batch();
  out.origin = step.trace.origin;
  out.step_time_ns = step.trace.step_time.value;
  out.facts = simulator::explain(
      {graph, *step.strategy, cluster, step.plan, step.trace, step.analysis}, options.facts);
  out.path_kinds = step.analysis.path.kinds;
  out.path_operators = step.analysis.path.operators;
  out.devices = step.analysis.exposure.devices;
  out.groups = step.analysis.exposure.groups;
  out.queued_ns = step.analysis.exposure.queued.value;
  out.bubble_share = step.analysis.exposure.bubble_share();
  out.spans = worst_spans(step, options.spans);
  SOAPSTONE_ASSIGN(out.what_if, try_changes(bench, step));
  if (!options.against.empty()) {
    SOAPSTONE_ASSIGN(const Step other, other_step(bench, step));
    out.comparisons.push_back(compared(step, other, options.basis));
  }
  if (!options.ranked.empty()) SOAPSTONE_TRY(explain_ranking(bench, out.comparisons));
  if (invocation.json) return print_json(out);
  print_text(out, step);
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_cluster(app, o->cluster);
  declare_costs(app, o->costs);
  declare_strategy(app, o->strategy);
  declare_optimizer(app, o->optimizer);
  app.add_option(
         "--trace", o->trace,
         "Explain this trace of the strategy, measured or predicted, instead of predicting; "
         "also a Chrome trace of PyTorch, JAX or another program, or a folder of those of "
         "its ranks, of which is told what they show themselves")
      ->type_name(kTraceType);
  app.add_option(
         "--what-if", o->what_if,
         "Predict again with a change; may be given several times, each is tried alone: op:NAME*K, "
         "task:NAME*K (a span's name; NAME#M in one micro-batch, NAME@D on one device), "
         "device:WHICH*K (number, name, node or kind) and link:WHICH*K (nvlink, pcie, "
         "shared-memory, network, a link's name, node or device, all) are K times as fast, "
         "latency:WHICH*K is K times as long, =free instead of *K takes no time; add:node, "
         "add:device")
      ->type_name("CHANGE")
      ->allow_extra_args(false);
  app.add_option("--against", o->against,
                 "Tell the difference to another strategy, or to a trace of any")
      ->type_name("single|data-parallel|expert|FILE|FOLDER");
  app.add_option("--ranked", o->ranked,
                 "Ranked strategies: why the first is better than the second and than data "
                 "parallelism")
      ->type_name("FILE");
  declare_names(app, "--basis", o->basis,
                "How differences are told: by what devices do on average, or along the critical "
                "path");
  app.add_option("--facts", o->facts, "How many facts to tell")->capture_default_str();
  app.add_option("--spans", o->spans, "List so many tasks whose time matters most")
      ->capture_default_str();
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return explain_step(invocation, *o); };
}

}  // namespace

const Verb kExplainVerb{"explain", "Tell why a training step takes as long as it does",
                        "soapstone explain alexnet --batch 64 --cluster p100-4x4 --strategy "
                        "data-parallel --what-if link:network*2 --against expert",
                        declare};

}  // namespace soapstone::cli
