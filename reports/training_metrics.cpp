#include "reports/training_metrics.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/file.hpp"

namespace soapstone::reports {

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
    const auto epoch = static_cast<std::int64_t>(*value("epoch"));
    const std::optional<double> step = value("step");
    if (kind == "step") {
      const auto next = static_cast<double>(out.steps.empty() ? 1 : out.steps.back().step + 1);
      out.steps.push_back({static_cast<std::int64_t>(step.value_or(next)), epoch, value("loss"),
                           value("accuracy"), value("samples_per_second")});
    } else {
      const auto last = static_cast<double>(out.steps.empty() ? 0 : out.steps.back().step);
      out.evaluations.push_back({static_cast<std::int64_t>(step.value_or(last)), epoch,
                                 value("loss"), value("accuracy")});
    }
  }
  return out;
}

core::Result<TrainingMetrics> load_metrics(const std::string& file) {
  SOAPSTONE_ASSIGN(const std::string text, core::read_file(file));
  return metrics_from_text(text, file);
}

}  // namespace soapstone::reports
