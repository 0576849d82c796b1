// Typed access to Blocks inside kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "core/assert.hpp"
#include "kernels/bf16.hpp"
#include "kernels/detail/space.hpp"
#include "kernels/kernel.hpp"

namespace soapstone::kernels::detail {

template <class T>
constexpr core::DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) {
    return core::DType::kF32;
  } else if constexpr (std::is_same_v<T, double>) {
    return core::DType::kF64;
  } else if constexpr (std::is_same_v<T, Bf16>) {
    return core::DType::kBF16;
  } else {
    static_assert(std::is_same_v<T, std::int32_t>, "no tensor holds this type");
    return core::DType::kI32;
  }
}
template <class T>
inline constexpr core::DType kDTypeOf = dtype_of<std::remove_const_t<T>>();

// The elements of a block in memory order; checks the dtype. Empty blocks give null.
template <class T>
T* data_of(const Block& block) {
  if (block.size() == 0) return nullptr;
  SOAPSTONE_ASSERT(block.dtype == kDTypeOf<T>, "the block is {}, the kernel computes {}",
                   name_of(block.dtype), name_of(kDTypeOf<T>));
  SOAPSTONE_ASSERT(block.data != nullptr, "a block of {} elements has no data", block.size());
  return static_cast<T*>(block.data);
}

template <class T>
std::span<T> flat(const Block& block) {
  return {data_of<T>(block), static_cast<std::size_t>(block.size())};
}

// The same as a Kokkos view.
template <class T>
using FlatView = Kokkos::View<T*, Memory, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
template <class T>
FlatView<T> flat_view(const Block& block) {
  return {data_of<T>(block), static_cast<std::size_t>(block.size())};
}

// A block by its local logical indices (0 is box.begin), whatever its order in memory. Copied into
// kernels by value.
template <class T>
struct Strided {
  T* data = nullptr;
  std::int64_t size = 0;
  int rank = 0;
  std::int64_t extent[core::kMaxRank] = {};
  std::int64_t stride[core::kMaxRank] = {};
  std::int64_t begin[core::kMaxRank] = {};  // global index of local index 0

  template <class... Index>
  KOKKOS_INLINE_FUNCTION T& operator()(Index... index) const {
    std::int64_t offset = 0;
    int d = 0;
    ((offset += static_cast<std::int64_t>(index) * stride[d++]), ...);
    return data[offset];
  }
};

template <class T>
Strided<T> strided(const Block& block) {
  Strided<T> s;
  s.data = data_of<T>(block);
  s.size = block.size();
  s.rank = static_cast<int>(block.box.size());
  const core::Shape local = core::extents(block.box);
  const core::Shape strides = core::packed_strides(local, block.order);
  for (int d = 0; d < s.rank; ++d) {
    s.extent[d] = local[d];
    s.stride[d] = strides[d];
    s.begin[d] = block.box[d].begin;
  }
  return s;
}

// Whether both hold the same indices in the same order in memory, so that a loop over both may run
// over memory. Dimensions of extent 1 have no order.
bool same_layout(const Block& a, const Block& b);
bool is_row_major(const Block& block);

// Walks the elements of a block by their position in memory: what logical index lies there.
struct MemoryOrder {
  int rank = 0;
  std::int64_t extent[core::kMaxRank] = {};  // of the dimensions as they lie, outermost first
  int dim[core::kMaxRank] = {};              // the logical dimension of each

  // local[d]: the logical index of dimension d of the element at `position`.
  KOKKOS_INLINE_FUNCTION void index_of(std::int64_t position, std::int64_t* local) const {
    for (int k = rank - 1; k >= 0; --k) {
      local[dim[k]] = position % extent[k];
      position /= extent[k];
    }
  }
};
MemoryOrder memory_order(const Block& block);

// Kernel<float> or Kernel<double>, whichever the problem computes in; both are made from the
// problem.
template <template <class> class Kernel>
std::unique_ptr<PreparedKernel> prepare_floating(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kF64) return std::make_unique<Kernel<double>>(problem);
  SOAPSTONE_ASSERT(problem.dtype() == core::DType::kF32, "{} is not a floating-point type",
                   name_of(problem.dtype()));
  return std::make_unique<Kernel<float>>(problem);
}

// The same with Kernel<Bf16> for bf16, which keeps weights and statistics in f32.
template <template <class> class Kernel>
std::unique_ptr<PreparedKernel> prepare_floating_or_bf16(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kBF16) return std::make_unique<Kernel<Bf16>>(problem);
  return prepare_floating<Kernel>(problem);
}

// body(T{}) for T = float or double: what weights are kept in.
template <class Body>
void dispatch_master(core::DType dtype, const Body& body) {
  SOAPSTONE_ASSERT(dtype == core::DType::kF32 || dtype == core::DType::kF64,
                   "{} is neither f32 nor f64", name_of(dtype));
  if (dtype == core::DType::kF64)
    body(double{});
  else
    body(float{});
}

// body(T{}) for T = float, double or Bf16.
template <class Body>
void dispatch_floating(core::DType dtype, const Body& body) {
  if (dtype == core::DType::kBF16)
    body(Bf16{});
  else
    dispatch_master(dtype, body);
}

// body(T{}) for T = float, double, Bf16 or std::int32_t.
template <class Body>
void dispatch_any(core::DType dtype, const Body& body) {
  if (dtype == core::DType::kI32)
    body(std::int32_t{});
  else
    dispatch_floating(dtype, body);
}

}  // namespace soapstone::kernels::detail
