// Sliding windows as one part of a split sees them.
#pragma once

#include <cstdint>

#include "kernels/detail/operand.hpp"

namespace soapstone::kernels::detail {

// Along one axis, in local indices: the window of output o touches the inputs
// o·stride - pad_begin + k·dilation, k in [0, kernel), of which those outside [0, in) are padding.
// A part's input is clipped at the edges of the whole tensor only, so that padding of the part is
// padding of the tensor.
struct Window {
  std::int64_t in = 0, out = 0;
  std::int64_t kernel = 1, stride = 1, dilation = 1;
  std::int64_t pad_begin = 0;

  // What must follow the input for the last window to end there.
  std::int64_t pad_end() const {
    return (out - 1) * stride + dilation * (kernel - 1) + 1 - in - pad_begin;
  }
};

// Dimension `dim` of an operand that follows an axis by windows.
inline Window local_window(const core::LocalProblem& problem, std::string_view operand, int dim,
                           std::int64_t kernel, std::int64_t dilation) {
  const int index = problem.definition->operand(operand);
  const core::DimMap& map = problem.definition->operands[index].dims[dim];
  const core::Interval part = problem.axes[map.axis], box = problem.box(index)[dim];
  return {box.extent(), part.extent(),
          kernel,       map.stride,
          dilation,     box.empty() ? 0 : box.begin - (part.begin * map.stride + map.offset)};
}

}  // namespace soapstone::kernels::detail
