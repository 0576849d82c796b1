// Sums of a tensor over all but some of its dimensions: the gradient of a bias.
#pragma once

#include <span>

#include "kernels/detail/nest.hpp"

namespace soapstone::kernels::detail {

// out[kept] = Σ in[kept, others], added in double in an order that depends on neither threads nor
// dtype. One FLOP and one word per element of `in`. f32 or f64.
class ColumnSums {
 public:
  ColumnSums() = default;
  // `kept`: the dimensions of `in` that are those of `out`, in order. Both by extents and strides.
  ColumnSums(const core::Shape& in, const core::Shape& in_strides, std::span<const int> kept,
             const core::Shape& out_strides);

  core::Bytes workspace() const { return SumNest<2>::workspace(nest_.kept.size(), 1); }
  void run(const Space& space, const char* label, const Block& in, const Block& out,
           void* workspace) const;

 private:
  SumNest<2> nest_;
};

}  // namespace soapstone::kernels::detail
