#include "reports/csv.hpp"

#include <fmt/core.h>

namespace soapstone::reports {

using namespace core;

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

namespace {

std::string error_cell(Nanoseconds predicted, std::optional<Nanoseconds> measured) {
  const auto error = relative_error(predicted, measured);
  return error ? fmt::format("{:.6g}", *error) : "";
}

}  // namespace

std::string ops_csv(std::span<const OpRow> rows) {
  std::string out =
      "operator,kind,split,devices,predicted_compute_ns,measured_compute_ns,compute_error,"
      "predicted_transfer_ns,measured_transfer_ns,transfer_error,predicted_update_ns,"
      "measured_update_ns,update_error,moved_bytes,memory_bytes,cost_source\n";
  for (const OpRow& row : rows) {
    if (row.is_empty()) continue;
    out += fmt::format("{},{},{},{}", csv_cell(row.name), csv_cell(row.kind), csv_cell(row.split),
                       csv_cell(row.devices));
    for (const auto part : {&WorkTimes::compute, &WorkTimes::transfer, &WorkTimes::update}) {
      const Nanoseconds predicted = row.predicted.*part;
      const auto measured =
          row.measured ? std::optional(*row.measured.*part) : std::optional<Nanoseconds>();
      out +=
          fmt::format(",{},{},{}", predicted.value, measured ? std::to_string(measured->value) : "",
                      error_cell(predicted, measured));
    }
    out += fmt::format(",{},{},{}\n", row.moved.value, row.memory.value, csv_cell(row.source));
  }
  return out;
}

std::string strategies_csv(std::span<const StrategyRow> rows) {
  std::string out =
      "rank,step_time_ns,samples_per_second,peak_memory_bytes,origin,feasible,why_not,strategy\n";
  for (const StrategyRow& row : rows)
    out += fmt::format("{},{},{:.6g},{},{},{},{},{}\n", row.rank, row.step_time.value,
                       row.samples_per_second, row.peak_memory.value, csv_cell(row.origin),
                       row.feasible ? "yes" : "no", csv_cell(row.why_not), csv_cell(row.strategy));
  return out;
}

}  // namespace soapstone::reports
