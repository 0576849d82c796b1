// A block [n, …, c] as rows of c elements, whatever its order in memory.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/detail/block_access.hpp"

namespace soapstone::kernels::detail {

template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t count = 1;    // rows
  std::int64_t columns = 1;  // elements of a row, `step` apart
  std::int64_t step = 1;
  int rank = 0;  // of the leading dimensions, merged where memory continues
  std::int64_t extent[core::kMaxRank] = {};
  std::int64_t stride[core::kMaxRank] = {};

  // The first element of a row; rows are numbered row-major.
  KOKKOS_INLINE_FUNCTION T* row(std::int64_t r) const {
    std::int64_t offset = 0;
    for (int k = rank - 1; k > 0; --k) {
      offset += r % extent[k] * stride[k];
      r /= extent[k];
    }
    return data + offset + (rank > 0 ? r * stride[0] : 0);
  }
};

// Trailing: whether the last dimension is a row's; otherwise every element is a row.
enum class Trailing { kRow, kNone };
template <class T>
Rows<T> rows_of(const Block& block, Trailing trailing = Trailing::kRow) {
  Rows<T> rows;
  rows.data = data_of<T>(block);
  const core::Shape extents = core::extents(block.box);
  const core::Shape strides = core::packed_strides(extents, block.order);
  const std::size_t lead = extents.size() - (trailing == Trailing::kRow ? 1 : 0);
  if (trailing == Trailing::kRow) {
    rows.columns = extents.back();
    rows.step = rows.columns == 1 ? 1 : strides.back();
  }
  for (std::size_t d = 0; d < lead; ++d) {
    rows.count *= extents[d];
    if (extents[d] == 1) continue;
    if (rows.rank > 0 && rows.stride[rows.rank - 1] == strides[d] * extents[d]) {
      rows.extent[rows.rank - 1] *= extents[d];
      rows.stride[rows.rank - 1] = strides[d];
    } else {
      rows.extent[rows.rank] = extents[d];
      rows.stride[rows.rank++] = strides[d];
    }
  }
  return rows;
}

// body(std::true_type) or body(std::false_type): the loop inside is compiled for both.
template <class Body>
void if_contiguous(bool contiguous, const Body& body) {
  if (contiguous)
    body(std::true_type{});
  else
    body(std::false_type{});
}

// The step of a loop compiled for contiguous elements is the constant 1.
template <class Contiguous>
KOKKOS_INLINE_FUNCTION constexpr std::int64_t step_of(Contiguous, std::int64_t step) {
  return Contiguous::value ? 1 : step;
}

}  // namespace soapstone::kernels::detail
