// pad: y is x with `before` and `after` more indices in each dimension, which hold `value`; dx is
// dy without them.
//
// Shapes: x, y any [n, …]; dimension d of y has before[d] + after[d] indices more. Axes: the
// dimensions of y, all splittable. A part of y may touch nothing of x: its piece of x is empty. No
// FLOPs.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Pad {
  static constexpr std::string_view kName = "pad";
  std::vector<std::int64_t> before;  // per dimension
  std::vector<std::int64_t> after;   // per dimension
  double value = 0;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (before.size() != in.size() || after.size() != in.size())
      return usage_error("before = {}, after = {}: input {} wants {} of each", print(before),
                         print(after), print(in), in.size());
    TensorDesc out = inputs[0];
    for (std::size_t k = 0; k < in.size(); ++k) {
      if (before[k] < 0 || after[k] < 0)
        return usage_error("before = {}, after = {}: must be at least 0 in every dimension",
                           print(before), print(after));
      out.shape[k] += before[k] + after[k];
    }
    Definer d;
    const auto axes = d.axes_of(out.shape);
    std::vector<DimMap> dims;
    for (std::size_t k = 0; k < in.size(); ++k)
      dims.push_back(DimMap::window(axes[k], 1, -before[k], 1));
    const int x = d.input("x", inputs[0], dims);
    const int y = d.output("y", out, along(axes));
    d.step("forward", Phase::kForward).reads(x).writes(y);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(Definer::grad(y))
        .writes(Definer::grad(x));
    return d.take();
  }

  friend bool operator==(const Pad&, const Pad&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("before", self.before);
    visit("after", self.after);
    visit("value", self.value, kOptional);
  }
};

}  // namespace soapstone::core
