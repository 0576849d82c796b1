// How good predictions are over several strategies.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/quantity.hpp"

namespace soapstone::simulator {

struct StrategyTimes {
  std::string strategy;
  core::Nanoseconds predicted;
  core::Nanoseconds measured;
};

struct Accuracy {
  std::int64_t strategies = 0;
  double mean_error = 0;  // mean of |predicted - measured| / measured
  double worst_error = 0;
  std::string worst_strategy;
  double error_of_mean = 0;  // of always predicting the mean of what was measured
  std::int64_t pairs_apart =
      0;  // pairs whose measured times differ by more than 15 % of the shorter
  std::int64_t pairs_in_order = 0;  // of these: predicted in the same order
  double spread = 0;                // slowest ÷ fastest, measured

  friend bool operator==(const Accuracy&, const Accuracy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("strategies", self.strategies);
    visit("mean_error", self.mean_error);
    visit("worst_error", self.worst_error);
    visit("worst_strategy", self.worst_strategy);
    visit("error_of_mean", self.error_of_mean);
    visit("pairs_apart", self.pairs_apart);
    visit("pairs_in_order", self.pairs_in_order);
    visit("spread", self.spread);
  }
};

// Measured times are greater than 0.
Accuracy accuracy(std::span<const StrategyTimes> times);

// Two lines for people.
std::string text(const Accuracy& accuracy);

}  // namespace soapstone::simulator
