#include "core/ops/softmax_cross_entropy.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void softmax_cross_entropy_step(const StepCall& c) {
  const auto& a = c.attributes<core::SoftmaxCrossEntropy>();
  const double count =
      static_cast<double>(a.mean_over > 0 ? a.mean_over : core::elements(c.shape("labels")));
  const core::Interval classes = c.axis("c");
  for_each_index(c.axes().first(c.axes().size() - 1), [&](Index row) {
    const auto logit = [&](std::int64_t k) -> double {
      const std::int64_t last[] = {k};
      return c.value("logits").at(joined(row, last));
    };
    const auto label = static_cast<std::int64_t>(c.value("labels").at(row));
    if (c.name() == "top5") {
      if (label == core::kNoLabel) return;
      std::int64_t ahead = 0;
      for (std::int64_t k = 0; k < classes.end; ++k)
        ahead += logit(k) > logit(label) || (logit(k) == logit(label) && k < label) ? 1 : 0;
      c.value("top5")(0) += ahead < 5 ? 1 : 0;
      return;
    }
    double& lse = c.value("lse").at(row);
    if (c.name() == "forward") {
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < classes.end; ++k)
        if (logit(k) > logit(best)) best = k;
      double sum = 0;
      for (std::int64_t k = 0; k < classes.end; ++k) sum += std::exp(logit(k) - logit(best));
      lse = logit(best) + std::log(sum);
      if (label == core::kNoLabel) return;
      c.value("loss")(0) -= (logit(label) - lse) / count;
      c.value("correct")(0) += best == label ? 1 : 0;
      c.value("labelled")(0) += 1;
    } else if (c.name() == "backward_input") {
      for (std::int64_t k = 0; k < classes.end; ++k) {
        const std::int64_t last[] = {k};
        c.gradient("logits").at(joined(row, last)) =
            label == core::kNoLabel ? 0 : (std::exp(logit(k) - lse) - (k == label ? 1 : 0)) / count;
      }
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> softmax_cross_entropy_examples() {
  using namespace core;
  return {{"softmax_cross_entropy", SoftmaxCrossEntropy{}, {dense({3, 2, 4}), ids({3, 2})}}};
}

}  // namespace soapstone::oracle
