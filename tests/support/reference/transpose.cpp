#include "core/ops/transpose.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void transpose_step(const StepCall& c) {
  const auto& permutation = c.attributes<core::Transpose>().permutation;
  for_each_index(c.axes(), [&](Index p) {
    std::vector<std::int64_t> target;
    for (const std::int64_t d : permutation) target.push_back(p[static_cast<std::size_t>(d)]);
    if (c.name() == "forward")
      c.value("y").at(target) = c.value("x").at(p);
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient("y").at(target);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> transpose_examples() {
  using namespace core;
  return {{"transpose", Transpose{.permutation = {0, 2, 1}}, {dense({2, 3, 4})}}};
}

}  // namespace soapstone::oracle
