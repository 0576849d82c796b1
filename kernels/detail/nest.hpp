// Several blocks walked together as nested loops, whatever the order each lies in and whatever
// dimensions some of them repeat.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/detail/space.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::kernels::detail {

// The element strides of one operand along the logical dimensions of a loop; 0 repeats it.
using Strides = core::Shape;

// Strides of a block along its own dimensions.
inline Strides strides_of(const Block& block) {
  return core::packed_strides(core::extents(block.box), block.order);
}

// Loops over K operands, innermost first, in the order of the first operand's memory. Dimensions of
// extent 1 are left out and neighbours merged where all operands continue in memory. There are
// always two levels: the run and the rows.
template <int K>
struct Nest {
  int depth = 2;
  std::int64_t extent[core::kMaxRank + 2] = {};
  std::int64_t stride[core::kMaxRank + 2][K] = {};

  std::int64_t size() const {
    std::int64_t n = 1;
    for (int k = 0; k < depth; ++k) n *= extent[k];
    return n;
  }
  // Whether the run is contiguous in all operands.
  bool contiguous() const {
    return std::all_of(stride[0], stride[0] + K, [](std::int64_t s) { return s == 1; });
  }
  // Adds the offsets of a row-major index over the levels from `level` outwards.
  KOKKOS_INLINE_FUNCTION void locate(std::int64_t index, int level, std::int64_t* offset) const {
    for (int k = level; k < depth; ++k) {
      const std::int64_t at = index % extent[k];
      index /= extent[k];
      for (int o = 0; o < K; ++o) offset[o] += at * stride[k][o];
    }
  }
};

// `take` says which dimensions to loop over; the others are left out.
template <int K, class Take>
Nest<K> make_nest(const core::Shape& extents, const Strides (&strides)[K], const Take& take) {
  int order[core::kMaxRank];
  int count = 0;
  for (std::size_t d = extents.size(); d-- > 0;) {
    if (extents[d] == 1 || !take(d)) continue;
    // By stride, later dimensions first among equals: std::stable_sort takes memory from the heap.
    int at = count++;
    for (; at > 0 && strides[0][order[at - 1]] > strides[0][d]; --at) order[at] = order[at - 1];
    order[at] = static_cast<int>(d);
  }
  Nest<K> nest;
  int depth = 0;
  for (int i = 0; i < count; ++i) {
    const int d = order[i];
    bool merges = depth > 0;
    for (int o = 0; o < K && merges; ++o)
      merges = strides[o][d] == nest.stride[depth - 1][o] * nest.extent[depth - 1];
    if (merges) {
      nest.extent[depth - 1] *= extents[d];
      continue;
    }
    nest.extent[depth] = extents[d];
    for (int o = 0; o < K; ++o) nest.stride[depth][o] = strides[o][d];
    ++depth;
  }
  for (; depth < 2; ++depth) {
    nest.extent[depth] = 1;
    for (int o = 0; o < K; ++o) nest.stride[depth][o] = depth == 0 ? 1 : 0;
  }
  nest.depth = depth;
  return nest;
}
template <int K>
Nest<K> make_nest(const core::Shape& extents, const Strides (&strides)[K]) {
  return make_nest(extents, strides, [](std::size_t) { return true; });
}

// `rows` runs of `count` elements that start at offset[o] in operand o; the steps are those of the
// nest's first two levels.
template <int K>
struct Tile {
  std::int64_t offset[K];
  std::int64_t rows, count;
};

// body(tile) for tiles that cover the nest. They do not depend on the number of threads.
template <int K, class Body>
void for_tiles(const Space& space, const char* label, const Nest<K>& nest, const Body& body) {
  constexpr std::int64_t kTarget = 8192;  // elements a thread takes at a time
  if (nest.size() == 0) return;
  const std::int64_t count = std::min(nest.extent[0], kTarget);
  const std::int64_t rows = std::min(nest.extent[1], std::max<std::int64_t>(1, kTarget / count));
  const std::int64_t across = (nest.extent[0] + count - 1) / count;
  const std::int64_t down = (nest.extent[1] + rows - 1) / rows;
  std::int64_t outer = 1;
  for (int k = 2; k < nest.depth; ++k) outer *= nest.extent[k];
  parallel_for_chunks(
      space, label, outer * down * across, std::max<std::int64_t>(1, kTarget / (count * rows)),
      [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
          const std::int64_t column = t % across * count, row = t / across % down * rows;
          Tile<K> tile{
              {}, std::min(rows, nest.extent[1] - row), std::min(count, nest.extent[0] - column)};
          for (int o = 0; o < K; ++o)
            tile.offset[o] = column * nest.stride[0][o] + row * nest.stride[1][o];
          nest.locate(t / (across * down), 2, tile.offset);
          body(tile);
        }
      });
}

// Sums over some dimensions of a nest, in double and in a fixed order.
//
// The last operand is the output: its stride is 0 along the summed dimensions. If the innermost
// dimension of operand 0's memory is kept, a tile has `count` columns, each with sums of its own;
// otherwise a tile is added into one sum.
template <int K>
struct SumNest {
  static constexpr std::int64_t kColumns = 1024;  // columns summed at a time
  static constexpr std::int64_t kTasks = 32;      // long sums are cut until there are so many
  static constexpr std::int64_t kShortest = 32;   // rows in a piece of a sum

  bool columns = false;
  Nest<K> kept;    // columns: level 0 are the columns
  Nest<K> summed;  // columns: level 0 are the rows; otherwise the run and the rows

  // What `sum_tiles` needs for `sums` sums of each of `outputs` outputs.
  static core::Bytes workspace(std::int64_t outputs, int sums) {
    if (outputs >= kTasks * kColumns) return core::Bytes(0);  // enough outputs: no sum is cut
    const std::int64_t partials = std::min(kTasks * outputs, kTasks * kColumns + outputs);
    return core::Bytes(partials * sums * static_cast<std::int64_t>(sizeof(double)));
  }
};

template <int K, class Summed>
SumNest<K> make_sum_nest(const core::Shape& extents, const Strides (&strides)[K],
                         const Summed& is_summed) {
  SumNest<K> nest;
  int innermost = -1;
  for (std::size_t d = 0; d < extents.size(); ++d)
    if (extents[d] != 1 && (innermost < 0 || strides[0][d] <= strides[0][innermost]))
      innermost = static_cast<int>(d);
  nest.columns = innermost >= 0 && !is_summed(static_cast<std::size_t>(innermost));
  nest.kept = make_nest(extents, strides, [&](std::size_t d) { return !is_summed(d); });
  nest.summed = make_nest(extents, strides, is_summed);
  return nest;
}

// add(tile, sums) adds a tile: with columns into sums[s][column], else into sums[s][0].
//   With columns the run of a tile are columns (steps kept.stride[0]) and its rows lie
//   summed.stride[0] apart; else the steps are summed.stride[0] and summed.stride[1].
// finish(offset, sums) is called once per output with the sum of all and its offset in the output.
template <int S, int K, class Add, class Finish>
void sum_tiles(const Space& space, const char* label, const SumNest<K>& nest, void* workspace,
               const Add& add, const Finish& finish) {
  using Sums = double[S][SumNest<K>::kColumns];
  const std::int64_t columns = nest.columns ? nest.kept.extent[0] : 1;
  const std::int64_t pieces = (columns + SumNest<K>::kColumns - 1) / SumNest<K>::kColumns;
  const std::int64_t outputs = nest.kept.size();
  const std::int64_t groups = columns > 0 ? outputs / columns : 0;
  const int row_level = nest.columns ? 0 : 1;
  std::int64_t rows = 1;
  for (int k = row_level; k < nest.summed.depth; ++k) rows *= nest.summed.extent[k];
  if (nest.summed.extent[0] == 0) rows = 0;
  const std::int64_t tasks = groups * pieces;
  if (tasks == 0) return;
  const std::int64_t wanted = (SumNest<K>::kTasks + tasks - 1) / tasks;
  const std::int64_t grain = std::max(SumNest<K>::kShortest, (rows + wanted - 1) / wanted);
  const std::int64_t chunks = std::max<std::int64_t>(1, (rows + grain - 1) / grain);
  auto* partials = static_cast<double*>(workspace);  // [chunks][S][outputs]

  const auto start_of = [=](std::int64_t task, std::int64_t* offset) {
    const std::int64_t group = task / pieces, first = task % pieces * SumNest<K>::kColumns;
    nest.kept.locate(group, nest.columns ? 1 : 0, offset);
    if (nest.columns)
      for (int o = 0; o < K; ++o) offset[o] += first * nest.kept.stride[0][o];
    return std::min(SumNest<K>::kColumns, columns - first);
  };
  const auto finish_all = [=](std::int64_t count, const std::int64_t* offset, const Sums& sums) {
    const std::int64_t step = nest.columns ? nest.kept.stride[0][K - 1] : 0;
    for (std::int64_t j = 0; j < count; ++j) {
      double total[S];
      for (int s = 0; s < S; ++s) total[s] = sums[s][j];
      finish(offset[K - 1] + j * step, total);
    }
  };

  parallel_for(space, label, tasks * chunks, [=](std::int64_t index) {
    const std::int64_t task = index / chunks, chunk = index % chunks;
    std::int64_t start[K] = {};
    const std::int64_t count = start_of(task, start);
    Sums sums;
    for (int s = 0; s < S; ++s)
      for (std::int64_t j = 0; j < count; ++j) sums[s][j] = 0;
    const std::int64_t end = std::min(rows, (chunk + 1) * grain);
    for (std::int64_t row = chunk * grain; row < end;) {
      // As many rows as lie evenly: to the end of the level or of the chunk.
      const std::int64_t left = nest.summed.extent[row_level] - row % nest.summed.extent[row_level];
      Tile<K> tile{{}, std::min(end - row, left), nest.columns ? count : nest.summed.extent[0]};
      for (int o = 0; o < K; ++o) tile.offset[o] = start[o];
      nest.summed.locate(row, row_level, tile.offset);
      add(tile, sums);
      row += tile.rows;
    }
    if (chunks == 1) return finish_all(count, start, sums);
    const std::int64_t first = task / pieces * columns + task % pieces * SumNest<K>::kColumns;
    for (int s = 0; s < S; ++s)
      for (std::int64_t j = 0; j < count; ++j)
        partials[(chunk * S + s) * outputs + first + j] = sums[s][j];
  });
  if (chunks == 1) return;
  parallel_for(space, label, tasks, [=](std::int64_t task) {
    std::int64_t start[K] = {};
    const std::int64_t count = start_of(task, start);
    const std::int64_t first = task / pieces * columns + task % pieces * SumNest<K>::kColumns;
    Sums sums;
    for (int s = 0; s < S; ++s)
      for (std::int64_t j = 0; j < count; ++j) sums[s][j] = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      for (int s = 0; s < S; ++s)
        for (std::int64_t j = 0; j < count; ++j)
          sums[s][j] += partials[(chunk * S + s) * outputs + first + j];
    finish_all(count, start, sums);
  });
}

}  // namespace soapstone::kernels::detail
