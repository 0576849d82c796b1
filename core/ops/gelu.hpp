// gelu: y = x Φ(x) with the exact normal distribution, Φ(x) = (1 + erf(x / √2)) / 2;
// dx = dy (Φ(x) + x φ(x)).
//
// Shapes: x, y any [n, …]. Counted as 10 FLOPs per element.
// Source: Hendrycks & Gimpel 2016, arXiv 1606.08415.
#pragma once

#include "core/ops/elementwise.hpp"

namespace soapstone::core {

struct Gelu {
  static constexpr std::string_view kName = "gelu";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    return define_unary(inputs, DerivativeFrom::kInput, 10);
  }
  friend bool operator==(const Gelu&, const Gelu&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
