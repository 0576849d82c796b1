#include "core/ops/binary_cross_entropy.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void binary_cross_entropy_step(const StepCall& c) {
  const auto& a = c.attributes<core::BinaryCrossEntropy>();
  const double count =
      static_cast<double>(a.mean_over > 0 ? a.mean_over : core::elements(c.shape("targets")));
  for_each_index(c.axes(), [&](Index p) {
    const double z = c.value("logits").at(p), t = c.value("targets").at(p);
    const bool has_label = t != core::kNoLabel;
    if (c.name() == "forward") {
      if (!has_label) return;
      // -log σ(z) = log(1 + e^-z); that of a number too large for e is the number.
      const auto softplus = [](double x) { return x > 500 ? x : std::log1p(std::exp(x)); };
      c.value("loss")(0) += (t * softplus(-z) + (1 - t) * softplus(z)) / count;
      c.value("correct")(0) += (z > 0) == (t > 0.5) ? 1 : 0;
      c.value("labelled")(0) += 1;
    } else if (c.name() == "scores") {
      // The bin that holds z, of those that are equally wide in z / (8 + |z|), from -1 to 1.
      const double width = 2.0 / 65536, place = z / (8 + std::abs(z));
      const std::int64_t at[] = {t > 0.5 ? 1 : 0, static_cast<std::int64_t>((place + 1) / width)};
      if (has_label) c.value("scores").at(at) += 1;
    } else if (c.name() == "backward_input") {
      c.gradient("logits").at(p) = has_label ? (1 / (1 + std::exp(-z)) - t) / count : 0;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> binary_cross_entropy_examples() {
  using namespace core;
  return {{"binary_cross_entropy", BinaryCrossEntropy{}, {dense({2, 3}), dense({2, 3})}}};
}

}  // namespace soapstone::oracle
