#include "core/ops/relu.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void relu_step(const StepCall& c) {
  for_each_index(c.axes(), [&](Index p) {
    if (c.name() == "forward")
      c.value("y").at(p) = relu(c.value("x").at(p));
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.value("y").at(p) > 0 ? c.gradient("y").at(p) : 0;
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> relu_examples() {
  using namespace core;
  return {{"relu", Relu{}, {image({2, 3, 4, 3})}}};
}

}  // namespace soapstone::oracle
