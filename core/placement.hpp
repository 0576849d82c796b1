// When the buffers of a program live. place_buffers (core/plan.hpp) gives them their offsets by it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/plan.hpp"

namespace soapstone::core {

// Everything gets bytes in multiples of this.
constexpr Bytes aligned_size(Bytes bytes) { return Bytes((bytes.value + 63) / 64 * 64); }

// From the start of the first task that uses a buffer to the end of the last, in the places of the
// computing tasks: the n-th starts at 2n - 1 and ends at 2n. What runs beside computing starts, at
// the earliest, when the last computing task that it waits for has ended, and has ended, at the
// latest, when the first that waits for it starts.
struct Lifetime {
  bool always = false;
  std::int64_t start = INT64_MAX, end = 0;  // never used: as long as nothing
};
// Per buffer. What parts of a buffer use counts for the whole; the parts have none.
std::vector<Lifetime> lifetimes(const DeviceClass& program);

}  // namespace soapstone::core
