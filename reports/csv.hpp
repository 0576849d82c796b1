// Tables for spreadsheets, as RFC 4180 has them (with plain line ends). Times in nanoseconds.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "reports/op_table.hpp"
#include "reports/strategy_table.hpp"

namespace soapstone::reports {

// A cell, in quotes where it holds a comma, a quote or a line end.
std::string csv_cell(std::string_view text);

// Empty rows are left out; cells of what was not measured stay empty.
std::string ops_csv(std::span<const OpRow> rows);

std::string strategies_csv(std::span<const StrategyRow> rows);

}  // namespace soapstone::reports
