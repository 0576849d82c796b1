#include "kernels/detail/relu.hpp"

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/simd.hpp"

namespace soapstone::kernels::detail {

namespace {

constexpr std::int64_t kGrain = 16384;

void check_alike(const Block& a, const Block& b) {
  SOAPSTONE_ASSERT(same_layout(a, b), "relu: boxes {} and {} lie differently", core::print(a.box),
                   core::print(b.box));
}

}  // namespace

void relu_forward(const Space& space, const char* label, const Block& x, const Block& y) {
  check_alike(x, y);
  dispatch_floating(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    using W = WideOf<T>;
    const T* from = data_of<T>(x);
    T* to = data_of<T>(y);
    parallel_for_chunks(space, label, y.size(), kGrain, [=](std::int64_t begin, std::int64_t end) {
      SOAPSTONE_SIMD
      for (std::int64_t i = begin; i < end; ++i) {
        const W v = from[i];
        to[i] = v < W(0) ? W(0) : v;
      }
    });
  });
}

void relu_backward(const Space& space, const char* label, const Block& y, const Block& dy,
                   const Block& dx) {
  check_alike(y, dy);
  check_alike(y, dx);
  dispatch_floating(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    using W = WideOf<T>;
    const T *out = data_of<T>(y), *from = data_of<T>(dy);
    T* to = data_of<T>(dx);
    parallel_for_chunks(space, label, y.size(), kGrain, [=](std::int64_t begin, std::int64_t end) {
      SOAPSTONE_SIMD
      for (std::int64_t i = begin; i < end; ++i) {
        const W g = from[i], v = out[i];  // read in any case, so that the loop vectorises
        to[i] = v > W(0) ? g : W(0);
      }
    });
  });
}

}  // namespace soapstone::kernels::detail
