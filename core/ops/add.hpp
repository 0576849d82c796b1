// add: y = a + b with broadcasting: shapes are aligned at the last dimension, and an extent of 1 or
// a missing dimension is repeated. Where an operand is repeated its gradient is summed over the
// repeated dimension.
//
// Shapes: y the larger of a and b in each dimension. 1 FLOP per element of y.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Add {
  static constexpr std::string_view kName = "add";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 2) return usage_error("takes two inputs, got {}", inputs.size());
    const Shape &a = inputs[0].shape, &b = inputs[1].shape;
    if (inputs[0].dtype != inputs[1].dtype)
      return usage_error("inputs are {} and {}: both must have one dtype", name_of(inputs[0].dtype),
                         name_of(inputs[1].dtype));
    const std::size_t rank = std::max(a.size(), b.size());
    const auto extent_at = [&](const Shape& s, std::size_t dim) {
      const std::size_t missing = rank - s.size();
      return dim < missing ? std::int64_t{1} : s[dim - missing];
    };
    Shape out;
    for (std::size_t i = 0; i < rank; ++i) {
      const auto ea = extent_at(a, i), eb = extent_at(b, i);
      if (ea != eb && ea != 1 && eb != 1)
        return usage_error(
            "shapes {} and {} do not broadcast: dimension {} from the end is {} and {}", print(a),
            print(b), rank - i, ea, eb);
      out.push_back(ea == 1 ? eb : ea);
    }
    Definer d;
    const auto axes = d.axes_of(out);
    const auto dims_of = [&](const Shape& s) {
      std::vector<DimMap> dims;
      const std::size_t missing = rank - s.size();
      for (std::size_t i = 0; i < s.size(); ++i)
        dims.push_back(s[i] == out[missing + i] ? DimMap::along(axes[missing + i])
                                                : DimMap::whole());
      return dims;
    };
    const int ia = d.input("a", inputs[0], dims_of(a));
    const int ib = d.input("b", inputs[1], dims_of(b));
    const int y = d.output("y",
                           {out, inputs[0].dtype,
                            a == out   ? inputs[0].order
                            : b == out ? inputs[1].order
                                       : DimOrder{}},
                           along(axes));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({ia, ib}).writes(y).flops(1, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(G{y})
        .writes({G{ia}, G{ib}})
        .reduces(axes)
        .flops(1, axes);
    return d.take();
  }

  friend bool operator==(const Add&, const Add&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
