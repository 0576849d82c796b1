// cast: y = x in another floating-point type, rounded to nearest; dx = dy in the type of x.
//
// Shapes: x, y any [n, …]. No FLOPs. Moves each element once in both types.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Cast {
  static constexpr std::string_view kName = "cast";
  DType to = DType::kF32;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    if (to == DType::kI32) return usage_error("to = i32: bf16, f32 and f64 are accepted");
    Definer d;
    const auto axes = d.axes_of(inputs[0].shape);
    const int x = d.input("x", inputs[0], along(axes));
    const int y = d.output("y", {inputs[0].shape, to, inputs[0].order}, along(axes));
    d.step("forward", Phase::kForward).reads(x).writes(y);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(Definer::grad(y))
        .writes(Definer::grad(x));
    return d.take();
  }

  friend bool operator==(const Cast&, const Cast&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("to", self.to);
  }
};

}  // namespace soapstone::core
