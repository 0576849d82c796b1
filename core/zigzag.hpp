// The zig-zag (head-tail) order of a sequence, in which context-parallel ranks have equally much to
// do under a causal mask: c ranks cut the sequence into n = 2c chunks, which stand in the order
//   0, n-1, 1, n-2, …
// so that rank r's interval of it is chunks r and n-1-r, one of the beginning and one of the end
// (arXiv 2411.01783; `headtail` in torchtitan).
//
// An index says where an element stands, a position where it would stand in order. With 0 chunks
// the two are the same.
#pragma once

#include <cstdint>
#include <vector>

#include "core/result.hpp"
#include "core/shape.hpp"

namespace soapstone::core {

// Errors unless there are no chunks, or an even number of them that divides the extent.
Status check_zigzag(std::int64_t extent, std::int64_t chunks);

constexpr std::int64_t zigzag_position(std::int64_t index, std::int64_t extent,
                                       std::int64_t chunks) {
  if (chunks == 0) return index;
  const std::int64_t length = extent / chunks, place = index / length;
  const std::int64_t chunk = place % 2 == 0 ? place / 2 : chunks - 1 - place / 2;
  return chunk * length + index % length;
}

constexpr std::int64_t zigzag_index(std::int64_t position, std::int64_t extent,
                                    std::int64_t chunks) {
  if (chunks == 0) return position;
  const std::int64_t length = extent / chunks, chunk = position / length;
  const std::int64_t place = chunk < chunks / 2 ? 2 * chunk : 2 * (chunks - 1 - chunk) + 1;
  return place * length + position % length;
}

// Indices whose positions follow each other.
struct Run {
  Interval indices;
  std::int64_t position = 0;  // of the first

  std::int64_t position_of(std::int64_t index) const { return position + index - indices.begin; }
  friend bool operator==(const Run&, const Run&) = default;
};
// The longest run with which a part begins that is not empty. Takes no memory.
Run first_zigzag_run(const Interval& part, std::int64_t extent, std::int64_t chunks);
// A part of a sequence as few runs, in the order of their indices; none if it is empty.
std::vector<Run> zigzag_runs(const Interval& part, std::int64_t extent, std::int64_t chunks);

}  // namespace soapstone::core
