#include "core/ops/pad.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void pad_step(const StepCall& c) {
  const auto& a = c.attributes<core::Pad>();
  const core::Shape& shape = c.shape("x");
  for_each_index(c.axes(), [&](Index p) {
    std::vector<std::int64_t> source(p.begin(), p.end());
    bool is_inside = true;
    for (std::size_t d = 0; d < source.size(); ++d) {
      source[d] -= a.before[d];
      is_inside &= source[d] >= 0 && source[d] < shape[d];
    }
    if (c.name() == "forward")
      c.value("y").at(p) = is_inside ? c.value("x").at(source) : a.value;
    else if (c.name() != "backward_input")
      c.unknown_step();
    else if (is_inside)
      c.gradient("x").at(source) = c.gradient("y").at(p);
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> pad_examples() {
  using namespace core;
  return {{"pad", Pad{.before = {0, 1}, .after = {0, 2}}, {dense({2, 3})}}};
}

}  // namespace soapstone::oracle
