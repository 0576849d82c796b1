// The best strategies that a search has met.
#pragma once

#include <map>
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
  // Feasible ones only. Of strategies that take the same time to the nanosecond the first stays:
  // they are mirror images, with devices renamed or height for width, and ten of them tell no more
  // than one.
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
    core::Strategy strategy;
    std::string origin;
  };
  std::size_t most_;
  std::map<core::Nanoseconds, Entry> best_;  // by step time
  std::vector<std::pair<core::Strategy, std::string>> kept_;
};

// The head of a result.
core::RankedStrategies describe(const Problem& problem, std::string searcher, std::uint64_t seed);

}  // namespace soapstone::search
