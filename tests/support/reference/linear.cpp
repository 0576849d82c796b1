#include "core/ops/linear.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void linear_step(const StepCall& c) {
  const auto& linear = c.attributes<core::Linear>();
  const std::size_t outs = linear.out_features.size();
  const std::size_t ins = static_cast<std::size_t>(linear.contracted_dims);
  const std::size_t batches = c.axes().size() - outs - ins;
  const bool activated = linear.activation == core::Activation::kRelu;
  // Points of the iteration space are b…, o…, i….
  const auto b = [&](Index p) { return p.subspan(0, batches); };
  const auto o = [&](Index p) { return p.subspan(batches, outs); };
  const auto i = [&](Index p) { return p.subspan(batches + outs, ins); };
  const auto bo = c.axes().subspan(0, batches + outs);

  if (c.name() == "forward" || c.name() == "product") {
    const View &x = c.value("x"), &w = c.value("weight");
    const View& y = c.name() == "product" ? c.value("pre") : c.value("y");
    for_each_index(c.axes(), [&](Index p) {
      y.at(p.subspan(0, batches + outs)) += x.at(joined(b(p), i(p))) * w.at(joined(o(p), i(p)));
    });
    if (c.is_present("bias"))
      for_each_index(bo, [&](Index p) { y.at(p) += c.value("bias").at(o(p)); });
    if (c.name() == "forward" && activated)
      for_each_index(bo, [&](Index p) { y.at(p) = relu(y.at(p)); });
  } else if (c.name() == "activate") {
    for_each_index(bo, [&](Index p) { c.value("y").at(p) = relu(c.value("pre").at(p)); });
  } else if (c.name() == "backward_activation") {
    for_each_index(bo, [&](Index p) {
      c.gradient("pre").at(p) = c.value("y").at(p) > 0 ? c.gradient("y").at(p) : 0;
    });
  } else if (c.name() == "backward_input") {
    const View &dy = c.gradient(activated ? "pre" : "y"), &w = c.value("weight"),
               &dx = c.gradient("x");
    for_each_index(c.axes(), [&](Index p) {
      dx.at(joined(b(p), i(p))) += dy.at(p.subspan(0, batches + outs)) * w.at(joined(o(p), i(p)));
    });
  } else if (c.name() == "backward_weight") {
    const View &dy = c.gradient(activated ? "pre" : "y"), &x = c.value("x"),
               &dw = c.gradient("weight");
    for_each_index(c.axes(), [&](Index p) {
      dw.at(joined(o(p), i(p))) += dy.at(p.subspan(0, batches + outs)) * x.at(joined(b(p), i(p)));
    });
    if (c.is_present("bias"))
      for_each_index(bo, [&](Index p) { c.gradient("bias").at(o(p)) += dy.at(p); });
  } else {
    c.unknown_step();
  }
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> linear_examples() {
  using namespace core;
  return {{"linear", Linear{.out_features = {5}}, {dense({3, 4})}},
          {"linear_relu",
           Linear{.out_features = {3}, .activation = Activation::kRelu},
           {dense({2, 3, 5})}},
          {"linear_packed",
           Linear{.out_features = {3, 4, 2}, .packed = true, .bias = false},
           {dense({2, 3, 4})}},
          {"linear_contracts_two",
           Linear{.out_features = {3}, .contracted_dims = 2},
           {dense({2, 2, 3, 2})}}};
}

}  // namespace soapstone::oracle
