// rms_norm: y = gamma x / √(mean(x²) + epsilon) over the last dimension.
//
// Shapes: x, y [n, …, c]; gamma [c]. Internal: `inverse_rms` [n, …] = 1/√(mean(x²) + epsilon).
// Axes: n sample, further leading dimensions attribute, c stays whole. FLOPs: counted 4 per element
// forward, 7 + 3 backward. Source: Zhang & Sennrich 2019, arXiv 1910.07467.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct RmsNorm {
  static constexpr std::string_view kName = "rms_norm";
  double epsilon = 1e-5;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() < 2) return usage_error("takes an input [n, …, c], got {}", print(in));
    if (!(epsilon > 0)) return usage_error("epsilon = {}: must be greater than 0", epsilon);
    Definer d;
    std::vector<int> lead;
    Shape rows;
    for (std::size_t k = 0; k + 1 < in.size(); ++k) {
      lead.push_back(d.axis(k == 0   ? "n"
                            : k == 1 ? "s"
                                     : "b" + std::to_string(k),
                            in[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
      rows.push_back(in[k]);
    }
    const int c = d.axis("c", in.back(), AxisRole::kAttribute, Coupling::kUnsplittable);
    std::vector<int> all = lead;
    all.push_back(c);
    const DType t = inputs[0].dtype;
    const int x = d.input("x", {in, t, {}}, along(all));
    const int gamma =
        d.weight("gamma", {{in.back()}, t, {}}, {DimMap::along(c)}, {InitKind::kOnes, 0});
    const int y = d.output("y", {in, t, {}}, along(all));
    const int inverse_rms = d.internal("inverse_rms", {rows, master_of(t), {}}, along(lead));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({x, gamma}).writes({y, inverse_rms}).flops(4, all);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, gamma, inverse_rms, G{y}})
        .writes(G{x})
        .flops(7, all);
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({x, inverse_rms, G{y}})
        .writes(G{gamma})
        .reduces(lead)
        .flops(3, all);
    return d.take();
  }

  friend bool operator==(const RmsNorm&, const RmsNorm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epsilon", self.epsilon, kOptional);
  }
};

}  // namespace soapstone::core
