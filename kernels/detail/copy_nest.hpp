// Copies between two blocks that are walked together as nested loops.
#pragma once

#include <cstring>

#include "kernels/detail/nest.hpp"

namespace soapstone::kernels::detail {

// Transposes matrices: the innermost level is contiguous in `to`, level `other` in `from`. In
// blocks that read and write whole cache lines, several lines of a page at a time.
template <class T>
void transpose_nest(const Space& space, const char* label, const Nest<2>& nest, int other, T* to,
                    const T* from) {
  constexpr std::int64_t kWide = 64 / sizeof(T), kHigh = 4 * kWide;
  const std::int64_t columns = nest.extent[0], rows = nest.extent[other];
  const std::int64_t from_step = nest.stride[0][1], to_step = nest.stride[other][0];
  Nest<2> outer;
  outer.depth = 0;
  for (int k = 1; k < nest.depth; ++k) {
    if (k == other) continue;
    outer.extent[outer.depth] = nest.extent[k];
    for (int o = 0; o < 2; ++o) outer.stride[outer.depth][o] = nest.stride[k][o];
    ++outer.depth;
  }
  const std::int64_t down = (rows + kHigh - 1) / kHigh, across = (columns + kWide - 1) / kWide;
  parallel_for_chunks(
      space, label, outer.size() * down * across, 8, [=](std::int64_t begin, std::int64_t end) {
        T block[kHigh][kWide];
        for (std::int64_t t = begin; t < end; ++t) {
          const std::int64_t column = t % across * kWide, width = std::min(kWide, columns - column);
          const std::int64_t row = t / across % down * kHigh, height = std::min(kHigh, rows - row);
          std::int64_t offset[2] = {row * to_step + column, row + column * from_step};
          outer.locate(t / (across * down), 0, offset);
          T* target = to + offset[0];
          const T* source = from + offset[1];
          for (std::int64_t j = 0; j < width; ++j)
            for (std::int64_t i = 0; i < height; ++i) block[i][j] = source[j * from_step + i];
          if (width == kWide)
            for (std::int64_t i = 0; i < height; ++i)
              std::memcpy(target + i * to_step, block[i], sizeof block[i]);
          else
            for (std::int64_t i = 0; i < height; ++i)
              for (std::int64_t j = 0; j < width; ++j) target[i * to_step + j] = block[i][j];
        }
      });
}

// to = from, the operands 0 and 1 of the nest.
template <class T>
void copy_nest(const Space& space, const char* label, const Nest<2>& nest, T* to, const T* from) {
  if (nest.size() == 0) return;
  if (nest.stride[0][0] == 1 && nest.stride[0][1] != 1)
    for (int k = 1; k < nest.depth; ++k)
      if (nest.stride[k][1] == 1) return transpose_nest(space, label, nest, k, to, from);
  for_tiles(space, label, nest, [=](const Tile<2>& tile) {
    const auto& step = nest.stride[0];
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      T* t = to + tile.offset[0] + r * nest.stride[1][0];
      const T* f = from + tile.offset[1] + r * nest.stride[1][1];
      if (step[0] == 1 && step[1] == 1)
        std::memcpy(t, f, static_cast<std::size_t>(tile.count) * sizeof(T));
      else
        for (std::int64_t j = 0; j < tile.count; ++j) t[j * step[0]] = f[j * step[1]];
    }
  });
}

}  // namespace soapstone::kernels::detail
