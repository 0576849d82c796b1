// The matrices of a local linear problem.
#pragma once

#include <vector>

#include "kernels/detail/operand.hpp"

namespace soapstone::kernels {

// x [b, i], w [o, i], y [b, o]; each letter stands for a list of dimensions.
struct LinearShape {
  std::int64_t b = 1, o = 1, i = 1;  // local extents
  bool bias = false;                 // this part adds it
  bool relu = false;
  bool whole = true;  // no part of the sums is elsewhere: the activation is fused
  std::vector<int> x_b, x_i, w_o, w_i, y_b, y_o;  // dimensions of the operands
  detail::LocalOperand x, w, y;
  core::Shape bias_strides;

  explicit LinearShape(const core::LocalProblem& problem);
};

}  // namespace soapstone::kernels
