// soapstone diff PREDICTED MEASURED
#include "simulator/analysis/diff.hpp"

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"
#include "cli/summary.hpp"
#include "core/document.hpp"
#include "core/file.hpp"
#include "core/trace.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  std::string predicted, measured;
  std::size_t rows = 20;
  SummaryInputs summary;
  std::string markdown;
};

core::Status diff_traces(const Invocation& invocation, const Options& options) {
  SOAPSTONE_TRY(check_folder_of("--markdown", options.markdown));
  core::Trace traces[2];
  const std::string* files[] = {&options.predicted, &options.measured};
  for (int i = 0; i < 2; ++i) {
    SOAPSTONE_ASSIGN(traces[i], core::load_document<core::Trace>(*files[i]));
    if (const auto status = core::check(traces[i]); !status)
      return core::usage_error("{}: {}", *files[i], status.error().message);
  }
  SOAPSTONE_ASSIGN(const simulator::TraceDiff diff, simulator::diff(traces[0], traces[1]));
  if (!options.markdown.empty()) {
    SOAPSTONE_ASSIGN(const std::string page, summary_page(diff, options.summary));
    SOAPSTONE_TRY(core::write_file_atomically(options.markdown, page));
  }
  if (invocation.json) return print_json(DiffOutput{diff});
  fmt::print("{}", simulator::text(diff, options.rows));
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("predicted", o->predicted, "Trace of simulate, or any trace")->required();
  app.add_option("measured", o->measured, "Trace of train, or any trace of the same model")
      ->required();
  app.add_option("--rows", o->rows, "How many operators to list")->capture_default_str();
  app.add_option("--markdown", o->markdown, "Write a summary page here");
  app.add_option("--ranked", o->summary.ranked, "Ranked strategies to put into the summary");
  app.add_option("--metrics", o->summary.metrics,
                 "Metrics of the training to put into the summary");
  return [o](const Invocation& invocation) { return diff_traces(invocation, *o); };
}

}  // namespace

const Verb kDiffVerb{"diff", "Compare two traces, such as prediction and measurement",
                     "soapstone diff predicted.json measured.json", declare};

}  // namespace soapstone::cli
