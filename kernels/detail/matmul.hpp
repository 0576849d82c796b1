// C[m, n] = Σ_k A[m, k] B[k, n] over matrices that are described by how their rows are loaded, so
// that transposed, permuted and windowed operands (im2col) share one blocked loop.
//
// 2·m·n·k FLOPs. Tiles of C are spread over threads. The sum over k runs in blocks of kDepth in a
// fixed order: the bits depend on neither the tiles nor the number of threads.
// Source: Goto & van de Geijn 2008, doi 10.1145/1356052.1356053 (packing), with small tiles that fit
// on the stack.
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
  static constexpr std::int64_t kRows = 6;                  // of a register tile
  static constexpr std::int64_t kColumns = 128 / sizeof(T);
  static constexpr std::int64_t kMaxRows = 12 * kRows;      // of a task's tile
  static constexpr std::int64_t kMaxColumns = 4 * kColumns;
  static constexpr std::int64_t kDepth = 128;
};

// panel[p][k][kWidth]: indices [first, first + count) of the outer dimension in panels of kWidth,
// filled up with zeros.
template <std::int64_t kWidth, class T, class Loader>
void pack_panels(const Loader& loader, RowsAre rows_are, std::int64_t first, std::int64_t count,
                 std::int64_t first_k, std::int64_t depth, T* panels) {
  const std::int64_t padded = (count + kWidth - 1) / kWidth * kWidth;
  const auto panel_of = [=](std::int64_t i) { return panels + i / kWidth * depth * kWidth + i % kWidth; };
  if (rows_are == RowsAre::kOuter)
    for (std::int64_t i = 0; i < count; ++i)
      loader.load(first + i, first_k, depth, panel_of(i), kWidth);
  else
    for (std::int64_t k = 0; k < depth; ++k)
      for (std::int64_t i = 0; i < count; i += kWidth)
        loader.load(first_k + k, first + i, std::min(kWidth, count - i), panel_of(i) + k * kWidth, 1);
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

// store(row, first_column, count, values) is called for every row of every tile of C, also where k is 0.
template <class T, class A, class B, class Store>
void matmul(const Space& space, const char* label, std::int64_t m, std::int64_t n, std::int64_t k,
            const A& a, RowsAre a_rows, const B& b, RowsAre b_rows, const Store& store) {
  using Tiles = MatmulTiles<T>;
  if (m == 0 || n == 0) return;
  // Smaller tiles where there would be few of them.
  constexpr std::int64_t kWantedTasks = 64;
  std::int64_t rows = Tiles::kMaxRows, columns = Tiles::kMaxColumns;
  const auto tasks = [&] { return ((m + rows - 1) / rows) * ((n + columns - 1) / columns); };
  while (tasks() < kWantedTasks && (rows > Tiles::kRows || columns > Tiles::kColumns)) {
    if (rows > 2 * Tiles::kRows || columns == Tiles::kColumns)
      rows = std::max(Tiles::kRows, (rows / 2 + Tiles::kRows - 1) / Tiles::kRows * Tiles::kRows);
    else
      columns /= 2;
  }
  const std::int64_t across = (n + columns - 1) / columns;
  parallel_for(space, label, tasks(), [=](std::int64_t task) {
    alignas(64) T packed_a[Tiles::kMaxRows * Tiles::kDepth];
    alignas(64) T packed_b[Tiles::kMaxColumns * Tiles::kDepth];
    alignas(64) T sums[Tiles::kMaxRows * Tiles::kMaxColumns];  // [row panel][column panel][kRows][kColumns]
    constexpr std::int64_t kTile = Tiles::kRows * Tiles::kColumns;
    const std::int64_t first_row = task / across * rows, first_column = task % across * columns;
    const std::int64_t height = std::min(rows, m - first_row), width = std::min(columns, n - first_column);
    const std::int64_t row_panels = (height + Tiles::kRows - 1) / Tiles::kRows;
    const std::int64_t column_panels = (width + Tiles::kColumns - 1) / Tiles::kColumns;
    std::fill_n(sums, row_panels * column_panels * kTile, T(0));
    for (std::int64_t first_k = 0; first_k < k; first_k += Tiles::kDepth) {
      const std::int64_t depth = std::min(Tiles::kDepth, k - first_k);
      pack_panels<Tiles::kRows>(a, a_rows, first_row, height, first_k, depth, packed_a);
      pack_panels<Tiles::kColumns>(b, b_rows, first_column, width, first_k, depth, packed_b);
      for (std::int64_t j = 0; j < column_panels; ++j)
        for (std::int64_t i = 0; i < row_panels; ++i)
          multiply_panels<T>(depth, packed_a + i * depth * Tiles::kRows,
                             packed_b + j * depth * Tiles::kColumns,
                             sums + (i * column_panels + j) * kTile);
    }
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < column_panels; ++j)
        store(first_row + i, first_column + j * Tiles::kColumns,
              std::min(Tiles::kColumns, width - j * Tiles::kColumns),
              sums + (i / Tiles::kRows * column_panels + j) * kTile + i % Tiles::kRows * Tiles::kColumns);
  });
}

// Element offsets of the row-major indices over some dimensions of a block: `dims` in order.
std::vector<std::int64_t> offset_table(const core::Shape& extents, const core::Shape& strides,
                                       std::span<const int> dims);
bool counts_up(std::span<const std::int64_t> table);  // 0, 1, 2, …

}  // namespace soapstone::kernels::detail
