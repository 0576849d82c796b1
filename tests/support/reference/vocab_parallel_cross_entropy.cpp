#include "core/ops/vocab_parallel_cross_entropy.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void vocab_parallel_cross_entropy_step(const StepCall& c) {
  using Op = core::VocabParallelCrossEntropy;
  const auto& a = c.attributes<Op>();
  const double count =
      static_cast<double>(a.mean_over > 0 ? a.mean_over : core::elements(c.shape("labels")));
  const std::int64_t classes = c.shape("logits").back();
  const std::int64_t size = Op::block_size(classes), blocks = Op::blocks(classes);
  const core::Interval here = c.axis("block");
  // The classes of block b.
  const auto first = [&](std::int64_t b) { return b * size; };
  const auto end = [&](std::int64_t b) { return std::min(classes, (b + 1) * size); };
  for_each_index(c.axes().first(c.axes().size() - 1), [&](Index row) {
    const auto at = [&](const View& view, std::int64_t k) -> double& {
      const std::int64_t last[] = {k};
      return view.at(joined(row, last));
    };
    const auto logit = [&](std::int64_t k) { return at(c.value("logits"), k); };
    const auto label = static_cast<std::int64_t>(c.value("labels").at(row));
    if (c.name() == "maxima") {
      const View& statistics = c.value("statistics");
      for (auto b = here.begin; b < here.end; ++b) {
        std::int64_t best = first(b);
        for (std::int64_t k = first(b); k < end(b); ++k)
          if (logit(k) > logit(best)) best = k;
        at(statistics, b) = logit(best);
        for (std::int64_t k = first(b); k < end(b); ++k)
          at(statistics, blocks + b) += std::exp(logit(k) - logit(best));
        if (label < first(b) || label >= end(b)) continue;
        at(statistics, 2 * blocks) = logit(label);
        at(statistics, 2 * blocks + 1) = best == label ? 1 : 0;
      }
    } else if (c.name() == "loss") {
      const View& statistics = c.value("statistics");
      std::int64_t best = 0;
      for (std::int64_t b = 1; b < blocks; ++b)
        if (at(statistics, b) > at(statistics, best)) best = b;
      double sum = 0;
      for (std::int64_t b = 0; b < blocks; ++b)
        sum += at(statistics, blocks + b) * std::exp(at(statistics, b) - at(statistics, best));
      const double lse = c.value("lse").at(row) = at(statistics, best) + std::log(sum);
      if (label == core::kNoLabel) return;
      c.value("loss")(0) += (lse - at(statistics, 2 * blocks)) / count;
      if (label >= first(best) && label < end(best))
        c.value("correct")(0) += at(statistics, 2 * blocks + 1);
      c.value("labelled")(0) += 1;
    } else if (c.name() == "ahead") {
      const double of_label = at(c.value("statistics"), 2 * blocks);
      for (std::int64_t k = first(here.begin); k < end(here.end - 1); ++k)
        c.value("ahead").at(row) +=
            logit(k) > of_label || (logit(k) == of_label && k < label) ? 1 : 0;
    } else if (c.name() == "top5") {
      if (label != core::kNoLabel) c.value("top5")(0) += c.value("ahead").at(row) < 5 ? 1 : 0;
    } else if (c.name() == "backward_input") {
      const double lse = c.value("lse").at(row);
      for (std::int64_t k = first(here.begin); k < end(here.end - 1); ++k)
        at(c.gradient("logits"), k) =
            label == core::kNoLabel ? 0 : (std::exp(logit(k) - lse) - (k == label ? 1 : 0)) / count;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> vocab_parallel_cross_entropy_examples() {
  using namespace core;
  return {{"vocab_parallel_cross_entropy",
           VocabParallelCrossEntropy{},
           {dense({3, 2, 4}), ids({3, 2})}},
          {"vocab_parallel_cross_entropy_blocks",
           VocabParallelCrossEntropy{},
           {dense({2, 67}), ids({2})}}};
}

}  // namespace soapstone::oracle
