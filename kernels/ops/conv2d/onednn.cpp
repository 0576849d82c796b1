// conv2d through oneDNN, f32 or bf16, direct algorithms. Activations are used as they lie
// (channels-last is what the fast code wants); the weight is reordered to the layout that oneDNN
// prefers and back at every call, since for weights as they lie outside it has only its reference
// code. The bias gradient comes with that of the weight.
#include "kernels/onednn/layer.hpp"
#include "kernels/ops/conv2d/shape.hpp"

namespace soapstone::kernels {

namespace {

std::vector<std::int64_t> list(const core::Shape& shape) { return {shape.begin(), shape.end()}; }
onednn::Tensor tensor(const detail::LocalOperand& operand, core::DType dtype) {
  return {list(operand.extents), list(operand.strides), dtype};
}

onednn::Layer layer_of(const core::LocalProblem& problem) {
  const ConvShape shape(problem);
  const core::DType dtype = problem.dtype();
  onednn::Convolution c{
      .source = tensor(shape.x, dtype),
      .weight = tensor(shape.weight, core::DType::kF32),
      .destination = tensor(shape.y, dtype),
      .bias = shape.bias,
      .stride = {shape.h.stride, shape.w.stride},
      .dilation = {shape.h.dilation, shape.w.dilation},
      .pad_begin = {shape.h.pad_begin, shape.w.pad_begin},
      .pad_end = {shape.h.pad_end(), shape.w.pad_end()},
  };
  if (shape.groups > 1) {
    auto& [extents, strides, _] = c.weight;
    extents[0] = shape.co;
    extents.insert(extents.begin(), shape.groups);
    strides.insert(strides.begin(), shape.co * strides[0]);
  }
  const auto fused = shape.relu && shape.whole ? onednn::Fused::kRelu : onednn::Fused::kNone;
  return {convolution_forward(c, fused), convolution_backward_input(c),
          convolution_backward_weight(c)};
}

}  // namespace

std::string conv2d_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  return layer_of(problem).why_not();
}

std::unique_ptr<PreparedKernel> conv2d_onednn(const core::LocalProblem& problem) {
  return onednn::prepare_layer("conv2d", problem, layer_of(problem));
}

core::Bytes conv2d_onednn_workspace(const core::LocalProblem& problem) {
  return layer_of(problem).workspace();
}

}  // namespace soapstone::kernels
