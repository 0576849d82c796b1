// The page that stands at the end of a run: strategies, prediction beside measurement, training.
#pragma once

#include <string>

#include "reports/report_input.hpp"
#include "simulator/analysis/diff.hpp"

namespace soapstone::reports {

// Markdown. Parts whose input is null are left out.
std::string summary_page(const simulator::TraceDiff& diff, const core::RankedStrategies* ranked,
                         const TrainingMetrics* metrics);

// The same for a report; where nothing was measured the prediction stands alone.
std::string summary_page(const ReportInput& input);

}  // namespace soapstone::reports
