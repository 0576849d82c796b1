#include "core/ops/local_response_norm.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void local_response_norm_step(const StepCall& c) {
  const auto& a = c.attributes<core::LocalResponseNorm>();
  const double share = a.alpha / static_cast<double>(a.size);
  const std::int64_t channels = c.shape("x")[1];
  const View& x = c.value("x");
  for_each_index(c.axes(), [&](Index p) {
    // visit(index) for every channel in the window of channel p[1].
    const auto for_each_in_window = [&](const auto& visit) {
      for (std::int64_t k = 0; k < a.size; ++k) {
        const std::int64_t channel = p[1] - a.size / 2 + k;
        const std::int64_t index[] = {p[0], channel, p[2], p[3]};
        if (channel >= 0 && channel < channels) visit(Index(index));
      }
    };
    double& scale = c.value("scale").at(p);
    if (c.name() == "forward") {
      scale = a.k;
      for_each_in_window([&](Index q) { scale += share * x.at(q) * x.at(q); });
      c.value("y").at(p) = x.at(p) * std::pow(scale, -a.beta);
    } else if (c.name() == "backward_input") {
      const double dy = c.gradient("y").at(p);
      c.gradient("x").at(p) += dy * std::pow(scale, -a.beta);
      for_each_in_window([&](Index q) {
        c.gradient("x").at(q) -=
            dy * x.at(p) * a.beta * std::pow(scale, -a.beta - 1) * share * 2 * x.at(q);
      });
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> local_response_norm_examples() {
  using namespace core;
  return {{"local_response_norm", LocalResponseNorm{.size = 3}, {image({2, 5, 2, 3})}}};
}

}  // namespace soapstone::oracle
