// relu: y = max(x, 0), dx = dy where y > 0.
//
// Shapes: x, y any [n, …]. 1 FLOP per element. Reads and writes each element once.
#pragma once

#include "core/ops/elementwise.hpp"

namespace soapstone::core {

struct Relu {
  static constexpr std::string_view kName = "relu";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    return define_unary(inputs, DerivativeFrom::kOutput, 1);
  }
  friend bool operator==(const Relu&, const Relu&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
