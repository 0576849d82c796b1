// binary: y = f(a, b), element by element with broadcasting as in add; f is subtract, multiply,
// divide, maximum or minimum.
//
//   subtract a - b   da = dy            db = -dy
//   multiply a b     da = dy b          db = dy a
//   divide a / b     da = dy / b        db = -dy a / b²
//   maximum, minimum: the gradient goes to the operand that is chosen, half to each where both are
//   equal, as in PyTorch
//
// Where an operand is repeated its gradient is summed over the repeated dimension.
// Shapes: y the larger of a and b in each dimension. FLOPs: 1 per element of y forward; backward 1
// for subtract, 4 for divide, 2 for the others.
#pragma once

#include "core/ops/broadcast.hpp"

namespace soapstone::core {

enum class BinaryFunction : std::uint8_t { kSubtract, kMultiply, kDivide, kMaximum, kMinimum };
SOAPSTONE_ENUM_NAMES(BinaryFunction, {BinaryFunction::kSubtract, "subtract"},
                     {BinaryFunction::kMultiply, "multiply"}, {BinaryFunction::kDivide, "divide"},
                     {BinaryFunction::kMaximum, "maximum"}, {BinaryFunction::kMinimum, "minimum"})

struct Binary {
  static constexpr std::string_view kName = "binary";
  BinaryFunction function = BinaryFunction::kMultiply;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    Definer d;
    SOAPSTONE_ASSIGN(const BroadcastOperands o, broadcast_operands(d, inputs));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({o.a, o.b}).writes(o.y).flops(1, o.axes);
    auto backward = d.step("backward_input", Phase::kBackwardInput);
    if (function != BinaryFunction::kSubtract) backward.reads({o.a, o.b});
    backward.reads(G{o.y})
        .writes({G{o.a}, G{o.b}})
        .reduces(o.axes)
        .flops(function == BinaryFunction::kSubtract ? 1
               : function == BinaryFunction::kDivide ? 4
                                                     : 2,
               o.axes);
    return d.take();
  }

  friend bool operator==(const Binary&, const Binary&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("function", self.function);
  }
};

}  // namespace soapstone::core
