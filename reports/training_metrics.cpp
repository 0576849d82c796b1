#include "reports/training_metrics.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/file.hpp"

namespace soapstone::reports {

namespace {

// Numbers of a line that say nothing about how good the answers are.
constexpr std::string_view kOtherKeys[] = {
    "step", "epoch", "samples", "loss", "samples_per_second", "learning_rate", "gradient_norm"};

}  // namespace

std::vector<std::string> TrainingMetrics::names() const {
  std::set<std::string> all;
  for (const auto& s : steps)
    for (const auto& [name, value] : s.metrics) all.insert(name);
  for (const auto& e : evaluations)
    for (const auto& [name, value] : e.metrics) all.insert(name);
  return {all.begin(), all.end()};
}

std::string metric_text(const std::string& name, double value) {
  return name.ends_with("accuracy") ? fmt::format("{:.2f} %", 100 * value)
                                    : fmt::format("{:.4g}", value);
}

core::Result<TrainingMetrics> metrics_from_text(std::string_view text, const std::string& name) {
  TrainingMetrics out;
  std::int64_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
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
          name, number);
    std::map<std::string, double> metrics;
    for (const auto& [key, held] : entry.items())
      if (held.is_number() && !key.ends_with("_error") &&
          std::find(std::begin(kOtherKeys), std::end(kOtherKeys), key) == std::end(kOtherKeys))
        metrics[key] = held.get<double>();
    const auto epoch = static_cast<std::int64_t>(*value("epoch"));
    const std::optional<double> step = value("step");
    if (kind == "step") {
      const auto next = static_cast<double>(out.steps.empty() ? 1 : out.steps.back().step + 1);
      out.steps.push_back({static_cast<std::int64_t>(step.value_or(next)), epoch, value("loss"),
                           value("samples_per_second"), std::move(metrics)});
    } else {
      const auto last = static_cast<double>(out.steps.empty() ? 0 : out.steps.back().step);
      out.evaluations.push_back({static_cast<std::int64_t>(step.value_or(last)), epoch,
                                 value("loss"), std::move(metrics)});
    }
  }
  return out;
}

core::Result<TrainingMetrics> load_metrics(const std::string& file) {
  SOAPSTONE_ASSIGN(const std::string text, core::read_file(file));
  return metrics_from_text(text, file);
}

}  // namespace soapstone::reports
