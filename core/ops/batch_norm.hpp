// batch_norm: y = gamma[c] (x - mean[c]) / √(var[c] + epsilon) + beta[c], mean and biased variance
// over n, h, w of the whole micro-batch on all its devices. In evaluation mean and variance are
// running averages: after every forward pass of training running = (1 - momentum) running +
// momentum (mean, unbiased variance), as PyTorch's BatchNorm2d.
//
// Shapes: x, y [n, c, h, w] channels-last or [n, c]; gamma, beta, running_mean, running_var [c].
// Internal: `sums` [2, c] f64 = (Σ x, Σ x²) and `grad_sums` [2, c] f64 = (Σ dy, Σ dy x̂), x̂ the
// normalised x; both are partial sums over the split of n, h, w and are all-reduced between the
// steps, so that the answer depends on the split only by rounding in f64. f64 also keeps Σ x² - (Σ
// x)² / count from cancelling. FLOPs: counted 3 + 4 per element forward, 5 + 6 backward. Source:
// Ioffe & Szegedy 2015, arXiv 1502.03167.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct BatchNorm {
  static constexpr std::string_view kName = "batch_norm";
  double epsilon = 1e-5;
  double momentum = 0.1;  // of the running averages: the share of the present batch

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 2 && in.size() != 4)
      return usage_error("takes an input [n, c] or [n, c, h, w], got {}", print(in));
    if (!(epsilon > 0)) return usage_error("epsilon = {}: must be greater than 0", epsilon);
    if (!(momentum >= 0 && momentum <= 1))
      return usage_error("momentum = {}: from 0 to 1 is accepted", momentum);
    Definer d;
    std::vector<int> axes, summed;
    axes.push_back(d.axis("n", in[0], AxisRole::kSample, Coupling::kAllReduce));
    axes.push_back(d.axis("c", in[1], AxisRole::kParameter));
    summed.push_back(axes[0]);
    for (std::size_t k = 2; k < in.size(); ++k) {
      axes.push_back(d.axis(k == 2 ? "h" : "w", in[k], AxisRole::kAttribute, Coupling::kAllReduce));
      summed.push_back(axes.back());
    }
    const DType t = inputs[0].dtype;
    const DimMap channel = DimMap::along(axes[1]);
    const int x = d.input("x", inputs[0], along(axes));
    const int gamma = d.weight("gamma", {{in[1]}, t, {}}, {channel}, {InitKind::kOnes, 0});
    const int beta = d.weight("beta", {{in[1]}, t, {}}, {channel}, {InitKind::kZeros, 0});
    const int running_mean =
        d.state("running_mean", {{in[1]}, t, {}}, {channel}, {InitKind::kZeros, 0});
    const int running_var =
        d.state("running_var", {{in[1]}, t, {}}, {channel}, {InitKind::kOnes, 0});
    const int y = d.output("y", inputs[0], along(axes));
    const int sums = d.internal("sums", {{2, in[1]}, DType::kF64, {}}, {DimMap::whole(), channel});
    const int grad_sums =
        d.internal("grad_sums", {{2, in[1]}, DType::kF64, {}}, {DimMap::whole(), channel});
    using G = Definer::Grad;
    d.step("statistics", Phase::kForward)
        .reads(x)
        .writes(sums)
        .reduces(summed)
        .flops(3, axes)
        .only_in(StepUse::kTraining);
    d.step("recall", Phase::kForward)
        .reads({running_mean, running_var})
        .writes(sums)
        .only_in(StepUse::kEvaluation);
    d.step("normalize", Phase::kForward).reads({x, sums, gamma, beta}).writes(y).flops(4, axes);
    d.step("remember", Phase::kForward)
        .reads({sums, running_mean, running_var})
        .writes({running_mean, running_var})
        .only_in(StepUse::kTraining);
    d.step("backward_statistics", Phase::kBackwardInput)
        .reads({x, sums, G{y}})
        .writes(grad_sums)
        .reduces(summed)
        .flops(5, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, sums, gamma, G{y}, grad_sums})
        .writes(G{x})
        .flops(6, axes);
    // The sums are complete on every device already: equal copies, nothing to add up.
    d.step("backward_weight", Phase::kBackwardWeight).reads(grad_sums).writes({G{gamma}, G{beta}});
    return d.take();
  }

  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epsilon", self.epsilon, kOptional);
    visit("momentum", self.momentum, kOptional);
  }
};

}  // namespace soapstone::core
