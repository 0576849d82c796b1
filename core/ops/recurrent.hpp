// What the recurrent layers have in common.
#pragma once

#include <cmath>

#include "core/op_definition.hpp"

namespace soapstone::core {

// The inputs are x [n, s, i] and states [n, hidden], of one dtype. `names`: "x, h0 and c0".
inline Status check_recurrent(std::span<const TensorDesc> inputs, std::int64_t hidden,
                              std::size_t states, std::string_view names) {
  if (inputs.size() != 1 + states)
    return usage_error("takes {}, got {} inputs", names, inputs.size());
  if (hidden < 1) return usage_error("hidden = {}: must be at least 1", hidden);
  const Shape& x = inputs[0].shape;
  if (x.size() != 3) return usage_error("takes x [n, s, i], got {}", print(x));
  if (x[1] < 1 || x[2] < 1)
    return usage_error("x {} has {} time steps of {} features: at least 1 of each is wanted",
                       print(x), x[1], x[2]);
  for (std::size_t k = 1; k < inputs.size(); ++k)
    if (inputs[k].shape != Shape{x[0], hidden} || inputs[k].dtype != inputs[0].dtype)
      return usage_error("state {} is {} {}: x is {} {} and hidden = {}, so {} {} is wanted", k - 1,
                         name_of(inputs[k].dtype), print(inputs[k].shape), name_of(inputs[0].dtype),
                         print(x), hidden, name_of(inputs[0].dtype), print(Shape{x[0], hidden}));
  return {};
}

// The axes of a recurrent layer. Every time step needs all of h of the one before, so that neither
// time nor h can be split within one step.
struct RecurrentAxes {
  int n, s, h, i;

  RecurrentAxes(Definer& d, const Shape& x, std::int64_t hidden)
      : n(d.axis("n", x[0], AxisRole::kSample)),
        s(d.axis("s", x[1], AxisRole::kAttribute, Coupling::kUnsplittable)),
        h(d.axis("h", hidden, AxisRole::kParameter, Coupling::kUnsplittable)),
        i(d.axis("i", x[2], AxisRole::kReduction)) {}
};

}  // namespace soapstone::core
