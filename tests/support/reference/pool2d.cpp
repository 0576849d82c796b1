#include "core/ops/pool2d.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

// `choice` holds the row-major index of the maximum inside its window.
void pool2d_step(const StepCall& c) {
  const auto& a = c.attributes<core::Pool2D>();
  const core::Shape& x_shape = c.shape("x");
  // visit(xh, xw, place) for every place of the window of (oh, ow) that is not padding.
  const auto for_each_place = [&](std::int64_t oh, std::int64_t ow, const auto& visit) {
    for (std::int64_t r = 0; r < a.kernel[0]; ++r)
      for (std::int64_t s = 0; s < a.kernel[1]; ++s) {
        const std::int64_t xh = oh * a.stride[0] - a.padding[0] + r;
        const std::int64_t xw = ow * a.stride[1] - a.padding[2] + s;
        if (xh >= 0 && xh < x_shape[2] && xw >= 0 && xw < x_shape[3])
          visit(xh, xw, r * a.kernel[1] + s);
      }
  };
  const auto mean_over = [&](std::int64_t oh, std::int64_t ow) {
    std::int64_t places = 0;
    for_each_place(oh, ow, [&](auto, auto, auto) { ++places; });
    return static_cast<double>(a.count_padding ? a.kernel[0] * a.kernel[1] : places);
  };

  const bool forward = c.name() == "forward";
  if (!forward && c.name() != "backward_input") c.unknown_step();
  for_each_index(c.axes(), [&](Index p) {
    const auto n = p[0], ch = p[1], oh = p[2], ow = p[3];
    if (forward && a.kind == core::PoolKind::kMax) {
      bool first = true;
      double& best = c.value("y").at(p);
      for_each_place(oh, ow, [&](auto xh, auto xw, auto place) {
        const double x = c.value("x")(n, ch, xh, xw);
        if (!first && x <= best) return;
        first = false;
        best = x;
        c.value("choice").at(p) = static_cast<double>(place);
      });
    } else if (forward) {
      for_each_place(oh, ow, [&](auto xh, auto xw, auto) {
        c.value("y").at(p) += c.value("x")(n, ch, xh, xw);
      });
      c.value("y").at(p) /= mean_over(oh, ow);
    } else {
      for_each_place(oh, ow, [&](auto xh, auto xw, auto place) {
        double& dx = c.gradient("x")(n, ch, xh, xw);
        if (a.kind == core::PoolKind::kAverage)
          dx += c.gradient("y").at(p) / mean_over(oh, ow);
        else if (c.value("choice").at(p) == static_cast<double>(place))
          dx += c.gradient("y").at(p);
      });
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> pool2d_examples() {
  using namespace core;
  return {
      {"pool2d_max",
       Pool2D{.kind = PoolKind::kMax, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 0, 1}},
       {image({2, 3, 6, 4})}},
      {"pool2d_average",
       Pool2D{.kind = PoolKind::kAverage, .kernel = {2, 2}, .stride = {2, 2}},
       {image({2, 3, 6, 5})}},
      {"pool2d_with_gaps",
       Pool2D{.kind = PoolKind::kAverage, .kernel = {1, 2}, .stride = {2, 3}},
       {image({2, 2, 7, 8})}}};
}

}  // namespace soapstone::oracle
