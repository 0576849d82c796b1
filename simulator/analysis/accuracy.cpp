#include "simulator/analysis/accuracy.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/assert.hpp"

namespace soapstone::simulator {

using namespace core;

Accuracy accuracy(std::span<const StrategyTimes> times) {
  constexpr double kApart = 1.15;
  Accuracy out;
  out.strategies = static_cast<std::int64_t>(times.size());
  if (times.empty()) return out;
  const auto value = [](Nanoseconds t) { return static_cast<double>(t.value); };
  double sum = 0, fastest = INFINITY, slowest = 0;
  for (const auto& t : times) {
    SOAPSTONE_ASSERT(t.measured.value > 0, "{} was measured at {} ns", t.strategy,
                     t.measured.value);
    sum += value(t.measured);
    fastest = std::min(fastest, value(t.measured));
    slowest = std::max(slowest, value(t.measured));
  }
  const double n = static_cast<double>(times.size()), mean = sum / n;
  for (const auto& t : times) {
    const double error = std::abs(value(t.predicted) - value(t.measured)) / value(t.measured);
    out.mean_error += error / n;
    out.error_of_mean += std::abs(mean - value(t.measured)) / value(t.measured) / n;
    if (error > out.worst_error || out.worst_strategy.empty()) {
      out.worst_error = error;
      out.worst_strategy = t.strategy;
    }
  }
  for (std::size_t i = 0; i < times.size(); ++i)
    for (std::size_t j = 0; j < times.size(); ++j) {
      if (value(times[j].measured) <= kApart * value(times[i].measured)) continue;
      ++out.pairs_apart;
      if (times[i].predicted < times[j].predicted) ++out.pairs_in_order;
    }
  out.spread = slowest / fastest;
  return out;
}

std::string text(const Accuracy& a) {
  return fmt::format(
      "{} strategies, slowest {:.2f} times the fastest: mean error {:.1f} %, worst {:.1f} % ({}); "
      "always predicting the mean: {:.1f} %\n"
      "{} of {} pairs more than 15 % apart are predicted in order\n",
      a.strategies, a.spread, a.mean_error * 100, a.worst_error * 100, a.worst_strategy,
      a.error_of_mean * 100, a.pairs_in_order, a.pairs_apart);
}

}  // namespace soapstone::simulator
