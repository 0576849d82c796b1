// Counts proposals and time against a budget.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/quantity.hpp"
#include "search/problem.hpp"

namespace soapstone::search {

class SearchClock {
 public:
  SearchClock(const Budget& budget, const Progress& progress);

  // What is left of the budget is divided among `shares`; the next one begins.
  void begin_share(std::size_t shares);
  // Counts a proposal; false when the share is used up, nothing improved for
  // half of it, or the search is cancelled.
  bool next_of_share();
  void improved();  // the chain that this share belongs to

  // Counts a proposal without a share; false when the budget is used up or the search is cancelled.
  bool next();

  void best(core::Nanoseconds step_time) { best_ = step_time; }
  bool over() const;
  bool cancelled() const { return cancelled_; }
  std::int64_t proposals() const { return proposals_; }
  // Nothing under a budget in proposals, whose results do not depend on time.
  std::optional<core::Nanoseconds> elapsed_if_timed() const;

 private:
  // In proposals, or in nanoseconds.
  std::int64_t used() const;
  std::chrono::nanoseconds elapsed() const { return std::chrono::steady_clock::now() - began_; }
  bool report();

  bool timed_;
  std::int64_t budget_;
  const Progress& progress_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::nanoseconds next_report_{};
  std::int64_t proposals_ = 0;
  std::int64_t share_end_ = 0, half_share_ = 0, last_improvement_ = 0;
  std::optional<core::Nanoseconds> best_;
  bool cancelled_ = false;
};

}  // namespace soapstone::search
