// layer_norm: y = gamma (x - mean) / √(var + epsilon) + beta over the last dimension, biased
// variance.
//
// Shapes: x, y [n, …, c]; gamma, beta [c]. Internal: `statistics` [n, …, 2] = (mean, 1/√(var +
// epsilon)). Axes: n sample, further leading dimensions attribute, c stays whole. FLOPs: counted 8
// per element forward, 12 backward. Source: Ba, Kiros, Hinton 2016, arXiv 1607.06450.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct LayerNorm {
  static constexpr std::string_view kName = "layer_norm";
  double epsilon = 1e-5;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() < 2) return usage_error("takes an input [n, …, c], got {}", print(in));
    if (!(epsilon > 0)) return usage_error("epsilon = {}: must be greater than 0", epsilon);
    Definer d;
    std::vector<int> lead;
    for (std::size_t k = 0; k + 1 < in.size(); ++k)
      lead.push_back(d.axis(k == 0   ? "n"
                            : k == 1 ? "s"
                                     : "b" + std::to_string(k),
                            in[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    const int c = d.axis("c", in.back(), AxisRole::kAttribute, Coupling::kUnsplittable);
    std::vector<int> all = lead;
    all.push_back(c);
    const DType t = inputs[0].dtype;
    Shape statistics_shape;
    for (std::size_t k = 0; k + 1 < in.size(); ++k) statistics_shape.push_back(in[k]);
    statistics_shape.push_back(2);
    auto statistics_dims = along(lead);
    statistics_dims.push_back(DimMap::whole());
    const int x = d.input("x", {in, t, {}}, along(all));
    const int gamma =
        d.weight("gamma", {{in.back()}, t, {}}, {DimMap::along(c)}, {InitKind::kOnes, 0});
    const int beta =
        d.weight("beta", {{in.back()}, t, {}}, {DimMap::along(c)}, {InitKind::kZeros, 0});
    const int y = d.output("y", {in, t, {}}, along(all));
    const int statistics =
        d.internal("statistics", {statistics_shape, master_of(t), {}}, statistics_dims);
    using G = Definer::Grad;
    d.step("forward", Phase::kForward)
        .reads({x, gamma, beta})
        .writes({y, statistics})
        .flops(8, all);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, gamma, statistics, G{y}})
        .writes(G{x})
        .flops(9, all);
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({x, statistics, G{y}})
        .writes({G{gamma}, G{beta}})
        .reduces(lead)
        .flops(3, all);
    return d.take();
  }

  friend bool operator==(const LayerNorm&, const LayerNorm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epsilon", self.epsilon, kOptional);
  }
};

}  // namespace soapstone::core
