#include "core/ops/softsign.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void softsign_step(const StepCall& c) {
  for_each_index(c.axes(), [&](Index p) {
    const double below = 1 + std::abs(c.value("x").at(p));
    if (c.name() == "forward")
      c.value("y").at(p) = c.value("x").at(p) / below;
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient("y").at(p) / (below * below);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> softsign_examples() {
  using namespace core;
  return {{"softsign", Softsign{}, {dense({3, 4})}}};
}

}  // namespace soapstone::oracle
