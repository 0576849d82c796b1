#include "core/ops/softmax.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void softmax_step(const StepCall& c) {
  const bool log = c.attributes<core::Softmax>().log;
  const core::Interval classes = c.axis("c");
  for_each_index(c.axes().first(c.axes().size() - 1), [&](Index row) {
    const auto at = [&](const View& view, std::int64_t k) -> double& {
      const std::int64_t last[] = {k};
      return view.at(joined(row, last));
    };
    if (c.name() == "forward") {
      const View &x = c.value("x"), &y = c.value("y");
      double largest = at(x, 0), sum = 0;
      for (std::int64_t k = 0; k < classes.end; ++k) largest = std::max(largest, at(x, k));
      for (std::int64_t k = 0; k < classes.end; ++k) sum += std::exp(at(x, k) - largest);
      for (std::int64_t k = 0; k < classes.end; ++k)
        at(y, k) = log ? at(x, k) - largest - std::log(sum) : std::exp(at(x, k) - largest) / sum;
    } else if (c.name() == "backward_input") {
      const View &y = c.value("y"), &dy = c.gradient("y"), &dx = c.gradient("x");
      double sum = 0;
      for (std::int64_t k = 0; k < classes.end; ++k) sum += log ? at(dy, k) : at(dy, k) * at(y, k);
      for (std::int64_t k = 0; k < classes.end; ++k)
        at(dx, k) = log ? at(dy, k) - std::exp(at(y, k)) * sum : at(y, k) * (at(dy, k) - sum);
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> softmax_examples() {
  using namespace core;
  return {{"softmax", Softmax{}, {dense({2, 3, 4})}}};
}

}  // namespace soapstone::oracle
