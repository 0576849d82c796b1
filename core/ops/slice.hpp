// slice: y[i0, i1, …] = x[start0 + i0·step0, start1 + i1·step1, …]; the gradient of what is not
// taken is zero.
//
// Shapes: x, y any [n, …]; dimension d of y has ⌈(stop - start) / step⌉ indices. A stop of 0 stands
// for the end, whatever the extent, so that a whole batch stays whole in micro-batches. Axes: the
// dimensions of y, all splittable. A part touches x from its first to its last index: backward
// writes zeros between them, and what no part touches is zero where the gradient is read. No FLOPs.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Slice {
  static constexpr std::string_view kName = "slice";
  std::vector<std::int64_t> starts;      // per dimension
  std::vector<std::int64_t> stops;       // per dimension, not taken any more; 0: the end
  std::vector<std::int64_t> steps = {};  // per dimension; none: 1 in all

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (starts.size() != in.size() || stops.size() != in.size() ||
        (!steps.empty() && steps.size() != in.size()))
      return usage_error(
          "starts = {}, stops = {}, steps = {}: input {} wants {} of each (or no steps)",
          print(starts), print(stops), print(steps), print(in), in.size());
    TensorDesc out = inputs[0];
    for (std::size_t k = 0; k < in.size(); ++k) {
      const std::int64_t step = step_of(k), stop = stops[k] == 0 ? in[k] : stops[k];
      if (step < 1) return usage_error("steps = {}: every step must be at least 1", print(steps));
      const bool is_empty = in[k] == 0 && starts[k] == 0 && stop == 0;
      if (!is_empty && (starts[k] < 0 || starts[k] >= stop || stop > in[k]))
        return usage_error(
            "starts = {}, stops = {}: dimension {} of input {} allows 0 <= start < stop <= {} (a "
            "stop of 0: {})",
            print(starts), print(stops), k, print(in), in[k], in[k]);
      out.shape[k] = (stop - starts[k] + step - 1) / step;
    }
    Definer d;
    const auto axes = d.axes_of(out.shape);
    std::vector<DimMap> dims;
    for (std::size_t k = 0; k < in.size(); ++k)
      dims.push_back(DimMap::window(axes[k], step_of(k), starts[k], 1));
    const int x = d.input("x", inputs[0], dims);
    const int y = d.output("y", out, along(axes));
    d.step("forward", Phase::kForward).reads(x).writes(y);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(Definer::grad(y))
        .writes(Definer::grad(x));
    return d.take();
  }

  std::int64_t step_of(std::size_t dim) const { return steps.empty() ? 1 : steps[dim]; }

  friend bool operator==(const Slice&, const Slice&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("starts", self.starts);
    visit("stops", self.stops);
    visit("steps", self.steps, kOptional);
  }
};

}  // namespace soapstone::core
