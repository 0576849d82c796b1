#include "reports/strategy_table.hpp"

namespace soapstone::reports {

using namespace core;

std::vector<StrategyRow> strategy_table(const Graph& graph, const RankedStrategies& ranked,
                                        const Strategy& shown) {
  std::vector<StrategyRow> rows;
  for (const RankedStrategy& s : ranked.strategies) {
    const Strategy strategy = from_document(graph, s.strategy).value();
    rows.push_back({.rank = static_cast<std::int64_t>(rows.size()) + 1,
                    .step_time = s.step_time,
                    .samples_per_second = s.samples_per_second,
                    .peak_memory = s.peak_memory,
                    .origin = s.origin,
                    .feasible = s.feasible,
                    .why_not = s.why_not,
                    .strategy = summary(graph, strategy),
                    .is_shown = strategy == shown});
  }
  return rows;
}

}  // namespace soapstone::reports
