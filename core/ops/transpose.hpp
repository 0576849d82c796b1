// transpose: dimension d of y is dimension permutation[d] of x; dx is dy the other way round.
//
// Shapes: x any [n, …] in any order, y row-major. Axes: the dimensions of x, all splittable. No
// FLOPs.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Transpose {
  static constexpr std::string_view kName = "transpose";
  std::vector<std::int64_t> permutation;  // every dimension of x once

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    std::vector<std::int64_t> sorted = permutation;
    std::sort(sorted.begin(), sorted.end());
    bool is_permutation = sorted.size() == in.size();
    for (std::size_t k = 0; is_permutation && k < in.size(); ++k)
      is_permutation = sorted[k] == static_cast<std::int64_t>(k);
    if (!is_permutation)
      return usage_error("permutation = {}: input {} wants each of its {} dimensions (from 0) once",
                         print(permutation), print(in), in.size());
    Definer d;
    const auto axes = d.axes_of(in);
    Shape out;
    std::vector<DimMap> out_dims;
    for (const std::int64_t k : permutation) {
      out.push_back(in[k]);
      out_dims.push_back(DimMap::along(axes[k]));
    }
    const int x = d.input("x", inputs[0], along(axes));
    const int y = d.output("y", {out, inputs[0].dtype, {}}, out_dims);
    d.step("forward", Phase::kForward).reads(x).writes(y);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(Definer::grad(y))
        .writes(Definer::grad(x));
    return d.take();
  }

  friend bool operator==(const Transpose&, const Transpose&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("permutation", self.permutation);
  }
};

}  // namespace soapstone::core
