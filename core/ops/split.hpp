// split: cuts x into the outputs y0, y1, … along one dimension; the inverse of concat.
//
// Shapes: equal but for dimension `dim`, where x has the sum of `sizes`. No FLOPs. Axes: the
// dimensions of x, all splittable. A part of x may hold nothing of an output: its piece of that
// output is empty. An output that nothing uses has no gradient; its piece of dx is zero.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Split {
  static constexpr std::string_view kName = "split";
  std::int64_t dim = 1;
  std::vector<std::int64_t> sizes;  // extents of the outputs in dimension `dim`

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    const auto rank = static_cast<std::int64_t>(in.size());
    if (dim < 0 || dim >= rank)
      return usage_error("dim = {}: an input of rank {} allows 0 to {}", dim, rank, rank - 1);
    std::int64_t sum = 0;
    for (const std::int64_t size : sizes) {
      if (size < 1) return usage_error("sizes = {}: every size must be at least 1", print(sizes));
      sum += size;
    }
    if (sizes.empty() || sum != in[dim])
      return usage_error("sizes = {} add up to {}: dimension {} of input {} has {}", print(sizes),
                         sum, dim, print(in), in[dim]);
    Definer d;
    const auto axes = d.axes_of(in);
    const int x = d.input("x", inputs[0], along(axes));
    std::int64_t start = 0;
    std::vector<int> y;
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      TensorDesc out = inputs[0];
      out.shape[dim] = sizes[k];
      auto dims = along(axes);
      dims[dim] = DimMap::window(axes[dim], 1, -start, 1);
      start += sizes[k];
      y.push_back(d.output("y" + std::to_string(k), out, dims));
    }
    auto forward = d.step("forward", Phase::kForward).reads(x);
    for (const int i : y) forward.writes(i);
    auto backward = d.step("backward_input", Phase::kBackwardInput);
    for (const int i : y) backward.reads(Definer::grad(i));
    backward.writes(Definer::grad(x));
    return d.take();
  }

  friend bool operator==(const Split&, const Split&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("dim", self.dim);
    visit("sizes", self.sizes);
  }
};

}  // namespace soapstone::core
