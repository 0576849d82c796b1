// Equal blocks of a network, such as the layers of a transformer.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph.hpp"
#include "core/strategy.hpp"

namespace soapstone::reports {

// Operators first … first + length·count - 1 are `count` equal blocks of `length`.
struct Repeat {
  std::uint32_t first = 0;
  std::uint32_t length = 0;
  std::uint32_t count = 0;

  friend bool operator==(const Repeat&, const Repeat&) = default;
};

// Blocks are equal when their operators have equal attributes, shapes, degrees and devices and are
// connected in the same way, inside and with the block before. Among overlapping repeats those that
// fold most operators away win, then those whose blocks hand fewest tensors on. Two neighbours that
// are one operator each are no repeat.
// Ascending, without overlap.
std::vector<Repeat> find_repeats(const core::Graph& graph, const core::Strategy& strategy);

}  // namespace soapstone::reports
