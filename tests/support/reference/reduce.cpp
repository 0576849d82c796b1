#include "core/ops/reduce.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

// `choice` holds the row-major index of the maximum among the reduced elements.
void reduce_step(const StepCall& c) {
  const auto& a = c.attributes<core::Reduce>();
  const core::Shape& x_shape = c.shape("x");
  std::int64_t elements = 1;
  for (const std::int64_t d : a.dims) elements *= x_shape[static_cast<std::size_t>(d)];
  const bool mean = a.kind == core::ReduceKind::kMean;
  const double count = mean ? static_cast<double>(a.mean_over > 0 ? a.mean_over : elements) : 1;
  const auto goes = [&](std::size_t d) {
    return std::find(a.dims.begin(), a.dims.end(), static_cast<std::int64_t>(d)) != a.dims.end();
  };
  for_each_index(c.axes(), [&](Index p) {
    std::vector<std::int64_t> of_y;
    std::int64_t place = 0;  // among the reduced elements
    for (std::size_t d = 0; d < p.size(); ++d) {
      if (goes(d)) place = place * x_shape[d] + p[d];
      if (!goes(d) || a.keep_dims) of_y.push_back(goes(d) ? 0 : p[d]);
    }
    if (of_y.empty()) of_y.push_back(0);
    if (c.name() == "forward" && a.kind == core::ReduceKind::kMax) {
      double& y = c.value("y").at(of_y);
      if (place > 0 && c.value("x").at(p) <= y) return;
      y = c.value("x").at(p);
      c.value("choice").at(of_y) = static_cast<double>(place);
    } else if (c.name() == "forward") {
      c.value("y").at(of_y) += c.value("x").at(p) / count;
    } else if (c.name() == "backward_input" && a.kind == core::ReduceKind::kMax) {
      const bool is_chosen = c.value("choice").at(of_y) == static_cast<double>(place);
      c.gradient("x").at(p) = is_chosen ? c.gradient("y").at(of_y) : 0;
    } else if (c.name() == "backward_input") {
      c.gradient("x").at(p) = c.gradient("y").at(of_y) / count;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> reduce_examples() {
  using namespace core;
  return {{"reduce", Reduce{.dims = {1}}, {dense({2, 3, 4})}},
          {"reduce_max", Reduce{.kind = ReduceKind::kMax, .dims = {1, 2}}, {dense({2, 3, 4})}}};
}

}  // namespace soapstone::oracle
