// binary_cross_entropy: loss = -1/count Σ (t log σ(z) + (1 - t) log(1 - σ(z))) of logits z and
// targets t, σ(z) = 1 / (1 + e^-z); computed as max(z, 0) - z t + log(1 + e^-|z|), which neither
// overflows nor cancels. dlogits = (σ(z) - t) / count.
//
// Shapes: logits, targets any [n, …] of one dtype, targets in [0, 1] or kNoLabel, loss [1], correct
// [1] (for how many elements z > 0 and t > 0.5 are both true or both false), labelled [1] (how many
// targets there are), and in evaluation scores [2, kBins]: how many elements with t <= 0.5, and
// with t > 0.5, have a logit in each bin. `count` is the number of elements of the whole batch on
// all devices, unless `mean_over` gives it (micro-batches: the number of elements of the whole
// mini-batch). A target kNoLabel has no loss and no gradient and counts nowhere but in `count`. The
// targets have no gradient. Metrics: accuracy = correct / labelled; auc, the area under the ROC
// curve: the share of pairs of an element with t <= 0.5 and one with t > 0.5 in which the latter
// has the larger logit, equal ones counting half. Pairs in one bin count half as well, so that auc
// is off by at most Σ_b negative_b positive_b / (2 negatives positives), which is given beside it.
// Axes: n sample, the others attribute; the outputs sum over all. FLOPs: counted 20 per element
// forward, 10 backward, 4 for scores.
#pragma once

#include <cmath>

#include "core/op_definition.hpp"
#include "core/ops/softmax_cross_entropy.hpp"

namespace soapstone::core {

struct BinaryCrossEntropy {
  static constexpr std::string_view kName = "binary_cross_entropy";
  static constexpr std::int64_t kBins = 1 << 16;
  std::int64_t mean_over = 0;  // 0: the number of elements

  // Ascending with the logit; 2^-12 wide at 0, (1 + |z| / 8)² times that elsewhere. Not for NaN.
  static std::int64_t bin_of(double z) {
    const double place = std::isinf(z) ? std::copysign(1.0, z) : z / (8 + std::abs(z));
    const auto bin = static_cast<std::int64_t>((1 + place) * (kBins / 2));
    return bin < kBins ? bin : kBins - 1;
  }

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    SOAPSTONE_TRY(check_pair(inputs, "logits", "targets"));
    SOAPSTONE_TRY(check_mean_over(mean_over, "elements"));
    Definer d;
    const auto axes = d.axes_of(inputs[0].shape);
    const DType t = master_of(inputs[0].dtype);
    const int logits = d.input("logits", inputs[0], along(axes));
    const int targets = d.input("targets", inputs[1], along(axes), false);
    const int loss = d.output("loss", {{1}, t, {}}, {DimMap::whole()});
    const int correct = d.output("correct", {{1}, t, {}}, {DimMap::whole()}, false);
    const int labelled = d.output("labelled", {{1}, t, {}}, {DimMap::whole()}, false);
    const int scores =
        d.output("scores", {{2, kBins}, t, {}}, {DimMap::whole(), DimMap::whole()}, false);
    d.step("forward", Phase::kForward)
        .reads({logits, targets})
        .writes({loss, correct, labelled})
        .reduces(axes)
        .flops(20, axes);
    d.step("scores", Phase::kForward)
        .reads({logits, targets})
        .writes(scores)
        .reduces(axes)
        .flops(4, axes)
        .only_in(StepUse::kEvaluation);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({logits, targets})
        .writes(Definer::grad(logits))
        .flops(10, axes);
    d.metric("accuracy", MetricKind::kShare, correct, labelled);
    d.metric("auc", MetricKind::kAreaUnderCurve, scores, labelled);
    return d.take();
  }

  BinaryCrossEntropy for_micro_batches(std::int64_t, std::span<const TensorDesc> inputs) const {
    return {mean_over > 0 ? mean_over : elements(inputs[0].shape)};
  }

  friend bool operator==(const BinaryCrossEntropy&, const BinaryCrossEntropy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("mean_over", self.mean_over, kOptional);
  }
};

}  // namespace soapstone::core
