#include "kernels/detail/column_sums.hpp"

#include <algorithm>

#include "kernels/box_copy.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"

namespace soapstone::kernels::detail {

ColumnSums::ColumnSums(const core::Shape& in, const core::Shape& in_strides,
                       std::span<const int> kept, const core::Shape& out_strides) {
  core::Shape strides(in.size(), 0);
  for (std::size_t k = 0; k < kept.size(); ++k) strides[kept[k]] = out_strides[k];
  nest_ = make_sum_nest<2>(in, {in_strides, strides}, [&](std::size_t d) {
    return std::find(kept.begin(), kept.end(), static_cast<int>(d)) == kept.end();
  });
}

void ColumnSums::run(const Space& space, const char* label, const Block& in, const Block& out,
                     void* workspace) const {
  if (in.size() == 0) return fill_zero(out);
  dispatch_floating(in.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* from = data_of<T>(in);
    using W = WideOf<T>;
    W* to = data_of<W>(out);
    const auto finish = [=](std::int64_t offset, const double* sums) {
      to[offset] = static_cast<W>(sums[0]);
    };
    if (nest_.columns) {
      const std::int64_t column = nest_.kept.stride[0][0], row = nest_.summed.stride[0][0];
      if_contiguous(column == 1, [&](auto contiguous) {
        sum_tiles<1>(
            space, label, nest_, workspace,
            [=](const Tile<2>& tile, auto& sums) {
              const auto step = step_of(contiguous, column);
              for (std::int64_t r = 0; r < tile.rows; ++r) {
                const T* at = from + tile.offset[0] + r * row;
                SOAPSTONE_SIMD
                for (std::int64_t c = 0; c < tile.count; ++c)
                  sums[0][c] += static_cast<double>(static_cast<W>(at[c * step]));
              }
            },
            finish);
      });
    } else {
      const std::int64_t step = nest_.summed.stride[0][0], row = nest_.summed.stride[1][0];
      sum_tiles<1>(
          space, label, nest_, workspace,
          [=](const Tile<2>& tile, auto& sums) {
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* at = from + tile.offset[0] + r * row;
              double sum = 0;
              SOAPSTONE_SIMD_SUM(sum)
              for (std::int64_t i = 0; i < tile.count; ++i)
                sum += static_cast<double>(static_cast<W>(at[i * step]));
              sums[0][0] += sum;
            }
          },
          finish);
    }
  });
}

}  // namespace soapstone::kernels::detail
