// binary_cross_entropy: loss = -1/count Σ (t log σ(z) + (1 - t) log(1 - σ(z))) of logits z and
// targets t, σ(z) = 1 / (1 + e^-z); computed as max(z, 0) - z t + log(1 + e^-|z|), which neither
// overflows nor cancels. dlogits = (σ(z) - t) / count.
//
// Shapes: logits, targets any [n, …] of one dtype, targets in [0, 1], loss [1], correct [1] (for
// how many elements z > 0 and t > 0.5 are both true or both false; for accuracy). `count` is the
// number of elements of the whole batch on all devices, unless `mean_over` gives it (micro-batches:
// the number of elements of the whole mini-batch). The targets have no gradient. Axes: n sample,
// the others attribute; loss and correct sum over all. FLOPs: counted 20 per element forward, 10
// backward.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct BinaryCrossEntropy {
  static constexpr std::string_view kName = "binary_cross_entropy";
  std::int64_t mean_over = 0;  // 0: the number of elements

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 2)
      return usage_error("takes logits and targets, got {} inputs", inputs.size());
    if (inputs[0].shape != inputs[1].shape || inputs[0].dtype != inputs[1].dtype)
      return usage_error("logits are {} {} and targets {} {}: both must have one shape and dtype",
                         name_of(inputs[0].dtype), print(inputs[0].shape), name_of(inputs[1].dtype),
                         print(inputs[1].shape));
    if (mean_over < 0)
      return usage_error("mean_over = {}: must be 0 (the number of elements) or more", mean_over);
    Definer d;
    const auto axes = d.axes_of(inputs[0].shape);
    const DType t = inputs[0].dtype;
    const int logits = d.input("logits", inputs[0], along(axes));
    const int targets = d.input("targets", inputs[1], along(axes), false);
    const int loss = d.output("loss", {{1}, t, {}}, {DimMap::whole()});
    const int correct = d.output("correct", {{1}, t, {}}, {DimMap::whole()}, false);
    d.step("forward", Phase::kForward)
        .reads({logits, targets})
        .writes({loss, correct})
        .reduces(axes)
        .flops(20, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({logits, targets})
        .writes(Definer::grad(logits))
        .flops(10, axes);
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
