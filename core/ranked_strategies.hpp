// The answer of a search.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.hpp"
#include "core/quantity.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {

struct RankedStrategy {
  StrategyDocument strategy;
  Nanoseconds step_time;  // predicted
  Bytes peak_memory;      // predicted, of the device that needs most
  double samples_per_second = 0;
  std::string origin;    // "data-parallel", "expert", "mcmc from expert", "exhaustive", …
  bool feasible = true;  // keeps to the pins and to the memory limit
  std::string why_not;   // where it is not feasible, as a sentence

  friend bool operator==(const RankedStrategy&, const RankedStrategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("strategy", self.strategy);
    visit("step_time_ns", self.step_time);
    visit("peak_memory_bytes", self.peak_memory);
    visit("samples_per_second", self.samples_per_second);
    visit("origin", self.origin);
    visit("feasible", self.feasible, kOptional);
    visit("why_not", self.why_not, kOptional);
  }
};

// The best feasible step time from proposal number `proposals` on.
struct BestSoFar {
  std::int64_t proposals = 0;
  Nanoseconds step_time;
  std::optional<Nanoseconds> elapsed;  // searches with a budget in time

  friend bool operator==(const BestSoFar&, const BestSoFar&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("proposals", self.proposals);
    visit("step_time_ns", self.step_time);
    visit("elapsed_ns", self.elapsed, kOptional);
  }
};

// Feasible strategies first, then by step time. A search with a budget in
// proposals gives the same bytes whenever it is repeated with the same seed.
struct RankedStrategies {
  static constexpr std::string_view kFormat = "soapstone.ranked";
  static constexpr int kVersion = 1;
  std::string graph;
  std::string graph_hash;  // hexadecimal
  std::string cluster;
  std::int64_t batch = 0;  // samples per step
  std::string searcher;
  std::uint64_t seed = 0;
  std::int64_t proposals = 0;  // strategies looked at
  bool cancelled = false;
  std::optional<Bytes> memory_limit;   // per device; none: what each device has
  std::optional<Nanoseconds> elapsed;  // searches with a budget in time
  std::vector<RankedStrategy> strategies;
  std::vector<BestSoFar> curve;

  friend bool operator==(const RankedStrategies&, const RankedStrategies&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("graph_hash", self.graph_hash);
    visit("cluster", self.cluster);
    visit("batch", self.batch);
    visit("searcher", self.searcher);
    visit("seed", self.seed);
    visit("proposals", self.proposals);
    visit("cancelled", self.cancelled, kOptional);
    visit("memory_limit_bytes", self.memory_limit, kOptional);
    visit("elapsed_ns", self.elapsed, kOptional);
    visit("strategies", self.strategies);
    visit("curve", self.curve);
  }
};

}  // namespace soapstone::core
