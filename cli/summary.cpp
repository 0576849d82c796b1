#include "cli/summary.hpp"

#include <sstream>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/ranked_strategies.hpp"
#include "core/units.hpp"

namespace soapstone::cli {

namespace {

core::Result<std::string> strategies(const std::string& file) {
  SOAPSTONE_ASSIGN(const auto ranked, core::load_document<core::RankedStrategies>(file));
  std::string out = fmt::format("## Strategies\n\n{} looked at by {} on {}.\n\n| # | predicted step | samples/s | memory | origin |\n|---|---|---|---|---|\n",
                                ranked.proposals, ranked.searcher, ranked.cluster);
  for (std::size_t i = 0; i < ranked.strategies.size(); ++i) {
    const auto& s = ranked.strategies[i];
    out += fmt::format("| {} | {} | {:.4g} | {} | {} |\n", i + 1, core::human_text(s.step_time), s.samples_per_second,
                       core::human_text(s.peak_memory), s.origin);
  }
  return out + "\n";
}

core::Result<std::string> training(const std::string& file) {
  SOAPSTONE_ASSIGN(const std::string text, core::read_file(file));
  std::istringstream lines(text);
  std::string out = "## Training\n\n| epoch | loss | test accuracy | samples/s |\n|---|---|---|---|\n";
  double samples_per_second = 0, loss = 0;
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object()) return core::usage_error("{}:{}: a JSON object per line is wanted", file, number);
    samples_per_second = entry.value("samples_per_second", samples_per_second);
    loss = entry.value("loss", loss);
    if (entry.contains("test_accuracy") && entry["test_accuracy"].is_number())
      out += fmt::format("| {} | {:.4f} | {:.2f} % | {:.0f} |\n", entry.value("epoch", std::int64_t{0}), loss,
                         100 * entry["test_accuracy"].get<double>(), samples_per_second);
  }
  return out + "\n";
}

}  // namespace

core::Result<std::string> summary_page(const simulator::TraceDiff& diff, const SummaryInputs& inputs) {
  std::string page = fmt::format("# {}\n\n", diff.graph);
  if (!inputs.ranked.empty()) {
    SOAPSTONE_ASSIGN(const std::string part, strategies(inputs.ranked));
    page += part;
  }
  page += fmt::format("## Prediction and measurement\n\nPredicted step {}, measured {}: {:+.1f} %.\n\n| kind | predicted busy | measured busy | error | predicted waiting | measured waiting |\n|---|---|---|---|---|---|\n",
                      core::human_text(diff.step.predicted), core::human_text(diff.step.measured), 100 * diff.step_relative_error);
  for (const auto& row : diff.kinds)
    page += fmt::format("| {} | {} | {} | {:+.1f} % | {} | {} |\n", row.name, core::human_text(row.busy.predicted),
                        core::human_text(row.busy.measured), 100 * row.busy.relative_error(), core::human_text(row.waiting.predicted),
                        core::human_text(row.waiting.measured));
  page += "\n";
  if (!inputs.metrics.empty()) {
    SOAPSTONE_ASSIGN(const std::string part, training(inputs.metrics));
    page += part;
  }
  return page;
}

}  // namespace soapstone::cli
