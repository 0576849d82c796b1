// What every operator takes, predicted and measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "reports/report_input.hpp"

namespace soapstone::reports {

// Added over all devices, without waiting for other devices.
struct WorkTimes {
  core::Nanoseconds compute;   // with loading data, accumulating gradients and their norm
  core::Nanoseconds transfer;  // of outputs, of completed gradients, between an operator's steps
  core::Nanoseconds update;    // of weights

  core::Nanoseconds all() const { return compute + transfer + update; }
  friend bool operator==(const WorkTimes&, const WorkTimes&) = default;
};

struct OpRow {
  std::string name;
  std::string kind;     // "conv2d"; empty: no operator, but "data", "gradient norm", "workspace"
  std::string split;    // "n=2 o=4"
  std::string devices;  // "0-3"
  WorkTimes predicted;
  std::optional<WorkTimes> measured;
  core::Nanoseconds longest;  // predicted, on the device where it takes longest
  core::Bytes moved;          // sent from device to device in a step, by all devices
  core::Bytes memory;  // its buffers on the device where they take most, shared bytes counted twice
  std::string source;  // where the predicted times come from; "mixed": from several

  bool is_empty() const {
    return predicted.all().value == 0 && (!measured || measured->all().value == 0) &&
           memory.value == 0;
  }
  friend bool operator==(const OpRow&, const OpRow&) = default;
};

// The operators in the graph's order, then the three rows that are none.
std::vector<OpRow> op_table(const ReportInput& input);
// The same of parts; `measured` may be null.
std::vector<OpRow> op_table(const core::Graph& graph, const core::Strategy& strategy,
                            const core::Plan& plan, const core::Trace& predicted,
                            const core::Trace* measured);

// The row of op_table for every span of the trace.
std::vector<std::uint32_t> rows_of_spans(const core::Graph& graph, const core::Plan& plan,
                                         const core::Trace& trace);

// (predicted - measured) / measured; none where nothing was measured or it took no time.
std::optional<double> relative_error(core::Nanoseconds predicted,
                                     std::optional<core::Nanoseconds> measured);

}  // namespace soapstone::reports
