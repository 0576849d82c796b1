// vocab_parallel_cross_entropy: the loss of softmax_cross_entropy, loss = -1/count Σ_n log
// softmax(logits[n])[labels[n]], with classes that may be split: logits are never gathered.
//
// Shapes: logits [n, …, c], labels [n, …] i32 in [0, c), loss, correct, labelled, top5 [1]; they,
// `count`, `mean_over`, kNoLabel, the first of equals and the metrics as in softmax_cross_entropy.
// The classes lie in blocks of g = ⌈c / kMostBlocks⌉, the last one shorter. Internal: `statistics`
// [n, …, 2·blocks + 2] = (m_b of every block, s_b of every block, the label's logit, 1 if the label
// is the first of its block's largest), m_b = max logits, s_b = Σ exp(logits - m_b). A part writes
// those of its blocks and zeros for the others: the sum of the parts is what "loss" reads whole,
// lse = m + log Σ_b s_b exp(m_b - m), m = max m_b. `lse` [n, …]. In evaluation `ahead` [n, …]: how
// many logits stand before the label's; a part counts those of its blocks, the sum of the parts is
// what "top5" reads.
// Axes: n sample, further leading dimensions attribute; block parameter: its split is that of the
// output features of the head before it. FLOPs: counted 5 per logit and 4 per block forward, 4 per
// logit backward, 2 per logit for top5.
// Source: Shoeybi et al. 2019, arXiv 1909.08053, with one exchange instead of three.
#pragma once

#include "core/op_definition.hpp"
#include "core/ops/softmax_cross_entropy.hpp"

namespace soapstone::core {

struct VocabParallelCrossEntropy {
  static constexpr std::string_view kName = "vocab_parallel_cross_entropy";
  static constexpr std::int64_t kMostBlocks = 64;
  std::int64_t mean_over = 0;  // 0: the number of labels

  // Classes per block.
  static constexpr std::int64_t block_size(std::int64_t classes) {
    return classes < kMostBlocks ? 1 : (classes + kMostBlocks - 1) / kMostBlocks;
  }
  static constexpr std::int64_t blocks(std::int64_t classes) {
    return (classes + block_size(classes) - 1) / block_size(classes);
  }

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
    const std::int64_t classes = logits.back();
    if (classes < 1)
      return usage_error("logits {} have no classes: at least 1 is wanted", print(logits));
    SOAPSTONE_TRY(check_mean_over(mean_over, "labels"));
    Definer d;
    std::vector<int> lead;
    for (std::size_t k = 0; k + 1 < logits.size(); ++k)
      lead.push_back(d.axis(k == 0   ? "n"
                            : k == 1 ? "s"
                                     : "b" + std::to_string(k),
                            logits[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    const std::int64_t size = block_size(classes), count = blocks(classes);
    const int block = d.axis("block", count, AxisRole::kParameter, Coupling::kAllReduce);
    std::vector<int> all = lead;
    all.push_back(block);
    auto logit_dims = along(lead), statistics_dims = along(lead);
    logit_dims.push_back(DimMap::window(block, size, 0, size));
    statistics_dims.push_back(DimMap::whole());
    Shape statistics_shape = labels;
    statistics_shape.push_back(2 * count + 2);
    const DType t = master_of(inputs[0].dtype);
    const int x = d.input("logits", {logits, inputs[0].dtype, {}}, logit_dims);
    const int target = d.indices("labels", inputs[1], along(lead), classes, kNoLabel);
    const int loss = d.output("loss", {{1}, t, {}}, {DimMap::whole()});
    const int correct = d.output("correct", {{1}, t, {}}, {DimMap::whole()}, false);
    const int top5 = d.output("top5", {{1}, t, {}}, {DimMap::whole()}, false);
    const int labelled = d.output("labelled", {{1}, t, {}}, {DimMap::whole()}, false);
    const int statistics = d.internal("statistics", {statistics_shape, t, {}}, statistics_dims);
    const int lse = d.internal("lse", {labels, t, {}}, along(lead));
    const int ahead = d.internal("ahead", {labels, t, {}}, along(lead));
    const double classes_per_block = static_cast<double>(classes) / static_cast<double>(count);
    d.step("maxima", Phase::kForward)
        .reads({x, target})
        .writes(statistics)
        .reduces({block})
        .flops(5 * classes_per_block, all);
    d.step("loss", Phase::kForward)
        .reads({statistics, target})
        .writes({loss, correct, labelled, lse})
        .reduces(lead)
        .flops(4 * static_cast<double>(count), lead);
    d.step("ahead", Phase::kForward)
        .reads({x, target, statistics})
        .writes(ahead)
        .reduces({block})
        .flops(2 * classes_per_block, all)
        .only_in(StepUse::kEvaluation);
    d.step("top5", Phase::kForward)
        .reads({ahead, target})
        .writes(top5)
        .reduces(lead)
        .only_in(StepUse::kEvaluation);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, target, lse})
        .writes(Definer::grad(x))
        .flops(4 * classes_per_block, all);
    classifier_metrics(d, logits, static_cast<double>(mean_over > 0 ? mean_over : elements(labels)),
                       loss, correct, top5, labelled);
    return d.take();
  }

  VocabParallelCrossEntropy for_micro_batches(std::int64_t,
                                              std::span<const TensorDesc> inputs) const {
    return {mean_over > 0 ? mean_over : elements(inputs[1].shape)};
  }

  friend bool operator==(const VocabParallelCrossEntropy&,
                         const VocabParallelCrossEntropy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("mean_over", self.mean_over, kOptional);
  }
};

}  // namespace soapstone::core
