#include "search/clock.hpp"

#include <algorithm>

namespace soapstone::search {

namespace {
constexpr std::chrono::milliseconds kBetweenReports{100};
}

SearchClock::SearchClock(const Budget& budget, const Progress& progress)
    : timed_(std::holds_alternative<std::chrono::nanoseconds>(budget.amount)),
      budget_(timed_ ? std::get<std::chrono::nanoseconds>(budget.amount).count()
                     : std::get<std::int64_t>(budget.amount)),
      progress_(progress) {}

std::int64_t SearchClock::used() const { return timed_ ? elapsed().count() : proposals_; }

bool SearchClock::over() const { return cancelled_ || used() >= budget_; }

void SearchClock::begin_share(std::size_t shares) {
  const std::int64_t now = used();
  const std::int64_t share =
      std::max<std::int64_t>(0, budget_ - now) / static_cast<std::int64_t>(shares);
  share_end_ = now + share;
  half_share_ = (share + 1) / 2;
  last_improvement_ = now;
}

void SearchClock::improved() { last_improvement_ = used(); }

bool SearchClock::next_of_share() {
  const std::int64_t now = used();
  if (cancelled_ || now >= share_end_ || now - last_improvement_ >= half_share_) return false;
  return report();
}

bool SearchClock::next() {
  if (over()) return false;
  return report();
}

bool SearchClock::report() {
  ++proposals_;
  if (!progress_) return true;
  const auto now = elapsed();
  if (now < next_report_) return true;
  next_report_ = now + kBetweenReports;
  const auto asked = std::chrono::steady_clock::now();
  cancelled_ = !progress_(
      {proposals_, best_, now,
       budget_ > 0 ? std::min(1.0, static_cast<double>(used()) / static_cast<double>(budget_))
                   : 1.0});
  // While a person pauses the search, its time does not go on.
  began_ += std::chrono::steady_clock::now() - asked;
  return !cancelled_;
}

std::optional<core::Nanoseconds> SearchClock::elapsed_if_timed() const {
  if (!timed_) return std::nullopt;
  return core::Nanoseconds(elapsed().count());
}

}  // namespace soapstone::search
