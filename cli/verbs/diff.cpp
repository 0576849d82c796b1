// soapstone diff PREDICTED MEASURED
#include "simulator/analysis/diff.hpp"

#include <optional>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "cli/traces.hpp"
#include "core/document.hpp"
#include "core/file.hpp"
#include "reports/summary.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  std::string predicted, measured;
  ModelArguments model;  // of foreign traces; no name: none
  std::size_t rows = 20;
  std::string ranked, metrics;  // for the summary page
  std::string markdown;
};

core::Status write_summary(const simulator::TraceDiff& diff, const Options& options) {
  std::optional<core::RankedStrategies> ranked;
  std::optional<reports::TrainingMetrics> metrics;
  if (!options.ranked.empty()) {
    SOAPSTONE_ASSIGN(ranked, core::load_document<core::RankedStrategies>(options.ranked));
  }
  if (!options.metrics.empty()) {
    SOAPSTONE_ASSIGN(metrics, reports::load_metrics(options.metrics));
  }
  return core::write_file_atomically(
      options.markdown,
      reports::summary_page(diff, ranked ? &*ranked : nullptr, metrics ? &*metrics : nullptr));
}

core::Status diff_traces(const Invocation& invocation, const Options& options) {
  SOAPSTONE_TRY(check_folder_of("--markdown", options.markdown));
  std::optional<core::Graph> graph;
  if (!options.model.name.empty()) {
    SOAPSTONE_ASSIGN(graph, build_graph(options.model));
  }
  importers::OpenedTrace traces[2];
  const std::string* files[] = {&options.predicted, &options.measured};
  for (int i = 0; i < 2; ++i) {
    SOAPSTONE_ASSIGN(traces[i], open_trace(invocation, *files[i], graph ? &*graph : nullptr));
  }
  // A foreign trace without a model is taken for one of what it is compared with.
  for (int i = 0; i < 2; ++i)
    if (traces[i].is_foreign && !graph) traces[i].trace.graph = traces[1 - i].trace.graph;
  SOAPSTONE_ASSIGN(simulator::TraceDiff diff, simulator::diff(traces[0].trace, traces[1].trace));
  if (!diff.same_plan && (traces[0].is_foreign || traces[1].is_foreign))
    diff.difference = traces[0].is_foreign && traces[1].is_foreign
                          ? "different sequences of tasks"
                          : "no plan in common, since one is of another framework";
  if (!options.markdown.empty()) SOAPSTONE_TRY(write_summary(diff, options));
  if (invocation.json) return print_json(DiffOutput{diff});
  fmt::print("{}", simulator::text(diff, options.rows));
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("predicted", o->predicted,
                 "Trace of simulate, or any other; also a Chrome trace of PyTorch, JAX or another "
                 "program, or a folder of those of its ranks")
      ->type_name(kTraceType)
      ->required();
  app.add_option("measured", o->measured,
                 "Trace of train, or any other of the same model; the first is told relative to it")
      ->type_name(kTraceType)
      ->required();
  app.add_option("--model", o->model.name,
                 "Model whose operators spans of a Chrome trace are mapped to, by name or by kind "
                 "and order: of the zoo, a graph document, or a Hugging Face config.json")
      ->type_name("MODEL|FILE");
  app.add_option("--rows", o->rows, "How many operators to list")->capture_default_str();
  app.add_option("--markdown", o->markdown, "Write a summary page here")->type_name("FILE");
  app.add_option("--ranked", o->ranked, "Ranked strategies to put into the summary")
      ->type_name("FILE");
  app.add_option("--metrics", o->metrics, "Metrics of the training to put into the summary")
      ->type_name("FILE");
  return [o](const Invocation& invocation) { return diff_traces(invocation, *o); };
}

}  // namespace

const Verb kDiffVerb{"diff", "Compare two traces, such as prediction and measurement",
                     "soapstone diff predicted.json measured.json", declare};

}  // namespace soapstone::cli
