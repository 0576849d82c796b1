// concat: joins the inputs x0, x1, … along one dimension.
//
// Shapes: equal but for dimension `dim`, where y has the sum. No FLOPs. A part of y may touch none
// of an input: its piece of that input is empty.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Concat {
  static constexpr std::string_view kName = "concat";
  std::int64_t dim = 1;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.empty()) return usage_error("takes at least one input, got none");
    const auto rank = static_cast<std::int64_t>(inputs[0].shape.size());
    if (dim < 0 || dim >= rank)
      return usage_error("dim = {}: inputs of rank {} allow 0 to {}", dim, rank, rank - 1);
    TensorDesc out = inputs[0];
    for (std::size_t k = 1; k < inputs.size(); ++k) {
      Shape expected = inputs[0].shape;
      if (inputs[k].shape.size() == expected.size()) expected[dim] = inputs[k].shape[dim];
      if (inputs[k].shape != expected || inputs[k].dtype != out.dtype)
        return usage_error(
            "input {} is {} {} but input 0 is {} {}: they may differ in dimension {} only", k,
            name_of(inputs[k].dtype), print(inputs[k].shape), name_of(out.dtype),
            print(inputs[0].shape), dim);
      out.shape[dim] += inputs[k].shape[dim];
    }
    Definer d;
    const auto axes = d.axes_of(out.shape);
    std::int64_t start = 0;
    std::vector<int> x;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      auto dims = along(axes);
      dims[dim] = DimMap::window(axes[dim], 1, -start, 1);
      start += inputs[k].shape[dim];
      x.push_back(d.input("x" + std::to_string(k), inputs[k], dims));
    }
    const int y = d.output("y", out, along(axes));
    auto forward = d.step("forward", Phase::kForward);
    for (const int i : x) forward.reads(i);
    forward.writes(y);
    auto backward = d.step("backward_input", Phase::kBackwardInput).reads(Definer::grad(y));
    for (const int i : x) backward.writes(Definer::grad(i));
    return d.take();
  }

  friend bool operator==(const Concat&, const Concat&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("dim", self.dim);
  }
};

}  // namespace soapstone::core
