#include "cli/summary.hpp"

#include <map>
#include <optional>
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
  std::string out = fmt::format(
      "## Strategies\n\n{} looked at by {} on {}.\n\n| # | predicted step | samples/s | memory | "
      "origin |\n|---|---|---|---|---|\n",
      ranked.proposals, ranked.searcher, ranked.cluster);
  for (std::size_t i = 0; i < ranked.strategies.size(); ++i) {
    const auto& s = ranked.strategies[i];
    out += fmt::format("| {} | {} | {:.4g} | {} | {} |\n", i + 1, core::human_text(s.step_time),
                       s.samples_per_second, core::human_text(s.peak_memory), s.origin);
  }
  return out + "\n";
}

core::Result<std::string> training(const std::string& file) {
  SOAPSTONE_ASSIGN(const std::string text, core::read_file(file));
  // Losses are null where they are no number, and not every graph counts right answers.
  struct Epoch {
    std::optional<double> loss, samples_per_second;  // of its last step
    std::optional<double> test_loss, test_accuracy;
  };
  std::map<std::int64_t, Epoch> epochs;
  std::istringstream lines(text);
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    const auto value = [&](const char* key) {
      const auto found = entry.find(key);
      return found != entry.end() && found->is_number() ? std::optional(found->get<double>())
                                                        : std::nullopt;
    };
    const std::string kind =
        entry.is_object() && entry.contains("kind") && entry["kind"].is_string()
            ? entry["kind"].get<std::string>()
            : "";
    if ((kind != "step" && kind != "evaluation") || !value("epoch"))
      return core::usage_error(
          "{}:{}: accepted: a JSON object with the keys `kind` (`step` or `evaluation`) and "
          "`epoch`, as train --metrics writes it",
          file, number);
    Epoch& epoch = epochs[static_cast<std::int64_t>(*value("epoch"))];
    if (kind == "step") {
      epoch.loss = value("loss");
      epoch.samples_per_second = value("samples_per_second");
    } else {
      epoch.test_loss = value("loss");
      epoch.test_accuracy = value("accuracy");
    }
  }
  const auto cell = [](std::optional<double> value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : std::string("–");
  };
  std::string out =
      "## Training\n\n| epoch | loss | test loss | test accuracy | samples/s "
      "|\n|---|---|---|---|---|\n";
  for (const auto& [index, e] : epochs)
    out += fmt::format("| {} | {} | {} | {} | {} |\n", index + 1, cell(e.loss, 4),
                       cell(e.test_loss, 4),
                       e.test_accuracy ? fmt::format("{:.2f} %", 100 * *e.test_accuracy) : "–",
                       cell(e.samples_per_second, 0));
  return out + "\n";
}

}  // namespace

core::Result<std::string> summary_page(const simulator::TraceDiff& diff,
                                       const SummaryInputs& inputs) {
  std::string page = fmt::format("# {}\n\n", diff.graph);
  if (!inputs.ranked.empty()) {
    SOAPSTONE_ASSIGN(const std::string part, strategies(inputs.ranked));
    page += part;
  }
  page += fmt::format(
      "## Prediction and measurement\n\nPredicted step {}, measured {}: {:+.1f} %.\n\n| kind | "
      "predicted busy | measured busy | error | predicted waiting | measured waiting "
      "|\n|---|---|---|---|---|---|\n",
      core::human_text(diff.step.predicted), core::human_text(diff.step.measured),
      100 * diff.step_relative_error);
  for (const auto& row : diff.kinds)
    page += fmt::format("| {} | {} | {} | {:+.1f} % | {} | {} |\n", row.name,
                        core::human_text(row.busy.predicted), core::human_text(row.busy.measured),
                        100 * row.busy.relative_error(), core::human_text(row.waiting.predicted),
                        core::human_text(row.waiting.measured));
  page += "\n";
  if (!inputs.metrics.empty()) {
    SOAPSTONE_ASSIGN(const std::string part, training(inputs.metrics));
    page += part;
  }
  return page;
}

}  // namespace soapstone::cli
