#include "search/ranking.hpp"

#include <algorithm>
#include <tuple>

#include "core/units.hpp"

namespace soapstone::search {

using namespace core;

namespace {

// An amount that people read and --memory-limit takes, and that holds `least`: human_text rounds
// to the nearest.
std::string limit_text(Bytes least) {
  for (Bytes b = least;; b += Bytes(b.value / 1000 + 1))
    if (std::string text = human_text(b); parse_quantity<Bytes>(text).value() >= least) return text;
}

}  // namespace

void Ranking::keep(const Strategy& strategy, const std::string& origin) {
  for (auto& [known, origins] : kept_)
    if (known == strategy) {
      origins += ", " + origin;
      return;
    }
  kept_.emplace_back(strategy, origin);
}

void Ranking::add(const Strategy& strategy, Nanoseconds step_time, const std::string& origin) {
  if (most_ == 0 || step_time > worst()) return;
  best_.try_emplace(step_time, strategy, origin);
  if (best_.size() > most_) best_.erase(std::prev(best_.end()));
}

Nanoseconds Ranking::worst() const {
  return best_.size() < most_ ? simulator::kNever : std::prev(best_.end())->first;
}

Result<RankedStrategies> Ranking::finish(RankedStrategies out, const Problem& problem,
                                         const Space& space, Evaluator& evaluator,
                                         const std::optional<Strategy>& leanest) const {
  struct Row {
    RankedStrategy value;
    std::uint64_t number;
  };
  std::vector<Row> rows;
  const auto add_row = [&](const Strategy& strategy, const std::string& origin) {
    const auto report = evaluator.report(strategy);
    RankedStrategy r{to_document(*problem.graph, strategy),
                     report.step_time,
                     report.peak_memory,
                     static_cast<double>(problem.graph->batch()) / seconds(report.step_time),
                     origin,
                     true,
                     space.why_not(strategy)};
    if (r.why_not.empty()) r.why_not = report.why_not;
    r.feasible = r.why_not.empty();
    rows.push_back({std::move(r), rows.size()});
  };
  for (const auto& [strategy, origin] : kept_) add_row(strategy, origin);
  const std::size_t kept = rows.size();
  for (const auto& [step_time, entry] : best_) {
    const auto same = [&](const Row& row) {
      return row.value.feasible && row.value.step_time == step_time;
    };
    if (std::none_of(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(kept), same))
      add_row(entry.strategy, entry.origin);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tuple(!a.value.feasible, a.value.step_time, a.number) <
           std::tuple(!b.value.feasible, b.value.step_time, b.number);
  });
  if (rows.empty() || !rows[0].value.feasible) {
    std::vector<Strategy> candidates;
    for (const auto& [strategy, origin] : kept_) candidates.push_back(strategy);
    if (leanest) candidates.push_back(*leanest);
    std::optional<std::pair<Bytes, Strategy>> least;
    for (const Strategy& s : candidates) {
      if (!space.why_not(s).empty()) continue;
      const Bytes needed = evaluator.report(s).peak_memory;
      if (!least || needed < least->first) least = {needed, s};
    }
    if (!least)
      return refuse(
          "no strategy that keeps to the pins was looked at: give the search a larger budget");
    return refuse(
        "memory limit {}: no strategy was found that needs so little on every device; the least "
        "that would do is {} per device ({})",
        problem.memory_limit ? human_text(*problem.memory_limit) : std::string("of the devices"),
        limit_text(least->first), summary(*problem.graph, least->second));
  }
  for (Row& row : rows) out.strategies.push_back(std::move(row.value));
  return out;
}

RankedStrategies describe(const Problem& problem, std::string searcher, std::uint64_t seed) {
  RankedStrategies out;
  out.graph = problem.graph->name();
  out.graph_hash = hex(problem.graph->hash());
  out.cluster = problem.cluster->name();
  out.batch = problem.graph->batch();
  out.searcher = std::move(searcher);
  out.seed = seed;
  out.memory_limit = problem.memory_limit;
  return out;
}

}  // namespace soapstone::search
