#include "core/ops/rms_norm.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void rms_norm_step(const StepCall& c) {
  const double epsilon = c.attributes<core::RmsNorm>().epsilon;
  const std::int64_t extent = c.shape("gamma")[0];
  const auto at = [](const View& view, Index row, std::int64_t last) -> double& {
    const std::int64_t index[] = {last};
    return view.at(joined(row, index));
  };
  const auto mean_of = [&](const auto& term) {
    double sum = 0;
    for (std::int64_t i = 0; i < extent; ++i) sum += term(i);
    return sum / static_cast<double>(extent);
  };

  for_each_index(c.axes().first(c.axes().size() - 1), [&](Index row) {
    const View& x = c.value("x");
    double& inverse_rms = c.value("inverse_rms").at(row);
    if (c.name() == "forward") {
      inverse_rms =
          1 / std::sqrt(mean_of([&](auto i) { return at(x, row, i) * at(x, row, i); }) + epsilon);
      for (std::int64_t i = 0; i < extent; ++i)
        at(c.value("y"), row, i) = c.value("gamma")(i) * at(x, row, i) * inverse_rms;
      return;
    }
    const View& dy = c.gradient("y");
    const auto normalized = [&](auto i) { return at(x, row, i) * inverse_rms; };
    if (c.name() == "backward_input") {
      const auto scaled = [&](auto i) { return c.value("gamma")(i) * at(dy, row, i); };
      const double mean_product = mean_of([&](auto i) { return scaled(i) * normalized(i); });
      for (std::int64_t i = 0; i < extent; ++i)
        at(c.gradient("x"), row, i) = inverse_rms * (scaled(i) - normalized(i) * mean_product);
    } else if (c.name() == "backward_weight") {
      for (std::int64_t i = 0; i < extent; ++i)
        c.gradient("gamma")(i) += at(dy, row, i) * normalized(i);
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> rms_norm_examples() {
  using namespace core;
  return {{"rms_norm", RmsNorm{}, {dense({2, 3, 4})}}};
}

}  // namespace soapstone::oracle
