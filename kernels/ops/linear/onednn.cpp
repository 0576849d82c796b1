// linear through oneDNN, f32 or bf16: forward as matmul with bias and activation fused, gradients
// as inner_product, all on the plain layouts x [b, i], w [o, i], y [b, o]. The bias gradient comes
// with that of the weight.
#include <fmt/core.h>

#include "kernels/onednn/layer.hpp"
#include "kernels/ops/linear/shape.hpp"

namespace soapstone::kernels {

namespace {

onednn::Layer layer_of(const core::LocalProblem& problem) {
  const LinearShape shape(problem);
  const onednn::Product product{shape.b, shape.o, shape.i, shape.bias, problem.dtype()};
  const auto fused = shape.relu && shape.whole ? onednn::Fused::kRelu : onednn::Fused::kNone;
  return {product_forward(product, fused), product_backward_input(product),
          product_backward_weight(product)};
}

bool lies_row_major(const detail::LocalOperand& operand) {
  const core::Shape strides = core::packed_strides(operand.extents, {});
  for (std::size_t d = 0; d < strides.size(); ++d)
    if (operand.extents[d] > 1 && operand.strides[d] != strides[d]) return false;
  return true;
}

}  // namespace

std::string linear_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  const LinearShape shape(problem);
  for (const auto& [name, operand] :
       {std::pair("x", &shape.x), std::pair("weight", &shape.w), std::pair("y", &shape.y)})
    if (!lies_row_major(*operand))
      return fmt::format("linear/onednn wants {} row-major, its dimensions lie in the order {}",
                         name, core::print(operand->order));
  return layer_of(problem).why_not();
}

std::unique_ptr<PreparedKernel> linear_onednn(const core::LocalProblem& problem) {
  return onednn::prepare_layer("linear", problem, layer_of(problem));
}

core::Bytes linear_onednn_workspace(const core::LocalProblem& problem) {
  return layer_of(problem).workspace();
}

}  // namespace soapstone::kernels
