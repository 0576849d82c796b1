#include "reports/summary.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/core.h>

#include "core/units.hpp"

namespace soapstone::reports {

namespace {

std::string strategies(const core::RankedStrategies& ranked) {
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

std::string comparison(const simulator::TraceDiff& diff) {
  const simulator::DiffWords w = simulator::words(diff);
  std::string out = diff.first == diff.second
                        ? fmt::format("## Two traces\n\nBoth are {}. ", core::name_of(diff.first))
                        : "## Prediction and measurement\n\n";
  out += fmt::format(
      "Step: {0} {1}, {2} {3}, {4} {5:+.1f} %.\n\n| kind | {0} busy | {2} busy | {4} | {0} waiting "
      "| {2} waiting |\n|---|---|---|---|---|---|\n",
      w.first, core::human_text(diff.step.predicted), w.second,
      core::human_text(diff.step.measured), w.between, 100 * diff.step_relative_error);
  for (const auto& row : diff.kinds)
    out += fmt::format("| {} | {} | {} | {:+.1f} % | {} | {} |\n", row.name,
                       core::human_text(row.busy.predicted), core::human_text(row.busy.measured),
                       100 * row.busy.relative_error(), core::human_text(row.waiting.predicted),
                       core::human_text(row.waiting.measured));
  return out + "\n";
}

std::string prediction(const simulator::TraceDiff& diff) {
  std::string out = fmt::format(
      "## Prediction\n\nPredicted step {}.\n\n| kind | predicted busy | predicted waiting "
      "|\n|---|---|---|\n",
      core::human_text(diff.step.predicted));
  for (const auto& row : diff.kinds)
    out += fmt::format("| {} | {} | {} |\n", row.name, core::human_text(row.busy.predicted),
                       core::human_text(row.waiting.predicted));
  return out + "\n";
}

std::string training(const TrainingMetrics& metrics) {
  struct Epoch {
    std::optional<double> loss, samples_per_second;  // of its last step
    std::optional<double> test_loss;
    std::map<std::string, double> test;  // metrics of the evaluation
  };
  std::map<std::int64_t, Epoch> epochs;
  for (const StepMetrics& s : metrics.steps) {
    epochs[s.epoch].loss = s.loss;
    epochs[s.epoch].samples_per_second = s.samples_per_second;
  }
  for (const EvaluationMetrics& e : metrics.evaluations) {
    epochs[e.epoch].test_loss = e.loss;
    epochs[e.epoch].test = e.metrics;
  }
  const auto cell = [](std::optional<double> value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : std::string("–");
  };
  const auto names = metrics.names();
  std::string out = "## Training\n\n| epoch | loss | test loss |", rule = "|---|---|---|";
  for (std::string name : names) {
    std::replace(name.begin(), name.end(), '_', ' ');
    out += " test " + name + " |";
    rule += "---|";
  }
  out += " samples/s |\n" + rule + "---|\n";
  for (const auto& [index, e] : epochs) {
    out += fmt::format("| {} | {} | {} |", index + 1, cell(e.loss, 4), cell(e.test_loss, 4));
    for (const std::string& name : names) {
      const auto found = e.test.find(name);
      out += fmt::format(" {} |", found == e.test.end() ? "–" : metric_text(name, found->second));
    }
    out += fmt::format(" {} |\n", cell(e.samples_per_second, 0));
  }
  return out + "\n";
}

}  // namespace

std::string summary_page(const simulator::TraceDiff& diff, const core::RankedStrategies* ranked,
                         const TrainingMetrics* metrics) {
  std::string page = fmt::format("# {}\n\n", diff.graph);
  if (ranked != nullptr) page += strategies(*ranked);
  page += comparison(diff);
  if (metrics != nullptr) page += training(*metrics);
  return page;
}

std::string summary_page(const ReportInput& input) {
  // Of one graph: check_trace has seen to it.
  const simulator::TraceDiff diff =
      simulator::diff(input.predicted, input.measured.value_or(input.predicted)).value();
  std::string page =
      fmt::format("# {}\n\nA batch of {} on {}: {}.\n\n", input.graph.name(), input.graph.batch(),
                  input.cluster.name(), core::summary(input.graph, input.strategy));
  if (input.ranked) page += strategies(*input.ranked);
  page += input.measured ? comparison(diff) : prediction(diff);
  if (input.metrics) page += training(*input.metrics);
  return page;
}

}  // namespace soapstone::reports
