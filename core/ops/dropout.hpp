// dropout: y = x m / (1 - rate), m in {0, 1} with P(m = 0) = rate.
//
// The mask is not stored. It is a counter-based random number keyed by the
// run's seed, the training step, the operator's index in the graph and the
// element's index in the unsharded tensor, so that it does not depend on the
// layout; backward draws it again. In evaluation y = x. A dimension that stands
// in zig-zag order (zigzag.hpp) counts with its positions: an element's number
// is the same in any order.
// Shapes: x, y any [n, …]. Counted as 10 FLOPs per element (Philox).
// Source: Srivastava et al. 2014; Salmon et al. 2011 for the generator.
#pragma once

#include "core/ops/elementwise.hpp"
#include "core/zigzag.hpp"

namespace soapstone::core {

struct Dropout {
  static constexpr std::string_view kName = "dropout";
  double rate = 0.5;  // in [0, 1)
  // Per dimension chunks of its order, 0: in order; those that are not named are in order.
  std::vector<std::int64_t> zigzag = {};

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (!(rate >= 0 && rate < 1)) return usage_error("rate = {}: must be in [0, 1)", rate);
    SOAPSTONE_ASSIGN(OpDefinition out, define_unary(inputs, DerivativeFrom::kNeither, 10));
    if (zigzag.size() > out.axes.size())
      return usage_error("zigzag = {}: there are {} dimensions", print(zigzag), out.axes.size());
    for (std::size_t d = 0; d < zigzag.size(); ++d) {
      if (const Status status = check_zigzag(out.axes[d].extent, zigzag[d]); !status)
        return usage_error("axis {}: {}", out.axes[d].name, status.error().message);
      out.axes[d].zigzag = zigzag[d];
    }
    return out;
  }

  Dropout in_zigzag(AxisSet axes, std::int64_t chunks) const {
    Dropout out = *this;
    out.zigzag.clear();
    for (int d = 0; (axes.bits >> d) != 0; ++d) out.zigzag.push_back(axes.has(d) ? chunks : 0);
    return out;
  }
  friend bool operator==(const Dropout&, const Dropout&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rate", self.rate);
    visit("zigzag", self.zigzag, kOptional);
  }
};

}  // namespace soapstone::core
