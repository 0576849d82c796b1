#include "core/ops/add.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void add_step(const StepCall& c) {
  // The element of `operand` that is repeated at index p of y.
  const auto source = [&](std::string_view operand, Index p) {
    const core::Shape& shape = c.shape(operand);
    std::vector<std::int64_t> index(p.end() - static_cast<std::ptrdiff_t>(shape.size()), p.end());
    for (std::size_t d = 0; d < shape.size(); ++d)
      if (shape[d] == 1) index[d] = 0;
    return index;
  };
  for_each_index(c.axes(), [&](Index p) {
    if (c.name() == "forward") {
      c.value("y").at(p) = c.value("a").at(source("a", p)) + c.value("b").at(source("b", p));
    } else if (c.name() == "backward_input") {
      c.gradient("a").at(source("a", p)) += c.gradient("y").at(p);
      c.gradient("b").at(source("b", p)) += c.gradient("y").at(p);
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> add_examples() {
  using namespace core;
  return {{"add", Add{}, {dense({2, 3, 4}), dense({2, 3, 4})}},
          {"add_broadcast", Add{}, {dense({2, 1, 4}), dense({3, 1})}}};
}

}  // namespace soapstone::oracle
