// The best strategies that a search has met.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/ranked_strategies.hpp"
#include "core/result.hpp"
#include "search/evaluator.hpp"
#include "search/space.hpp"

namespace soapstone::search {

class Ranking {
 public:
  explicit Ranking(std::size_t most) : most_(most) {}

  // For comparison: listed in any case. A strategy that is kept already gets a second origin.
  void keep(const core::Strategy& strategy, const std::string& origin);
  // Feasible ones only; a strategy that is known already is not added again.
  void add(const core::Strategy& strategy, core::Nanoseconds step_time, const std::string& origin);

  // The step time beyond which `add` has no effect.
  core::Nanoseconds worst() const;

  // Fills `out.strategies`. Where none is feasible: an error with the least
  // memory that would do, of those kept and of `leanest`.
  core::Result<core::RankedStrategies> finish(core::RankedStrategies out, const Problem& problem,
                                              const Space& space, Evaluator& evaluator,
                                              const std::optional<core::Strategy>& leanest) const;

 private:
  struct Entry {
    core::Nanoseconds step_time;
    std::uint64_t number = 0;  // in order of arrival
    core::Strategy strategy;
    std::string origin;
    friend bool operator<(const Entry& a, const Entry& b) {
      return std::pair(a.step_time, a.number) < std::pair(b.step_time, b.number);
    }
  };
  std::size_t most_;
  std::uint64_t arrived_ = 0;
  std::set<Entry> best_;
  std::set<std::uint64_t> known_;  // hashes of the strategies in best_
  std::vector<std::pair<core::Strategy, std::string>> kept_;
};

// The head of a result.
core::RankedStrategies describe(const Problem& problem, std::string searcher, std::uint64_t seed);

}  // namespace soapstone::search
