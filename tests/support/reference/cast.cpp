#include "core/ops/cast.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

// Exact: rounding to a type is left to what is compared.
void cast_step(const StepCall& c) {
  for_each_index(c.axes(), [&](Index p) {
    if (c.name() == "forward")
      c.value("y").at(p) = c.value("x").at(p);
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient("y").at(p);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> cast_examples() {
  using namespace core;
  return {{"cast", Cast{.to = DType::kF32}, {dense({2, 3})}}};
}

}  // namespace soapstone::oracle
