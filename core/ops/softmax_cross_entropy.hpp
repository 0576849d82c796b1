// softmax_cross_entropy: loss = -1/count Σ_n log softmax(logits[n])[labels[n]].
//
// Shapes: logits [n, …, c], labels [n, …] i32 in [0, c), loss [1], correct [1] (how many labels
// have the largest logit, the first of equals), labelled [1] (how many labels there are), and in
// evaluation top5 [1] (how many labels are among the five largest logits, the first of equals).
// `count` is the number of labels of the whole batch on all devices, unless `mean_over` gives it
// (micro-batches: the number of labels of the whole mini-batch). A label kNoLabel has no loss and
// no gradient and counts nowhere but in `count`. Internal: `lse` [n, …] = log Σ_c exp(logits).
// Metrics: accuracy = correct / labelled, top5_accuracy = top5 / labelled where there are more than
// five classes, perplexity = exp(the mean loss of what has a label) of sequences [n, s, c].
// Axes: n sample, further leading dimensions attribute, c stays whole. FLOPs: counted 5 per logit
// forward, 4 backward, 2 for top5.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

inline constexpr std::int32_t kNoLabel = -100;  // the ignore_index of PyTorch's cross_entropy
inline constexpr std::int64_t kTop = 5;         // of top5

// What classifiers are judged by; the mean in `loss` is over `count` labels. The outputs are [1].
inline void classifier_metrics(Definer& d, const Shape& logits, double count, int loss, int correct,
                               int top5, int labelled) {
  d.metric("accuracy", MetricKind::kShare, correct, labelled);
  if (logits.back() > kTop) d.metric("top5_accuracy", MetricKind::kShare, top5, labelled);
  if (logits.size() == 3) d.metric("perplexity", MetricKind::kExpOfMean, loss, labelled, count);
}

struct SoftmaxCrossEntropy {
  static constexpr std::string_view kName = "softmax_cross_entropy";
  std::int64_t mean_over = 0;  // 0: the number of labels

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 2)
      return usage_error("takes logits and labels, got {} inputs", inputs.size());
    const Shape &logits = inputs[0].shape, &labels = inputs[1].shape;
    Shape expected;
    for (std::size_t k = 0; k + 1 < logits.size(); ++k) expected.push_back(logits[k]);
    if (logits.size() < 2 || labels != expected || inputs[1].dtype != DType::kI32)
      return usage_error("takes logits [n, …, c] and i32 labels [n, …], got {} {} and {} {}",
                         name_of(inputs[0].dtype), print(logits), name_of(inputs[1].dtype),
                         print(labels));
    SOAPSTONE_TRY(check_mean_over(mean_over, "labels"));
    Definer d;
    std::vector<int> lead;
    for (std::size_t k = 0; k + 1 < logits.size(); ++k)
      lead.push_back(d.axis(k == 0   ? "n"
                            : k == 1 ? "s"
                                     : "b" + std::to_string(k),
                            logits[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    const int c = d.axis("c", logits.back(), AxisRole::kAttribute, Coupling::kUnsplittable);
    std::vector<int> all = lead;
    all.push_back(c);
    const DType t = master_of(inputs[0].dtype);
    const int x = d.input("logits", {logits, inputs[0].dtype, {}}, along(all));
    const int target = d.indices("labels", inputs[1], along(lead), logits.back(), kNoLabel);
    const int loss = d.output("loss", {{1}, t, {}}, {DimMap::whole()});
    const int correct = d.output("correct", {{1}, t, {}}, {DimMap::whole()}, false);
    const int top5 = d.output("top5", {{1}, t, {}}, {DimMap::whole()}, false);
    const int labelled = d.output("labelled", {{1}, t, {}}, {DimMap::whole()}, false);
    const int lse = d.internal("lse", {labels, t, {}}, along(lead));
    d.step("forward", Phase::kForward)
        .reads({x, target})
        .writes({loss, correct, labelled, lse})
        .reduces(lead)
        .flops(5, all);
    d.step("top5", Phase::kForward)
        .reads({x, target})
        .writes(top5)
        .reduces(lead)
        .flops(2, all)
        .only_in(StepUse::kEvaluation);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, target, lse})
        .writes(Definer::grad(x))
        .flops(4, all);
    classifier_metrics(d, logits, static_cast<double>(mean_over > 0 ? mean_over : elements(labels)),
                       loss, correct, top5, labelled);
    return d.take();
  }

  SoftmaxCrossEntropy for_micro_batches(std::int64_t, std::span<const TensorDesc> inputs) const {
    return {mean_over > 0 ? mean_over : elements(inputs[1].shape)};
  }

  friend bool operator==(const SoftmaxCrossEntropy&, const SoftmaxCrossEntropy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("mean_over", self.mean_over, kOptional);
  }
};

}  // namespace soapstone::core
