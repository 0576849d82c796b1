// What the kernels of recurrent layers share: matrices in row-major blocks [n, s, …], and the
// states before every time step.
#pragma once

#include <algorithm>
#include <cstdint>

namespace soapstone::kernels::detail {

// A matrix for `matmul` whose rows lie `stride` apart.
template <class T>
struct DenseRows {
  const T* data = nullptr;
  std::int64_t stride = 0;

  void load(std::int64_t row, std::int64_t first, std::int64_t count, T* out,
            std::int64_t step) const {
    const T* from = data + row * stride + first;
    for (std::int64_t i = 0; i < count; ++i) out[i * step] = from[i];
  }
};

// Row n · s + t is the state before time step t of sample n: y [n, s, h] at t - 1, or h0 [n, h].
template <class T>
struct StatesBefore {
  const T* y = nullptr;
  const T* h0 = nullptr;
  std::int64_t steps = 1, hidden = 0;

  const T* row(std::int64_t index) const {
    return index % steps == 0 ? h0 + index / steps * hidden : y + (index - 1) * hidden;
  }
  void load(std::int64_t index, std::int64_t first, std::int64_t count, T* out,
            std::int64_t step) const {
    const T* from = row(index) + first;
    for (std::int64_t i = 0; i < count; ++i) out[i * step] = from[i];
  }
};

// For `matmul`: the results go to rows `stride` apart.
template <class T>
auto into_rows(T* to, std::int64_t stride) {
  return [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
    std::copy_n(sums, count, to + row * stride + first);
  };
}

// How many samples with states of `hidden` numbers a thread takes at a time.
inline std::int64_t samples_at_a_time(std::int64_t hidden) {
  return std::max<std::int64_t>(1, 2048 / hidden);
}

}  // namespace soapstone::kernels::detail
