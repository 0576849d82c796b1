// What all views show as selected.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "core/quantity.hpp"
#include "core/strategy.hpp"

namespace soapstone::explorer {

struct Selection {
  std::set<std::uint32_t> ops;  // indices into the graph's operators
  std::optional<core::DeviceId> device;
  std::optional<std::size_t> span;  // of the predicted trace of the strategy that is shown
  core::Nanoseconds cursor;         // where in the step

  bool has(std::uint32_t op) const { return ops.contains(op); }
  friend bool operator==(const Selection&, const Selection&) = default;
};

}  // namespace soapstone::explorer
