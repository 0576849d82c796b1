#include "core/ops/experts_linear.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void experts_linear_step(const StepCall& c) {
  const bool forward = c.name() == "forward", input = c.name() == "backward_input";
  if (!forward && !input && c.name() != "backward_weight") c.unknown_step();
  for_each_index(c.axes(), [&](Index p) {
    const auto n = p[0], e = p[1], slot = p[2], o = p[3], i = p[4];
    if (forward)
      c.value("y")(n, e, slot, o) += c.value("x")(n, e, slot, i) * c.value("weight")(e, o, i);
    else if (input)
      c.gradient("x")(n, e, slot, i) += c.gradient("y")(n, e, slot, o) * c.value("weight")(e, o, i);
    else
      c.gradient("weight")(e, o, i) += c.gradient("y")(n, e, slot, o) * c.value("x")(n, e, slot, i);
  });
  if (input || !c.is_present("bias")) return;
  for_each_index(c.axes().first(4), [&](Index p) {
    const auto e = p[1], o = p[3];
    if (forward)
      c.value("y").at(p) += c.value("bias")(e, o);
    else
      c.gradient("bias")(e, o) += c.gradient("y").at(p);
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> experts_linear_examples() {
  using namespace core;
  return {{"experts_linear", ExpertsLinear{.out_features = 3}, {dense({2, 2, 3, 4})}}};
}

}  // namespace soapstone::oracle
