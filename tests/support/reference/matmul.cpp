#include "core/ops/matmul.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void matmul_step(const StepCall& c) {
  const auto& op = c.attributes<core::Matmul>();
  const std::size_t batches = c.axes().size() - 3;
  // Points of the iteration space are n…, m, p, k.
  for_each_index(c.axes(), [&](Index point) {
    const auto m = point[batches], p = point[batches + 1], k = point[batches + 2];
    const auto at = [&](const View& view, std::int64_t row, std::int64_t column) -> double& {
      const std::int64_t last[] = {row, column};
      return view.at(joined(point.first(batches), last));
    };
    const auto a = [&](const View& view) -> double& {
      return op.transpose_a ? at(view, k, m) : at(view, m, k);
    };
    const auto b = [&](const View& view) -> double& {
      return op.transpose_b ? at(view, p, k) : at(view, k, p);
    };
    if (c.name() == "forward")
      at(c.value("y"), m, p) += a(c.value("a")) * b(c.value("b"));
    else if (c.name() == "backward_a")
      a(c.gradient("a")) += at(c.gradient("y"), m, p) * b(c.value("b"));
    else if (c.name() == "backward_b")
      b(c.gradient("b")) += at(c.gradient("y"), m, p) * a(c.value("a"));
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> matmul_examples() {
  using namespace core;
  return {{"matmul", Matmul{}, {dense({2, 3, 4}), dense({2, 4, 5})}},
          {"matmul_transposed",
           Matmul{.transpose_a = true, .transpose_b = true},
           {dense({2, 2, 4, 3}), dense({2, 2, 5, 4})}}};
}

}  // namespace soapstone::oracle
