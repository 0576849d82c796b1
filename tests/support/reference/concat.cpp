#include "core/ops/concat.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void concat_step(const StepCall& c) {
  const std::size_t dim = static_cast<std::size_t>(c.attributes<core::Concat>().dim);
  for_each_index(c.axes(), [&](Index p) {
    // Input k holds the index, at `within`.
    std::vector<std::int64_t> within(p.begin(), p.end());
    std::string x = "x0";
    for (int k = 0; within[dim] >= c.shape(x)[dim]; x = "x" + std::to_string(++k))
      within[dim] -= c.shape(x)[dim];
    if (c.name() == "forward")
      c.value("y").at(p) = c.value(x).at(within);
    else if (c.name() == "backward_input")
      c.gradient(x).at(within) = c.gradient("y").at(p);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> concat_examples() {
  using namespace core;
  return {
      {"concat", Concat{.dim = 1}, {image({2, 1, 3, 3}), image({2, 4, 3, 3}), image({2, 2, 3, 3})}},
      {"concat_samples", Concat{.dim = 0}, {dense({2, 3}), dense({3, 3})}}};
}

}  // namespace soapstone::oracle
