#include "kernels/detail/matmul.hpp"

namespace soapstone::kernels::detail {

std::vector<std::int64_t> offset_table(const core::Shape& extents, const core::Shape& strides,
                                       std::span<const int> dims) {
  std::vector<std::int64_t> table{0};
  for (const int d : dims) {
    std::vector<std::int64_t> next;
    next.reserve(table.size() * static_cast<std::size_t>(extents[d]));
    for (const std::int64_t offset : table)
      for (std::int64_t i = 0; i < extents[d]; ++i) next.push_back(offset + i * strides[d]);
    table = std::move(next);
  }
  return table;
}

bool counts_up(std::span<const std::int64_t> table) {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table[i] != static_cast<std::int64_t>(i)) return false;
  return true;
}

}  // namespace soapstone::kernels::detail
