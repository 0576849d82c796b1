// soapstone report MODEL
#include <filesystem>

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
#include "core/lower.hpp"
#include "core/units.hpp"
#include "reports/report_folder.hpp"
#include "simulator/analysis/diff.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;
  CostArguments costs;
  std::string strategy = "data-parallel";
  OptimizerChoice optimizer;
  std::string ranked, predicted, measured, metrics;
  std::string out;
  reports::ColourBy colour = reports::ColourBy::kDevices;
};

core::Result<reports::ReportInput> gather(const Options& options) {
  reports::ReportInput in;
  SOAPSTONE_ASSIGN(in.graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(in.cluster, load_cluster(options.cluster, options.strategy));
  SOAPSTONE_ASSIGN(const Costs costs, open_costs(in.cluster, options.costs));
  SOAPSTONE_ASSIGN(in.strategy, load_strategy(in.graph, in.cluster, options.strategy));
  SOAPSTONE_ASSIGN(in.plan, core::lower(in.graph, in.strategy, in.cluster, *costs.catalog,
                                        options.optimizer.lower_options()));
  if (!options.ranked.empty()) {
    SOAPSTONE_ASSIGN(in.ranked, core::load_document<core::RankedStrategies>(options.ranked));
    if (const auto status = reports::check_ranked(in.graph, in.cluster, *in.ranked); !status)
      return tl::unexpected(in_file(options.ranked, status.error()));
  }
  if (!options.measured.empty()) {
    SOAPSTONE_ASSIGN(in.measured,
                     load_trace_of(in.plan, options.measured, core::TraceOrigin::kMeasured));
  }
  if (!options.metrics.empty()) {
    SOAPSTONE_ASSIGN(in.metrics, reports::load_metrics(options.metrics));
  }
  if (options.predicted.empty()) {
    SOAPSTONE_ASSIGN(in.predicted,
                     simulator::simulate(in.graph, in.plan, in.cluster, costs.model()));
  } else {
    SOAPSTONE_ASSIGN(in.predicted,
                     load_trace_of(in.plan, options.predicted, core::TraceOrigin::kPredicted));
  }
  return in;
}

core::Status report(const Invocation& invocation, const Options& options) {
  SOAPSTONE_ASSIGN(const reports::ReportInput input, gather(options));
  auto written = reports::write_report(options.out, input, options.colour);
  if (!written) {
    core::Error error = written.error();
    error.message.insert(0, "--out ");
    return tl::unexpected(std::move(error));
  }
  ReportOutput out;
  out.folder = options.out;
  for (reports::WrittenFile& f : written->files)
    out.files.push_back({std::move(f.name), std::move(f.what), f.bytes});
  out.notes = std::move(written->notes);
  out.model = input.graph.name();
  out.cluster = input.cluster.name();
  out.strategy = core::summary(input.graph, input.strategy);
  out.batch = input.graph.batch();
  out.predicted_step_time_ns = input.predicted.step_time.value;
  if (input.measured) {
    const simulator::TimePair step{input.predicted.step_time, input.measured->step_time};
    out.measured_step_time_ns = step.measured.value;
    if (step.measured.value > 0) out.step_relative_error = step.relative_error();
  }
  if (invocation.json) return print_json(out);
  fmt::print("{} with a batch of {} on {}: {}\n", out.model, out.batch, out.cluster, out.strategy);
  fmt::print("predicted step  {}\n", core::human_text(input.predicted.step_time));
  if (input.measured)
    fmt::print("measured step   {}{}\n", core::human_text(input.measured->step_time),
               out.step_relative_error ? fmt::format(", the prediction is off by {:+.1f} %",
                                                     100 * *out.step_relative_error)
                                       : "");
  std::vector<std::vector<std::string>> rows{{"file", "size", "what"}};
  for (const auto& f : out.files)
    rows.push_back({(std::filesystem::path(options.out) / f.name).string(), core::human_text(core::Bytes(f.bytes)), f.what});
  fmt::print("{}", table(rows));
  for (const auto& note : out.notes) fmt::print("{}\n", note);
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_cluster(app, o->cluster);
  declare_costs(app, o->costs);
  declare_strategy(app, o->strategy);
  declare_optimizer(app, o->optimizer);
  app.add_option("--ranked", o->ranked, "Ranked strategies of search")->type_name("FILE");
  app.add_option("--predicted", o->predicted,
                 "Trace of simulate with the same arguments; default: simulated now")
      ->type_name("FILE");
  app.add_option("--measured", o->measured, "Trace of train with the same strategy")
      ->type_name("FILE");
  app.add_option("--metrics", o->metrics, "Metrics of the training")->type_name("FILE");
  app.add_option("--out", o->out, "Folder for the report; made where there is none")
      ->type_name("FOLDER")
      ->required();
  declare_names(app, "--colour", o->colour,
                "What the colours of the graph say: devices | time | memory | bytes");
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return report(invocation, *o); };
}

}  // namespace

const Verb kReportVerb{"report", "Write pages, pictures and tables about a strategy",
                       "soapstone report alexnet --batch 64 --cluster p100-4x4 --strategy "
                       "data-parallel --out report",
                       declare};

}  // namespace soapstone::cli
