// softsign: y = x / (1 + |x|), dx = dy / (1 + |x|)².
//
// Shapes: x, y any [n, …]. Counted as 3 FLOPs per element. Reads and writes each element once.
// Source: Bergstra et al. 2009, Quadratic polynomials learn better image features; PyTorch's
// softsign.
#pragma once

#include "core/ops/elementwise.hpp"

namespace soapstone::core {

struct Softsign {
  static constexpr std::string_view kName = "softsign";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    return define_unary(inputs, DerivativeFrom::kInput, 3);
  }
  friend bool operator==(const Softsign&, const Softsign&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
