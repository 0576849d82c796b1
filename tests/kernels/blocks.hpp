// Memory for blocks, and their elements by global index.
#pragma once

#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "kernels/kernel.hpp"

namespace soapstone::kernels {

template <class T>
class TestBlock {
 public:
  TestBlock(core::DType dtype, core::Box box, core::DimOrder order = {})
      : memory_(static_cast<std::size_t>(core::elements(box))),
        block_{memory_.data(), dtype, box, order} {}

  TestBlock(const TestBlock&) = delete;
  TestBlock& operator=(const TestBlock&) = delete;

  const Block& block() const { return block_; }
  std::vector<T>& memory() { return memory_; }
  T& at(std::span<const std::int64_t> index) {
    const core::Shape strides = core::packed_strides(core::extents(block_.box), block_.order);
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < strides.size(); ++d)
      offset += (index[d] - block_.box[d].begin) * strides[d];
    return memory_[static_cast<std::size_t>(offset)];
  }

 private:
  std::vector<T> memory_;
  Block block_;
};

template <class T>
constexpr core::DType dtype_of() {
  return sizeof(T) == 8          ? core::DType::kF64
         : std::is_integral_v<T> ? core::DType::kI32
                                 : core::DType::kF32;
}

// visit(index) for every index of a box, row-major.
inline void for_each_index(const core::Box& box,
                           const std::function<void(std::span<const std::int64_t>)>& visit) {
  if (core::is_empty(box)) return;
  std::vector<std::int64_t> index;
  for (const auto& i : box) index.push_back(i.begin);
  while (true) {
    visit(index);
    std::size_t d = box.size();
    while (d > 0 && ++index[d - 1] == box[d - 1].end) index[d - 1] = box[d - 1].begin, --d;
    if (d == 0) return;
  }
}

}  // namespace soapstone::kernels
