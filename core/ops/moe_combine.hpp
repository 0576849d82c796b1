// moe_combine: brings the experts' results back to their tokens,
//   y[n, s] = Σ_k weights[n, s, k] x[n, slots[n, s, k]], a slot e·C + c is row (e, c) of x; -1 adds
// nothing. dx[n, slot] = Σ weights dy over the (s, k) that have this slot, dweights = dy · x[slot].
//
// Shapes: x [n, e, c, d], weights and slots [n, s, k] as moe_dispatch gives them, slots i32, y [n,
// s, d]. Axes: n sample; s and d attribute; e reduction: rows of another part count as zero, so
// that a split of it leaves partial sums; c and k stay whole. FLOPs: 2·k per element of y forward,
// 4·k backward. Source: Lepikhin et al. 2020, arXiv 2006.16668.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct MoeCombine {
  static constexpr std::string_view kName = "moe_combine";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 3)
      return usage_error("takes x, weights and slots, got {} inputs", inputs.size());
    const Shape &in = inputs[0].shape, &routes = inputs[1].shape;
    if (in.size() != 4 || routes.size() != 3 || routes[0] != in[0] || inputs[2].shape != routes ||
        inputs[1].dtype != inputs[0].dtype || inputs[2].dtype != DType::kI32)
      return usage_error(
          "takes x [n, e, c, d], weights [n, s, k] of its dtype and i32 slots [n, s, k], got {} "
          "{}, {} {} and {} {}",
          name_of(inputs[0].dtype), print(in), name_of(inputs[1].dtype), print(routes),
          name_of(inputs[2].dtype), print(inputs[2].shape));
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int s = d.axis("s", routes[1], AxisRole::kAttribute);
    const int e = d.axis("e", in[1], AxisRole::kReduction);
    const int f = d.axis("d", in[3], AxisRole::kAttribute);
    const auto an = DimMap::along(n), as = DimMap::along(s), af = DimMap::along(f),
               whole = DimMap::whole();
    const int x = d.input("x", inputs[0], {an, DimMap::along(e), whole, af});
    const int weights = d.input("weights", inputs[1], {an, as, whole});
    const int slots = d.input("slots", inputs[2], {an, as, whole}, false);
    const int y = d.output("y", {{in[0], routes[1], in[3]}, inputs[0].dtype, {}}, {an, as, af});
    using G = Definer::Grad;
    // Of the k rows of a token an expert has one in so many.
    const double rows =
        static_cast<double>(routes[2]) / static_cast<double>(std::max<std::int64_t>(1, in[1]));
    d.step("forward", Phase::kForward)
        .reads({x, weights, slots})
        .writes(y)
        .reduces({e})
        .flops(2 * rows, {n, s, e, f});
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, weights, slots, G{y}})
        .writes({G{x}, G{weights}})
        .reduces({s, e, f})
        .flops(4 * rows, {n, s, e, f});
    return d.take();
  }

  friend bool operator==(const MoeCombine&, const MoeCombine&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
