#include "kernels/detail/block_access.hpp"

namespace soapstone::kernels::detail {

namespace {

// Dimensions longer than 1 in memory order.
core::DimOrder meaningful_order(const Block& block) {
  core::DimOrder result;
  for (std::size_t k = 0; k < block.box.size(); ++k) {
    const std::int64_t d = block.order.empty() ? static_cast<std::int64_t>(k) : block.order[k];
    if (block.box[d].extent() > 1) result.push_back(d);
  }
  return result;
}

}  // namespace

bool same_layout(const Block& a, const Block& b) {
  return a.box == b.box && meaningful_order(a) == meaningful_order(b);
}

bool is_row_major(const Block& block) {
  const core::DimOrder order = meaningful_order(block);
  return std::is_sorted(order.begin(), order.end());
}

MemoryOrder memory_order(const Block& block) {
  MemoryOrder m;
  m.rank = static_cast<int>(block.box.size());
  for (int k = 0; k < m.rank; ++k) {
    m.dim[k] = block.order.empty() ? k : static_cast<int>(block.order[k]);
    m.extent[k] = block.box[m.dim[k]].extent();
  }
  return m;
}

}  // namespace soapstone::kernels::detail
