#include "core/ops/swiglu.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void swiglu_step(const StepCall& c) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for_each_index(c.axes(), [&](Index p) {
    const double gate = c.value("gate").at(p), up = c.value("up").at(p);
    const double silu = gate * sigmoid(gate);
    if (c.name() == "forward") {
      c.value("y").at(p) = silu * up;
    } else if (c.name() == "backward_input") {
      const double dy = c.gradient("y").at(p);
      c.gradient("up").at(p) = dy * silu;
      c.gradient("gate").at(p) = dy * up * sigmoid(gate) * (1 + gate * sigmoid(-gate));
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> swiglu_examples() {
  using namespace core;
  return {{"swiglu", Swiglu{}, {dense({2, 3}), dense({2, 3})}}};
}

}  // namespace soapstone::oracle
