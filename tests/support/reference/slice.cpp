#include "core/ops/slice.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void slice_step(const StepCall& c) {
  const auto& a = c.attributes<core::Slice>();
  for_each_index(c.axes(), [&](Index p) {
    std::vector<std::int64_t> source(p.begin(), p.end());
    for (std::size_t d = 0; d < source.size(); ++d)
      source[d] = a.starts[d] + p[d] * (a.steps.empty() ? 1 : a.steps[d]);
    if (c.name() == "forward")
      c.value("y").at(p) = c.value("x").at(source);
    else if (c.name() == "backward_input")
      c.gradient("x").at(source) = c.gradient("y").at(p);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> slice_examples() {
  using namespace core;
  return {{"slice",
           Slice{.starts = {0, 1, 0}, .stops = {0, 4, 5}, .steps = {1, 2, 2}},
           {dense({2, 5, 5})}}};
}

}  // namespace soapstone::oracle
