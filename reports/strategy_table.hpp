// Ranked strategies as a table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/ranked_strategies.hpp"

namespace soapstone::reports {

struct StrategyRow {
  std::int64_t rank = 1;
  core::Nanoseconds step_time;
  double samples_per_second = 0;
  core::Bytes peak_memory;
  std::string origin;
  bool feasible = true;
  std::string why_not;
  std::string strategy;   // in short, as core::summary
  bool is_shown = false;  // the one that the report is about

  friend bool operator==(const StrategyRow&, const StrategyRow&) = default;
};

// The strategies are ones that check_ranked accepts.
std::vector<StrategyRow> strategy_table(const core::Graph& graph,
                                        const core::RankedStrategies& ranked,
                                        const core::Strategy& shown);

}  // namespace soapstone::reports
