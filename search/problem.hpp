// What is searched, and how far.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/cluster.hpp"
#include "core/cost_model.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/ranked_strategies.hpp"
#include "core/strategy.hpp"

namespace soapstone::search {

struct Problem {
  // All four outlive the search.
  const core::Graph* graph = nullptr;
  const core::Cluster* cluster = nullptr;
  const core::CostModel* costs = nullptr;
  const core::KernelCatalog* catalog = nullptr;

  // What an operator may be, by its name: one OpStrategy fixes it, several leave a choice.
  std::map<std::string, std::vector<core::OpStrategy>> pins{};
  // Per device; none: what each device has (a device that says 0 has no limit).
  std::optional<core::Bytes> memory_limit{};
  std::int32_t micro_batches = 1;
  core::LowerOptions lower{};  // `place_memory` is set as the search needs it
};

// Errors name the pinned operator (the nearest one where there is none) and what is wrong with its
// OpStrategy.
core::Status check(const Problem& problem);

// In proposals the result follows from the seed alone; in time it does not.
struct Budget {
  std::variant<std::int64_t, std::chrono::nanoseconds> amount = std::int64_t{1000};

  static Budget proposals(std::int64_t n) { return {n}; }
  static Budget time(std::chrono::nanoseconds t) { return {t}; }
};
// "10s", "500ms", "2min" is time, a bare integer is proposals.
core::Result<Budget> parse_budget(std::string_view text);

struct ProgressReport {
  std::int64_t proposals = 0;
  std::optional<core::Nanoseconds> best;  // of a feasible strategy
  std::chrono::nanoseconds elapsed{};
  double fraction = 0;  // of the budget
};
// Called now and then from the searching thread; false cancels: the best so far is returned.
using Progress = std::function<bool(const ProgressReport&)>;

}  // namespace soapstone::search
