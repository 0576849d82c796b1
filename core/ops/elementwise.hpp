// What the operators that treat every element alone have in common.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

// y = f(x), element by element: every dimension is an axis, all may be split.
// `derivative_from`: backward reads the output "y" or the input "x".
enum class DerivativeFrom { kInput, kOutput, kNeither };
inline Result<OpDefinition> define_unary(std::span<const TensorDesc> inputs,
                                         DerivativeFrom derivative_from, double flops_per_element) {
  if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
  Definer d;
  const auto axes = d.axes_of(inputs[0].shape);
  const int x = d.input("x", inputs[0], along(axes));
  const int y = d.output("y", inputs[0], along(axes));
  d.step("forward", Phase::kForward).reads(x).writes(y).flops(flops_per_element, axes);
  auto backward = d.step("backward_input", Phase::kBackwardInput);
  if (derivative_from == DerivativeFrom::kInput) backward.reads(x);
  if (derivative_from == DerivativeFrom::kOutput) backward.reads(y);
  backward.reads(Definer::grad(y)).writes(Definer::grad(x)).flops(flops_per_element, axes);
  return d.take();
}

}  // namespace soapstone::core
