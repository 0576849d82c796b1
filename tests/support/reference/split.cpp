#include "core/ops/split.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void split_step(const StepCall& c) {
  const auto& a = c.attributes<core::Split>();
  const std::size_t dim = static_cast<std::size_t>(a.dim);
  for_each_index(c.axes(), [&](Index p) {
    // Output k holds the index, at `within`.
    std::vector<std::int64_t> within(p.begin(), p.end());
    std::size_t k = 0;
    for (; within[dim] >= a.sizes[k]; ++k) within[dim] -= a.sizes[k];
    const std::string y = "y" + std::to_string(k);
    if (c.name() == "forward")
      c.value(y).at(within) = c.value("x").at(p);
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient(y).at(within);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> split_examples() {
  using namespace core;
  return {{"split", Split{.dim = 1, .sizes = {2, 1, 3}}, {dense({2, 6, 3})}}};
}

}  // namespace soapstone::oracle
