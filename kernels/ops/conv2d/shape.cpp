#include "kernels/ops/conv2d/shape.hpp"

#include "core/ops/conv2d.hpp"

namespace soapstone::kernels {

ConvShape::ConvShape(const core::LocalProblem& problem)
    : x(detail::local_operand(problem, "x")),
      weight(detail::local_operand(problem, "weight")),
      y(detail::local_operand(problem, "y")) {
  const auto* op = problem.op.get_if<core::Conv2D>();
  SOAPSTONE_ASSERT(op != nullptr, "{} is not conv2d", problem.op.name());
  const auto extent = [&](std::string_view axis) {
    return problem.axes[problem.definition->axis(axis)].extent();
  };
  n = extent("n");
  if (op->groups == 1) {
    co = extent("co");
    ci = extent("ci");
    whole = ci == problem.definition->axes[problem.definition->axis("ci")].extent;
  } else {
    const auto& operands = problem.definition->operands;
    groups = extent("g");
    co = op->out_channels / op->groups;
    ci = operands[problem.definition->operand("weight")].desc.shape[1];
  }
  h = detail::local_window(problem, "x", 2, op->kernel[0], op->dilation[0]);
  w = detail::local_window(problem, "x", 3, op->kernel[1], op->dilation[1]);
  relu = op->activation == core::Activation::kRelu;
  bias = detail::has_operand(problem, "bias");
}

}  // namespace soapstone::kernels
