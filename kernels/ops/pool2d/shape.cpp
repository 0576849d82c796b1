#include "kernels/ops/pool2d/shape.hpp"

#include "core/ops/pool2d.hpp"

namespace soapstone::kernels {

PoolShape::PoolShape(const core::LocalProblem& problem)
    : x(detail::local_operand(problem, "x")), y(detail::local_operand(problem, "y")) {
  const auto* op = problem.op.get_if<core::Pool2D>();
  SOAPSTONE_ASSERT(op != nullptr, "{} is not pool2d", problem.op.name());
  n = problem.axes[problem.definition->axis("n")].extent();
  c = problem.axes[problem.definition->axis("c")].extent();
  h = detail::local_window(problem, "x", 2, op->kernel[0], 1);
  w = detail::local_window(problem, "x", 3, op->kernel[1], 1);
  maximum = op->kind == core::PoolKind::kMax;
  count_padding = op->count_padding;
}

}  // namespace soapstone::kernels
