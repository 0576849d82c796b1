#include "kernels/ops/linear/shape.hpp"

#include "core/ops/linear.hpp"

namespace soapstone::kernels {

LinearShape::LinearShape(const core::LocalProblem& problem)
    : x(detail::local_operand(problem, "x")),
      w(detail::local_operand(problem, "weight")),
      y(detail::local_operand(problem, "y")) {
  const auto* op = problem.op.get_if<core::Linear>();
  SOAPSTONE_ASSERT(op != nullptr, "{} is not linear", problem.op.name());
  const int contracted = static_cast<int>(op->contracted_dims);
  const int outs = static_cast<int>(op->out_features.size());
  const int batches = static_cast<int>(x.extents.size()) - contracted;
  int axis = 0;  // the definition's axes are b…, o…, i…
  for (int k = 0; k < batches; ++k) {
    b *= problem.axes[axis++].extent();
    x_b.push_back(k);
    y_b.push_back(k);
  }
  for (int k = 0; k < outs; ++k) {
    o *= problem.axes[axis++].extent();
    w_o.push_back(k);
    y_o.push_back(batches + k);
  }
  for (int k = 0; k < contracted; ++k) {
    whole &= problem.axes[axis].extent() == problem.definition->axes[axis].extent;
    i *= problem.axes[axis++].extent();
    x_i.push_back(batches + k);
    w_i.push_back(outs + k);
  }
  relu = op->activation == core::Activation::kRelu;
  bias = detail::has_operand(problem, "bias");
  if (op->bias) bias_strides = detail::local_operand(problem, "bias").strides;
}

}  // namespace soapstone::kernels
