// The sums that a mean and a variance are made of.
#pragma once

#include <cstdint>

#include "kernels/bf16.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"

namespace soapstone::kernels::detail {

// finish(offset, {Σ x, Σ x²}) for every output of the nest, whose operand 0 is x; in double.
template <class T, int K, class Finish>
void sum_moments(const Space& space, const char* label, const SumNest<K>& nest, void* workspace,
                 const T* x, const Finish& finish) {
  const std::int64_t run_step = (nest.columns ? nest.kept : nest.summed).stride[0][0];
  const std::int64_t row_step = nest.summed.stride[nest.columns ? 0 : 1][0];
  if_contiguous(run_step == 1, [&](auto contiguous) {
    sum_tiles<2>(
        space, label, nest, workspace,
        [=](const Tile<K>& tile, auto& into) {
          const auto step = step_of(contiguous, run_step);
          for (std::int64_t r = 0; r < tile.rows; ++r) {
            const T* at = x + tile.offset[0] + r * row_step;
            if (nest.columns) {
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < tile.count; ++j) {
                const double v = static_cast<WideOf<T>>(at[j * step]);
                into[0][j] += v;
                into[1][j] += v * v;
              }
            } else {
              double sum = 0, squares = 0;
              SOAPSTONE_SIMD_SUM(sum, squares)
              for (std::int64_t j = 0; j < tile.count; ++j) {
                const double v = static_cast<WideOf<T>>(at[j * step]);
                sum += v;
                squares += v * v;
              }
              into[0][0] += sum;
              into[1][0] += squares;
            }
          }
        },
        finish);
  });
}

}  // namespace soapstone::kernels::detail
