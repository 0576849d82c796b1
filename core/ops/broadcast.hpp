// What the operators y = f(a, b) with broadcasting have in common: shapes are aligned at the last
// dimension, and an extent of 1 or a missing dimension is repeated.
#pragma once

#include <algorithm>

#include "core/op_definition.hpp"

namespace soapstone::core {

// The operands a, b and y: y has the larger extent of a and b in each dimension, and an axis for
// each of its dimensions. The order in memory is that of the input that is not repeated, a first.
struct BroadcastOperands {
  std::vector<int> axes;  // of y
  int a = 0, b = 0, y = 0;
};
inline Result<BroadcastOperands> broadcast_operands(Definer& d,
                                                    std::span<const TensorDesc> inputs) {
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
  BroadcastOperands operands;
  operands.axes = d.axes_of(out);
  const auto dims_of = [&](const Shape& s) {
    std::vector<DimMap> dims;
    const std::size_t missing = rank - s.size();
    for (std::size_t i = 0; i < s.size(); ++i)
      dims.push_back(s[i] == out[missing + i] ? DimMap::along(operands.axes[missing + i])
                                              : DimMap::whole());
    return dims;
  };
  operands.a = d.input("a", inputs[0], dims_of(a));
  operands.b = d.input("b", inputs[1], dims_of(b));
  operands.y = d.output("y",
                        {out, inputs[0].dtype,
                         a == out   ? inputs[0].order
                         : b == out ? inputs[1].order
                                    : DimOrder{}},
                        along(operands.axes));
  return operands;
}

}  // namespace soapstone::core
