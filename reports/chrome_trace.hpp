// Traces in the JSON form that Perfetto and chrome://tracing open.
#pragma once

#include <string>

#include "reports/report_input.hpp"

namespace soapstone::reports {

// One process per trace; one thread per device and lane. Times are microseconds with three
// decimals, so that nothing of a nanosecond is lost. Arrows lead from the member that began a
// transfer last to those that waited for it. Memory is a counter per device, by holder.
//
// Source: "Trace Event Format", the document of Chrome's tracing project (complete events X,
// metadata M, counters C, flows s and f).
std::string chrome_trace(const ReportInput& input);

}  // namespace soapstone::reports
