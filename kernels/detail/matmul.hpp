// C[m, n] = Σ_k A[m, k] B[k, n] over matrices that are described by how their rows are loaded, so
// that transposed, permuted and windowed operands (im2col) share one blocked loop.
//
// 2·m·n·k FLOPs. Tiles of C are spread over threads. The sum over k has an order that follows from
// m, n and k: the bits do not depend on the number of threads.
// Source: Goto & van de Geijn 2008, doi 10.1145/1356052.1356053 (packing), with small tiles that
// fit on the stack.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "core/shape.hpp"
#include "kernels/detail/space.hpp"

namespace soapstone::kernels::detail {

// A matrix whose element (r, c) lies at data[rows[r] + columns[c]].
template <class T>
struct TableMatrix {
  T* data = nullptr;
  const std::int64_t* rows = nullptr;
  const std::int64_t* columns = nullptr;
  bool contiguous = false;  // columns[c] = c

  // out[i · step] = element (row, first + i)
  void load(std::int64_t row, std::int64_t first, std::int64_t count, std::remove_const_t<T>* out,
            std::int64_t step) const {
    const T* from = data + rows[row];
    if (contiguous)
      for (std::int64_t i = 0; i < count; ++i) out[i * step] = from[first + i];
    else
      for (std::int64_t i = 0; i < count; ++i) out[i * step] = from[columns[first + i]];
  }
};

// Which index of an operand its loader's rows are.
enum class RowsAre {
  kOuter,       // m of A, n of B
  kContracted,  // k
};

template <class T>
struct MatmulTiles {
  static constexpr std::int64_t kRows = 6;  // of a register tile
  static constexpr std::int64_t kColumns = 128 / sizeof(T);
  static constexpr std::int64_t kMaxRows = 12 * kRows;  // of a task's tile
  static constexpr std::int64_t kMaxColumns = 4 * kColumns;
  static constexpr std::int64_t kDepth = 128;
};

// panel[p][k][kWidth]: indices [first, first + count) of the outer dimension in panels of kWidth,
// filled up with zeros.
template <std::int64_t kWidth, class T, class Loader>
void pack_panels(const Loader& loader, RowsAre rows_are, std::int64_t first, std::int64_t count,
                 std::int64_t first_k, std::int64_t depth, T* panels) {
  const std::int64_t padded = (count + kWidth - 1) / kWidth * kWidth;
  if (rows_are == RowsAre::kContracted) {
    T row[std::max(MatmulTiles<T>::kMaxRows, MatmulTiles<T>::kMaxColumns)];
    std::fill(row + count, row + padded, T(0));
    for (std::int64_t k = 0; k < depth; ++k) {
      loader.load(first_k + k, first, count, row, 1);
      for (std::int64_t i = 0; i < padded; i += kWidth)
        std::copy_n(row + i, kWidth, panels + (i * depth + k * kWidth));
    }
    return;
  }
  const auto panel_of = [=](std::int64_t i) {
    return panels + i / kWidth * depth * kWidth + i % kWidth;
  };
  for (std::int64_t i = 0; i < count; ++i)
    loader.load(first + i, first_k, depth, panel_of(i), kWidth);
  for (std::int64_t i = count; i < padded; ++i)
    for (std::int64_t k = 0; k < depth; ++k) panel_of(i)[k * kWidth] = T(0);
}

// acc += a panel of kRows times a panel of kColumns.
template <class T>
void multiply_panels(std::int64_t depth, const T* __restrict a, const T* __restrict b,
                     T* __restrict acc) {
  constexpr std::int64_t kRows = MatmulTiles<T>::kRows, kColumns = MatmulTiles<T>::kColumns;
#if defined(__GNUC__)
  // Vectors of the compiler: left to loops it keeps the sums in memory.
  constexpr std::int64_t kLanes = 64 / sizeof(T);
  constexpr std::int64_t kVectors = kColumns / kLanes;
  using Vector [[gnu::vector_size(64), gnu::aligned(alignof(T)), gnu::may_alias]] = T;
  Vector sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = *reinterpret_cast<const Vector*>(acc + r * kColumns + v * kLanes);
  for (std::int64_t k = 0; k < depth; ++k) {
    Vector column[kVectors];
    for (int v = 0; v < kVectors; ++v)
      column[v] = *reinterpret_cast<const Vector*>(b + k * kColumns + v * kLanes);
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) sums[r][v] += a[k * kRows + r] * column[v];
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      *reinterpret_cast<Vector*>(acc + r * kColumns + v * kLanes) = sums[r][v];
#else
  for (std::int64_t k = 0; k < depth; ++k)
    for (std::int64_t r = 0; r < kRows; ++r)
      for (std::int64_t c = 0; c < kColumns; ++c)
        acc[r * kColumns + c] += a[k * kRows + r] * b[k * kColumns + c];
#endif
}

// How a product is cut into tasks. A long sum over few outputs is cut too: into pieces that are
// added up in order afterwards. Depends on the sizes only, never on the number of threads.
struct MatmulCut {
  std::int64_t rows, columns;  // of a task's tile
  std::int64_t depth, pieces;  // of a piece of the sum

  template <class T>
  static MatmulCut of(std::int64_t m, std::int64_t n, std::int64_t k) {
    using Tiles = MatmulTiles<T>;
    constexpr std::int64_t kSmallestTask = 1 << 18, kMostTasks = 32,
                           kShortestPiece = 4 * Tiles::kDepth;
    MatmulCut cut{Tiles::kMaxRows, Tiles::kMaxColumns, k, 1};
    const std::int64_t wanted = std::min(kMostTasks, m * n * k / kSmallestTask);
    const auto tiles = [&] {
      return ((m + cut.rows - 1) / cut.rows) * ((n + cut.columns - 1) / cut.columns);
    };
    if (m * n == 0 || tiles() >= wanted) return cut;
    const std::int64_t pieces = std::min((wanted + tiles() - 1) / tiles(), k / kShortestPiece);
    if (pieces > 1) {
      cut.depth = ((k + pieces - 1) / pieces + Tiles::kDepth - 1) / Tiles::kDepth * Tiles::kDepth;
      cut.pieces = (k + cut.depth - 1) / cut.depth;
    }
    while (tiles() * cut.pieces < wanted &&
           (cut.rows > Tiles::kRows || cut.columns > Tiles::kColumns)) {
      if (cut.rows > 2 * Tiles::kRows || cut.columns == Tiles::kColumns)
        cut.rows =
            std::max(Tiles::kRows, (cut.rows / 2 + Tiles::kRows - 1) / Tiles::kRows * Tiles::kRows);
      else
        cut.columns /= 2;
    }
    return cut;
  }
};

// What `matmul` needs for the pieces of long sums.
template <class T>
core::Bytes matmul_workspace(std::int64_t m, std::int64_t n, std::int64_t k) {
  const std::int64_t pieces = MatmulCut::of<T>(m, n, k).pieces;
  return core::Bytes(pieces > 1 ? pieces * m * n * static_cast<std::int64_t>(sizeof(T)) : 0);
}

// store(row, first_column, count, values) is called once for every row of every tile of C, also
// where k is 0.
template <class T, class A, class B, class Store>
void matmul(const Space& space, const char* label, std::int64_t m, std::int64_t n, std::int64_t k,
            const A& a, RowsAre a_rows, const B& b, RowsAre b_rows, void* workspace,
            const Store& store) {
  using Tiles = MatmulTiles<T>;
  if (m == 0 || n == 0) return;
  const MatmulCut cut = MatmulCut::of<T>(m, n, k);
  const std::int64_t across = (n + cut.columns - 1) / cut.columns;
  const std::int64_t tiles = (m + cut.rows - 1) / cut.rows * across;
  auto* partials = static_cast<T*>(workspace);  // [pieces][m][n]
  parallel_for(space, label, tiles * cut.pieces, [=](std::int64_t task) {
    alignas(64) T packed_a[Tiles::kMaxRows * Tiles::kDepth];
    alignas(64) T packed_b[Tiles::kMaxColumns * Tiles::kDepth];
    alignas(64)
        T sums[Tiles::kMaxRows * Tiles::kMaxColumns];  // [row panel][column panel][kRows][kColumns]
    constexpr std::int64_t kTile = Tiles::kRows * Tiles::kColumns;
    const std::int64_t piece = task / tiles, tile = task % tiles;
    const std::int64_t first_row = tile / across * cut.rows,
                       first_column = tile % across * cut.columns;
    const std::int64_t height = std::min(cut.rows, m - first_row),
                       width = std::min(cut.columns, n - first_column);
    const std::int64_t row_panels = (height + Tiles::kRows - 1) / Tiles::kRows;
    const std::int64_t column_panels = (width + Tiles::kColumns - 1) / Tiles::kColumns;
    std::fill_n(sums, row_panels * column_panels * kTile, T(0));
    const std::int64_t end_k = std::min(k, (piece + 1) * cut.depth);
    for (std::int64_t first_k = piece * cut.depth; first_k < end_k; first_k += Tiles::kDepth) {
      const std::int64_t depth = std::min(Tiles::kDepth, end_k - first_k);
      pack_panels<Tiles::kRows>(a, a_rows, first_row, height, first_k, depth, packed_a);
      pack_panels<Tiles::kColumns>(b, b_rows, first_column, width, first_k, depth, packed_b);
      for (std::int64_t j = 0; j < column_panels; ++j)
        for (std::int64_t i = 0; i < row_panels; ++i)
          multiply_panels<T>(depth, packed_a + i * depth * Tiles::kRows,
                             packed_b + j * depth * Tiles::kColumns,
                             sums + (i * column_panels + j) * kTile);
    }
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < column_panels; ++j) {
        const T* values = sums + (i / Tiles::kRows * column_panels + j) * kTile +
                          i % Tiles::kRows * Tiles::kColumns;
        const std::int64_t row = first_row + i, column = first_column + j * Tiles::kColumns;
        const std::int64_t count = std::min(Tiles::kColumns, width - j * Tiles::kColumns);
        if (cut.pieces == 1)
          store(row, column, count, values);
        else
          std::copy_n(values, count, partials + (piece * m + row) * n + column);
      }
  });
  if (cut.pieces == 1) return;
  const std::int64_t rows = std::max<std::int64_t>(1, 4096 / n);
  parallel_for_chunks(space, label, m, rows, [=](std::int64_t begin, std::int64_t end) {
    T sums[Tiles::kColumns];
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < n; column += Tiles::kColumns) {
        const std::int64_t count = std::min(Tiles::kColumns, n - column);
        std::fill_n(sums, Tiles::kColumns, T(0));
        for (std::int64_t piece = 0; piece < cut.pieces; ++piece)
          for (std::int64_t c = 0; c < count; ++c)
            sums[c] += partials[(piece * m + row) * n + column + c];
        store(row, column, count, sums);
      }
  });
}

// Element offsets of the row-major indices over some dimensions of a block: `dims` in order.
std::vector<std::int64_t> offset_table(const core::Shape& extents, const core::Shape& strides,
                                       std::span<const int> dims);
bool counts_up(std::span<const std::int64_t> table);  // 0, 1, 2, …

}  // namespace soapstone::kernels::detail
