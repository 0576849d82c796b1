// add: y = a + b with broadcasting: shapes are aligned at the last dimension, and an extent of 1 or
// a missing dimension is repeated. Where an operand is repeated its gradient is summed over the
// repeated dimension.
//
// Shapes: y the larger of a and b in each dimension. 1 FLOP per element of y.
#pragma once

#include "core/ops/broadcast.hpp"

namespace soapstone::core {

struct Add {
  static constexpr std::string_view kName = "add";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    Definer d;
    SOAPSTONE_ASSIGN(const BroadcastOperands o, broadcast_operands(d, inputs));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({o.a, o.b}).writes(o.y).flops(1, o.axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads(G{o.y})
        .writes({G{o.a}, G{o.b}})
        .reduces(o.axes)
        .flops(1, o.axes);
    return d.take();
  }

  friend bool operator==(const Add&, const Add&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
