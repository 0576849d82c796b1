#include "core/ops/binary_cross_entropy.hpp"

#include <cmath>

#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void binary_cross_entropy_step(const StepCall& c) {
  const auto& a = c.attributes<core::BinaryCrossEntropy>();
  const double count =
      static_cast<double>(a.mean_over > 0 ? a.mean_over : core::elements(c.shape("targets")));
  for_each_index(c.axes(), [&](Index p) {
    const double z = c.value("logits").at(p), t = c.value("targets").at(p);
    if (c.name() == "forward") {
      // -log σ(z) = log(1 + e^-z); that of a number too large for e is the number.
      const auto softplus = [](double x) { return x > 500 ? x : std::log1p(std::exp(x)); };
      c.value("loss")(0) += (t * softplus(-z) + (1 - t) * softplus(z)) / count;
      c.value("correct")(0) += (z > 0) == (t > 0.5) ? 1 : 0;
    } else if (c.name() == "backward_input") {
      c.gradient("logits").at(p) = (1 / (1 + std::exp(-z)) - t) / count;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference
