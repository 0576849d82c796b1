#include "core/metric.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/core.h>

namespace soapstone::core {

MetricValue metric_value(std::string name, MetricKind kind, std::span<const double> value,
                         std::span<const double> over) {
  MetricValue out{std::move(name), kind, std::numeric_limits<double>::quiet_NaN(), 0};
  switch (kind) {
    case MetricKind::kShare:
      if (over[0] > 0) out.value = value[0] / over[0];
      break;
    case MetricKind::kExpOfMean:
      if (over[0] > 0) out.value = std::exp(value[0] / over[0]);
      break;
    case MetricKind::kAreaUnderCurve: {
      const std::size_t bins = value.size() / 2;
      double below[2] = {};  // answers of either class so far
      double ahead = 0, together = 0;
      for (std::size_t b = 0; b < bins; ++b) {
        const double negative = value[b], positive = value[bins + b];
        ahead += positive * below[0];
        together += positive * negative;
        below[0] += negative;
        below[1] += positive;
      }
      const double pairs = below[0] * below[1];
      if (pairs == 0) break;
      out.value = (ahead + together / 2) / pairs;
      out.error = together / 2 / pairs;
      break;
    }
  }
  return out;
}

std::string text(const MetricValue& m) {
  std::string name = m.name;
  std::replace(name.begin(), name.end(), '_', ' ');
  if (!std::isfinite(m.value)) return name + " no number";
  switch (m.kind) {
    case MetricKind::kShare:
      return fmt::format("{} {:.2f} %", name, 100 * m.value);
    case MetricKind::kExpOfMean:
      return fmt::format("{} {:.4g}", name, m.value);
    case MetricKind::kAreaUnderCurve: {
      // As many digits as are certain.
      if (m.error < 5e-5) return fmt::format("{} {:.4f}", name, m.value);
      const int digits = std::clamp(static_cast<int>(-std::floor(std::log10(m.error))), 1, 4);
      return fmt::format("{} {:.{}f} ± {:.{}f}", name, m.value, digits, m.error, digits);
    }
  }
  return name;
}

}  // namespace soapstone::core
