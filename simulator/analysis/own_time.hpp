// Every moment in which a device computes, counted once.
#pragma once

#include <cstdint>
#include <vector>

#include "core/quantity.hpp"
#include "core/trace.hpp"

namespace soapstone::simulator {

// Where a device computes in several lanes at once, as streams of another framework do, a span has
// the part that no span of its device before it has: one that starts earlier, or at the same time
// and stands earlier. With one lane that is all of it. Columns have an entry per span; spans that
// run beside computing have themselves.
struct OwnTime {
  std::vector<core::Nanoseconds> start, end;
};
OwnTime own_time(const core::Trace& trace);

// Computing spans of each device, by number, in that order.
std::vector<std::vector<std::uint32_t>> computing_by_start(const core::Trace& trace);

}  // namespace soapstone::simulator
