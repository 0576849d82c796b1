#include "core/ops/gelu.hpp"

#include <cmath>
#include <numbers>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void gelu_step(const StepCall& c) {
  for_each_index(c.axes(), [&](Index p) {
    const double x = c.value("x").at(p);
    const double distribution = std::erfc(-x / std::numbers::sqrt2) / 2;
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    if (c.name() == "forward")
      c.value("y").at(p) = x * distribution;
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient("y").at(p) * (distribution + x * density);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> gelu_examples() {
  using namespace core;
  return {{"gelu", Gelu{}, {dense({3, 4})}}};
}

}  // namespace soapstone::oracle
