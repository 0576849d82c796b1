#include "core/ops/layer_norm.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void layer_norm_step(const StepCall& c) {
  const double epsilon = c.attributes<core::LayerNorm>().epsilon;
  const std::int64_t extent = c.shape("x")[c.shape("x").size() - 1];
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
    const View& statistics = c.value("statistics");
    if (c.name() == "forward") {
      const double mean = mean_of([&](auto i) { return at(x, row, i); });
      const double variance =
          mean_of([&](auto i) { return (at(x, row, i) - mean) * (at(x, row, i) - mean); });
      at(statistics, row, 0) = mean;
      at(statistics, row, 1) = 1 / std::sqrt(variance + epsilon);
      for (std::int64_t i = 0; i < extent; ++i)
        at(c.value("y"), row, i) =
            c.value("gamma")(i) * (at(x, row, i) - mean) * at(statistics, row, 1) +
            c.value("beta")(i);
      return;
    }
    const double mean = at(statistics, row, 0), inverse_deviation = at(statistics, row, 1);
    const View& dy = c.gradient("y");
    const auto normalized = [&](auto i) { return (at(x, row, i) - mean) * inverse_deviation; };
    if (c.name() == "backward_input") {
      const auto scaled = [&](auto i) { return c.value("gamma")(i) * at(dy, row, i); };
      const double mean_scaled = mean_of(scaled);
      const double mean_product = mean_of([&](auto i) { return scaled(i) * normalized(i); });
      for (std::int64_t i = 0; i < extent; ++i)
        at(c.gradient("x"), row, i) =
            inverse_deviation * (scaled(i) - mean_scaled - normalized(i) * mean_product);
    } else if (c.name() == "backward_weight") {
      for (std::int64_t i = 0; i < extent; ++i) {
        c.gradient("gamma")(i) += at(dy, row, i) * normalized(i);
        c.gradient("beta")(i) += at(dy, row, i);
      }
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> layer_norm_examples() {
  using namespace core;
  return {{"layer_norm", LayerNorm{}, {dense({2, 3, 4})}}};
}

}  // namespace soapstone::oracle
