// swiglu: y = silu(gate) up, silu(g) = g σ(g), σ(g) = 1 / (1 + e^-g);
// dup = dy silu(gate), dgate = dy up σ(gate) (1 + gate (1 - σ(gate))).
//
// Shapes: gate, up, y any [n, …]. FLOPs: counted 10 per element forward, 14 backward.
// Source: Shazeer 2020, arXiv 2002.05202 (the projections are linear operators of their own).
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Swiglu {
  static constexpr std::string_view kName = "swiglu";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    SOAPSTONE_TRY(check_pair(inputs, "gate", "up"));
    Definer d;
    const auto axes = d.axes_of(inputs[0].shape);
    const int gate = d.input("gate", inputs[0], along(axes));
    const int up = d.input("up", inputs[1], along(axes));
    const int y = d.output("y", inputs[0], along(axes));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({gate, up}).writes(y).flops(10, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({gate, up, G{y}})
        .writes({G{gate}, G{up}})
        .flops(14, axes);
    return d.take();
  }

  friend bool operator==(const Swiglu&, const Swiglu&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
