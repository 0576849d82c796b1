// A local conv2d problem.
#pragma once

#include "kernels/detail/operand.hpp"
#include "kernels/detail/window.hpp"

namespace soapstone::kernels {

struct ConvShape {
  std::int64_t n = 0, groups = 1;
  std::int64_t co = 0, ci = 0;  // local channels of one group
  detail::Window h, w;
  bool bias = false;  // this part adds it
  bool relu = false;
  bool whole = true;  // no part of the sums is elsewhere: the activation is fused
  detail::LocalOperand x, weight,
      y;  // [n, groups·ci, h, w], [groups·co, ci, kh, kw], [n, groups·co, oh, ow]

  explicit ConvShape(const core::LocalProblem& problem);
};

}  // namespace soapstone::kernels
