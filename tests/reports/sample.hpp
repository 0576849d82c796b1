// Reports small enough for mental arithmetic.
#pragma once

#include "reports/report_input.hpp"

namespace soapstone::reports {

// mlp, data-parallel on two devices: 10 ms per step of an operator, 1 ms per message and per
// update. With a second lane transfers run beside.
ReportInput sample(int lanes = 1);
// The same with a measured trace: 8 ms per step of an operator, 2 ms per message, 1 ms per update.
ReportInput measured_sample();

// The report of any graph and strategy under the costs of sample().
ReportInput report_of(core::Graph graph, core::Strategy strategy, const core::Cluster& cluster);

// `layers` blocks of linear, relu and a residual add: operators in, then layer0_fc, layer0_relu,
// layer0_add, …, then out and loss.
core::Graph layered(int layers);

// Two strategies for the sample; the first is the one it is about.
core::RankedStrategies ranked_sample(const ReportInput& input);

// Entries of `text` in `in`.
std::size_t count(std::string_view in, std::string_view text);

}  // namespace soapstone::reports
