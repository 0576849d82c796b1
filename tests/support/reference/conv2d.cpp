#include "core/ops/conv2d.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

struct Conv {
  const StepCall& c;
  const core::Conv2D& a = c.attributes<core::Conv2D>();
  const core::Shape& x = c.shape("x");
  std::int64_t ci_per_group = x[1] / a.groups;
  std::int64_t co_per_group = a.out_channels / a.groups;
  core::Interval co = a.groups == 1 ? c.axis("co")
                                    : core::Interval{c.axis("g").begin * co_per_group,
                                                     c.axis("g").end* co_per_group};
  core::Interval ci =
      a.groups == 1 ? c.axis("ci") : core::Interval{0, ci_per_group};  // inside a group

  // visit(n, co, oh, ow) for every output element of this part.
  template <class Visit>
  void for_each_output(const Visit& visit) const {
    const core::Box points{c.axis("n"), co, c.axis("h"), c.axis("w")};
    for_each_index(points, [&](Index p) { visit(p[0], p[1], p[2], p[3]); });
  }
  // visit(n, co, oh, ow, ci, r, s, xc, xh, xw) for every product that is not with padding.
  template <class Visit>
  void for_each_product(const Visit& visit) const {
    for_each_output([&](auto n, auto o, auto oh, auto ow) {
      for (auto i = ci.begin; i < ci.end; ++i)
        for (std::int64_t r = 0; r < a.kernel[0]; ++r)
          for (std::int64_t s = 0; s < a.kernel[1]; ++s) {
            const std::int64_t xh = oh * a.stride[0] - a.padding[0] + r * a.dilation[0];
            const std::int64_t xw = ow * a.stride[1] - a.padding[2] + s * a.dilation[1];
            if (xh < 0 || xh >= x[2] || xw < 0 || xw >= x[3]) continue;
            visit(n, o, oh, ow, i, r, s, o / co_per_group * ci_per_group + i, xh, xw);
          }
    });
  }
};

}  // namespace

void conv2d_step(const StepCall& c) {
  const Conv conv{c};
  const bool activated = conv.a.activation == core::Activation::kRelu;

  if (c.name() == "forward" || c.name() == "product") {
    const View &x = c.value("x"), &w = c.value("weight");
    const View& y = c.name() == "product" ? c.value("pre") : c.value("y");
    conv.for_each_product([&](auto n, auto o, auto oh, auto ow, auto i, auto r, auto s, auto xc,
                              auto xh,
                              auto xw) { y(n, o, oh, ow) += w(o, i, r, s) * x(n, xc, xh, xw); });
    if (c.is_present("bias"))
      conv.for_each_output(
          [&](auto n, auto o, auto oh, auto ow) { y(n, o, oh, ow) += c.value("bias")(o); });
    if (c.name() == "forward" && activated)
      conv.for_each_output(
          [&](auto n, auto o, auto oh, auto ow) { y(n, o, oh, ow) = relu(y(n, o, oh, ow)); });
  } else if (c.name() == "activate") {
    conv.for_each_output([&](auto... p) { c.value("y")(p...) = relu(c.value("pre")(p...)); });
  } else if (c.name() == "backward_activation") {
    conv.for_each_output([&](auto... p) {
      c.gradient("pre")(p...) = c.value("y")(p...) > 0 ? c.gradient("y")(p...) : 0;
    });
  } else if (c.name() == "backward_input") {
    const View &dy = c.gradient(activated ? "pre" : "y"), &w = c.value("weight"),
               &dx = c.gradient("x");
    conv.for_each_product([&](auto n, auto o, auto oh, auto ow, auto i, auto r, auto s, auto xc,
                              auto xh,
                              auto xw) { dx(n, xc, xh, xw) += dy(n, o, oh, ow) * w(o, i, r, s); });
  } else if (c.name() == "backward_weight") {
    const View &dy = c.gradient(activated ? "pre" : "y"), &x = c.value("x"),
               &dw = c.gradient("weight");
    conv.for_each_product([&](auto n, auto o, auto oh, auto ow, auto i, auto r, auto s, auto xc,
                              auto xh,
                              auto xw) { dw(o, i, r, s) += dy(n, o, oh, ow) * x(n, xc, xh, xw); });
    if (c.is_present("bias"))
      conv.for_each_output(
          [&](auto n, auto o, auto oh, auto ow) { c.gradient("bias")(o) += dy(n, o, oh, ow); });
  } else {
    c.unknown_step();
  }
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> conv2d_examples() {
  using namespace core;
  return {
      {"conv2d",
       Conv2D{.out_channels = 3, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 0, 1}},
       {image({2, 2, 6, 5})}},
      {"conv2d_relu_dilated",
       Conv2D{.out_channels = 2,
              .kernel = {3, 3},
              .padding = {2, 2, 1, 2},
              .dilation = {2, 2},
              .activation = Activation::kRelu},
       {image({2, 3, 5, 4})}},
      {"conv2d_groups",
       Conv2D{.out_channels = 6, .kernel = {2, 2}, .groups = 3},
       {image({2, 3, 4, 4})}},
      {"conv2d_depthwise_relu",
       Conv2D{.out_channels = 4, .kernel = {2, 1}, .groups = 4, .activation = Activation::kRelu},
       {image({2, 4, 3, 3})}},
      {"conv2d_with_gaps",
       Conv2D{.out_channels = 2, .kernel = {1, 1}, .stride = {3, 2}},
       {image({2, 2, 8, 6})}}};
}

}  // namespace soapstone::oracle
