// What all views show as selected.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/quantity.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"

namespace soapstone::explorer {

// Spans of one trace, ascending.
struct MarkedSpans {
  std::shared_ptr<const core::Trace> trace;
  std::vector<std::uint32_t> spans;

  friend bool operator==(const MarkedSpans&, const MarkedSpans&) = default;
};

struct Selection {
  std::set<std::uint32_t> ops;  // indices into the graph's operators
  std::optional<core::DeviceId> device;
  std::optional<std::size_t> span;  // of the predicted trace of the strategy that is shown
  std::vector<MarkedSpans> marked;  // many at once, as a bar of a waterfall has them
  core::Nanoseconds cursor;         // where in the step

  bool has(std::uint32_t op) const { return ops.contains(op); }
  friend bool operator==(const Selection&, const Selection&) = default;
};

}  // namespace soapstone::explorer
