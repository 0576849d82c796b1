// How far the clocks of ranks are apart, from the collectives that they take part in together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/quantity.hpp"
#include "core/reflect.hpp"

namespace soapstone::importers {

// A collective on one rank, by that rank's clock.
struct Occurrence {
  std::uint64_t key = 0;  // the same on all of its ranks, and of no other collective
  core::Nanoseconds begin, end;

  friend bool operator==(const Occurrence&, const Occurrence&) = default;
};

struct ClockOffset {
  // The rank, by its place in the list, whose clock this one is set to: the first of those that
  // it is connected with. Itself: it is the first, or shares no collective with any other.
  std::uint32_t reference = 0;
  core::Nanoseconds offset;         // this clock − that one
  std::uint32_t collectives = 0;    // that the offset is the median of
  core::Nanoseconds median_spread;  // of how far single collectives are off the offset
  core::Nanoseconds largest_spread;

  friend bool operator==(const ClockOffset&, const ClockOffset&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("reference", self.reference);
    visit("offset_ns", self.offset);
    visit("collectives", self.collectives);
    visit("median_spread_ns", self.median_spread);
    visit("largest_spread_ns", self.largest_spread);
  }
};

// A collective that moves data between all of its ranks ends on all of them at nearly the same
// time. So the clocks of two ranks differ by the median of the differences of ends. Each group is
// a star around its first rank; of these edges a tree is kept, of as many collectives as possible,
// and offsets add up along it. Every rank's times may come in any order.
std::vector<ClockOffset> clock_offsets(std::span<const std::vector<Occurrence>> ranks);

}  // namespace soapstone::importers
