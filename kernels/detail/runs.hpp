// Runs of elements brought side by side, for functions that are compiled as one plain loop each.
#pragma once

#include <algorithm>
#include <cstdint>

namespace soapstone::kernels::detail {

// Elements taken at a time where they do not lie side by side: buffers of so many fit on the stack
// and in the nearest cache.
inline constexpr std::int64_t kPiece = 256;

// `from` where its elements lie side by side (step 1), else `buffer`, to which they are copied.
template <class T>
const T* side_by_side(const T* from, std::int64_t step, std::int64_t count, T* buffer) {
  if (step == 1) return from;
  if (step == 0)
    std::fill_n(buffer, count, *from);
  else
    for (std::int64_t j = 0; j < count; ++j) buffer[j] = from[j * step];
  return buffer;
}

// body(first, count) for the pieces of a run: one where `contiguous`.
template <class Body>
void for_pieces(std::int64_t count, bool contiguous, const Body& body) {
  if (contiguous) return body(std::int64_t{0}, count);
  for (std::int64_t first = 0; first < count; first += kPiece)
    body(first, std::min(kPiece, count - first));
}

// write(target) fills `count` elements that lie side by side; they go to `to`, `step` apart.
template <class T, class Write>
void write_run(T* to, std::int64_t step, std::int64_t count, T* buffer, const Write& write) {
  if (step == 1) return write(to);
  write(buffer);
  for (std::int64_t j = 0; j < count; ++j) to[j * step] = buffer[j];
}

}  // namespace soapstone::kernels::detail
