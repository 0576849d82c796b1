#include "core/ops/adaptive_pool2d.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

// The mean of the whole image, of which this part adds up its positions.
void global_mean_step(const StepCall& c) {
  const core::Shape& shape = c.shape("x");
  const double count = static_cast<double>(shape[2] * shape[3]);
  for_each_index(c.axes(), [&](Index p) {
    if (c.name() == "forward")
      c.value("y")(p[0], p[1], 0, 0) += c.value("x").at(p) / count;
    else if (c.name() == "backward_input")
      c.gradient("x").at(p) = c.gradient("y")(p[0], p[1], 0, 0) / count;
    else
      c.unknown_step();
  });
}

}  // namespace

// `choice` holds the row-major position of the maximum in the whole image.
void adaptive_pool2d_step(const StepCall& c) {
  const auto& a = c.attributes<core::AdaptivePool2D>();
  if (a.is_global_mean()) return global_mean_step(c);
  const core::Shape& shape = c.shape("x");
  const auto window = [&](std::size_t k, std::int64_t o) {
    const double size = static_cast<double>(shape[2 + k]) / static_cast<double>(a.output[k]);
    // Quotients that are whole numbers may come out a rounding beside them.
    constexpr double kRounding = 1e-9;
    return core::Interval{
        static_cast<std::int64_t>(std::floor(static_cast<double>(o) * size + kRounding)),
        static_cast<std::int64_t>(std::ceil(static_cast<double>(o + 1) * size - kRounding))};
  };
  const bool forward = c.name() == "forward";
  if (!forward && c.name() != "backward_input") c.unknown_step();
  for_each_index(c.axes(), [&](Index p) {
    const core::Box places{window(0, p[2]), window(1, p[3])};
    const double count = static_cast<double>(core::elements(places));
    bool first = true;
    for_each_index(places, [&](Index q) {
      const double position = static_cast<double>(q[0] * shape[3] + q[1]);
      if (forward && a.kind == core::PoolKind::kAverage) {
        c.value("y").at(p) += c.value("x")(p[0], p[1], q[0], q[1]) / count;
      } else if (forward) {
        const double x = c.value("x")(p[0], p[1], q[0], q[1]);
        if (!first && x <= c.value("y").at(p)) return;
        first = false;
        c.value("y").at(p) = x;
        c.value("choice").at(p) = position;
      } else if (a.kind == core::PoolKind::kAverage) {
        c.gradient("x")(p[0], p[1], q[0], q[1]) += c.gradient("y").at(p) / count;
      } else if (c.value("choice").at(p) == position) {
        c.gradient("x")(p[0], p[1], q[0], q[1]) += c.gradient("y").at(p);
      }
    });
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> adaptive_pool2d_examples() {
  using namespace core;
  return {{"adaptive_pool2d",
           AdaptivePool2D{.kind = PoolKind::kMax, .output = {2, 3}},
           {image({2, 3, 5, 4})}},
          {"adaptive_pool2d_global", AdaptivePool2D{}, {image({2, 3, 4, 3})}}};
}

}  // namespace soapstone::oracle
