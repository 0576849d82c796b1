// mse_loss: loss = 1/count Σ (prediction - target)²; dprediction = 2 (prediction - target) / count.
//
// Shapes: prediction, target any [n, …], loss [1]. `count` is the number of elements of the whole
// batch on all devices, unless `mean_over` gives it (micro-batches: the number of elements of the
// whole mini-batch). The target has no gradient. Axes: n sample, the others attribute; the loss
// sums over all. FLOPs: 3 per element forward, 2 backward.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct MseLoss {
  static constexpr std::string_view kName = "mse_loss";
  std::int64_t mean_over = 0;  // 0: the number of elements

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    SOAPSTONE_TRY(check_pair(inputs, "prediction", "target"));
    SOAPSTONE_TRY(check_mean_over(mean_over, "elements"));
    Definer d;
    const auto axes = d.axes_of(inputs[0].shape);
    const int prediction = d.input("prediction", inputs[0], along(axes));
    const int target = d.input("target", inputs[1], along(axes), false);
    const int loss = d.output("loss", {{1}, master_of(inputs[0].dtype), {}}, {DimMap::whole()});
    d.step("forward", Phase::kForward)
        .reads({prediction, target})
        .writes(loss)
        .reduces(axes)
        .flops(3, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({prediction, target})
        .writes(Definer::grad(prediction))
        .flops(2, axes);
    return d.take();
  }

  MseLoss for_micro_batches(std::int64_t, std::span<const TensorDesc> inputs) const {
    return {mean_over > 0 ? mean_over : elements(inputs[0].shape)};
  }

  friend bool operator==(const MseLoss&, const MseLoss&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("mean_over", self.mean_over, kOptional);
  }
};

}  // namespace soapstone::core
