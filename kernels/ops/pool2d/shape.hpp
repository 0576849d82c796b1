// A local pool2d problem.
#pragma once

#include "kernels/detail/operand.hpp"
#include "kernels/detail/window.hpp"

namespace soapstone::kernels {

struct PoolShape {
  std::int64_t n = 0, c = 0;
  detail::Window h, w;
  bool maximum = true;
  bool count_padding = true;
  detail::LocalOperand x, y;  // [n, c, h, w], [n, c, oh, ow]; the choice lies as y

  explicit PoolShape(const core::LocalProblem& problem);
};

}  // namespace soapstone::kernels
