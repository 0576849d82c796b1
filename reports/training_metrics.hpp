// What a training wrote while it ran.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace soapstone::reports {

// Losses are none where they were no number; `metrics` by name: accuracy, perplexity, …
// (core/metric.hpp).
struct StepMetrics {
  std::int64_t step = 0;   // from 1
  std::int64_t epoch = 0;  // from 0
  std::optional<double> loss, samples_per_second;
  std::map<std::string, double> metrics;

  friend bool operator==(const StepMetrics&, const StepMetrics&) = default;
};

// Over the test data, after a step.
struct EvaluationMetrics {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::optional<double> loss;
  std::map<std::string, double> metrics;

  friend bool operator==(const EvaluationMetrics&, const EvaluationMetrics&) = default;
};

struct TrainingMetrics {
  std::vector<StepMetrics> steps;
  std::vector<EvaluationMetrics> evaluations;

  std::vector<std::string> names() const;  // of all metrics, ascending
  friend bool operator==(const TrainingMetrics&, const TrainingMetrics&) = default;
};

// From the JSON lines of train --metrics. `name` stands for the file in errors.
core::Result<TrainingMetrics> metrics_from_text(std::string_view text, const std::string& name);
core::Result<TrainingMetrics> load_metrics(const std::string& file);

// As people read it: shares in percent.
std::string metric_text(const std::string& name, double value);

}  // namespace soapstone::reports
