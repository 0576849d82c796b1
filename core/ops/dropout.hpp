// dropout: y = x m / (1 - rate), m in {0, 1} with P(m = 0) = rate.
//
// The mask is not stored. It is a counter-based random number keyed by the
// run's seed, the training step, the operator's index in the graph and the
// element's index in the unsharded tensor, so that it does not depend on the
// layout; backward draws it again. In evaluation y = x.
// Shapes: x, y any [n, …]. Counted as 10 FLOPs per element (Philox).
// Source: Srivastava et al. 2014; Salmon et al. 2011 for the generator.
#pragma once

#include "core/ops/elementwise.hpp"

namespace soapstone::core {

struct Dropout {
  static constexpr std::string_view kName = "dropout";
  double rate = 0.5;  // in [0, 1)

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (!(rate >= 0 && rate < 1)) return usage_error("rate = {}: must be in [0, 1)", rate);
    return define_unary(inputs, DerivativeFrom::kNeither, 10);
  }
  friend bool operator==(const Dropout&, const Dropout&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rate", self.rate);
  }
};

}  // namespace soapstone::core
