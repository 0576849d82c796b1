// The page that stands at the end of a run: strategies, prediction beside measurement, training.
#pragma once

#include <string>

#include "core/result.hpp"
#include "simulator/analysis/diff.hpp"

namespace soapstone::cli {

struct SummaryInputs {
  std::string ranked;   // file of ranked strategies, or empty
  std::string metrics;  // JSON lines of a training, or empty
};
// Markdown.
core::Result<std::string> summary_page(const simulator::TraceDiff& diff,
                                       const SummaryInputs& inputs);

}  // namespace soapstone::cli
