// group_norm: y = gamma[c] (x - mean[n, g]) / √(var[n, g] + epsilon) + beta[c], mean and biased
// variance over the channels of group g = ⌊c / (channels / groups)⌋ and all positions of sample n.
// One group is the layer_norm of an image, as many groups as channels its instance normalisation.
//
// Shapes: x, y [n, c, …] in any order, gamma, beta [c]. Internal: `sums` [n, groups, 2] f64 = (Σ x,
// Σ x²) and `grad_sums` [n, groups, 2] f64 = (Σ dy gamma, Σ dy gamma x̂), x̂ the normalised x; both
// are partial sums over the split of the positions and are all-reduced between the steps, as in
// batch_norm, so that the answer depends on the split only by rounding in f64. Axes: n sample; g
// parameter, the groups, whose channels stay together; further dimensions attribute. FLOPs: counted
// 3 + 4 per element forward, 6 + 7 for dx, 4 for dgamma and dbeta. Source: Wu & He 2018, arXiv
// 1803.08494.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct GroupNorm {
  static constexpr std::string_view kName = "group_norm";
  std::int64_t groups = 1;
  double epsilon = 1e-5;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    constexpr std::size_t kMost = 5;  // dimensions
    if (in.size() < 2 || in.size() > kMost)
      return usage_error("takes an input [n, c, …] of rank 2 to {}, got {}", kMost, print(in));
    if (groups < 1 || in[1] < 1 || in[1] % groups != 0)
      return usage_error("groups = {} must divide the {} channels of input {}", groups, in[1],
                         print(in));
    if (!(epsilon > 0)) return usage_error("epsilon = {}: must be greater than 0", epsilon);
    static constexpr std::string_view kPositions[] = {"d", "h", "w"};
    const std::int64_t together = in[1] / groups;
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int g = d.axis("g", groups, AxisRole::kParameter);
    const DimMap channel = DimMap::window(g, together, 0, together);
    std::vector<int> axes{n, g}, positions, summed{n};
    std::vector<DimMap> dims{DimMap::along(n), channel};
    for (std::size_t k = 2; k < in.size(); ++k) {
      const auto name = in.size() == 3 ? std::string_view("s") : kPositions[k + 3 - in.size()];
      positions.push_back(
          d.axis(std::string(name), in[k], AxisRole::kAttribute, Coupling::kAllReduce));
      axes.push_back(positions.back());
      summed.push_back(positions.back());
      dims.push_back(DimMap::along(positions.back()));
    }
    const DType t = inputs[0].dtype;
    const int x = d.input("x", inputs[0], dims);
    const int gamma = d.weight("gamma", {{in[1]}, t, {}}, {channel}, {InitKind::kOnes, 0});
    const int beta = d.weight("beta", {{in[1]}, t, {}}, {channel}, {InitKind::kZeros, 0});
    const int y = d.output("y", inputs[0], dims);
    const TensorDesc table{{in[0], groups, 2}, DType::kF64, {}};
    const std::vector<DimMap> table_dims{DimMap::along(n), DimMap::along(g), DimMap::whole()};
    const int sums = d.internal("sums", table, table_dims);
    const int grad_sums = d.internal("grad_sums", table, table_dims);
    using G = Definer::Grad;
    const double c = static_cast<double>(together);
    d.step("statistics", Phase::kForward)
        .reads(x)
        .writes(sums)
        .reduces(positions)
        .flops(3 * c, axes);
    d.step("normalize", Phase::kForward).reads({x, sums, gamma, beta}).writes(y).flops(4 * c, axes);
    d.step("backward_statistics", Phase::kBackwardInput)
        .reads({x, sums, gamma, G{y}})
        .writes(grad_sums)
        .reduces(positions)
        .flops(6 * c, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, sums, gamma, G{y}, grad_sums})
        .writes(G{x})
        .flops(7 * c, axes);
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({x, sums, G{y}})
        .writes({G{gamma}, G{beta}})
        .reduces(summed)
        .flops(4 * c, axes);
    return d.take();
  }

  friend bool operator==(const GroupNorm&, const GroupNorm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("groups", self.groups);
    visit("epsilon", self.epsilon, kOptional);
  }
};

}  // namespace soapstone::core
