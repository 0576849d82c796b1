#include "core/ops/reshape.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

// Runs over what is written, not over axes, of which a regrouped dimension has none.
void reshape_step(const StepCall& c) {
  const core::Shape &x_shape = c.shape("x"), &y_shape = c.shape("y");
  if (c.name() == "forward") {
    const View &x = c.value("x"), &y = c.value("y");
    for_each_index(y.box, [&](Index p) {
      y.at(p) = x.at(row_major_index(x_shape, row_major_position(y_shape, p)));
    });
  } else if (c.name() == "backward_input") {
    const View &dx = c.gradient("x"), &dy = c.gradient("y");
    for_each_index(dx.box, [&](Index p) {
      dx.at(p) = dy.at(row_major_index(y_shape, row_major_position(x_shape, p)));
    });
  } else {
    c.unknown_step();
  }
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> reshape_examples() {
  using namespace core;
  return {{"flatten", Reshape{.shape = {0, -1}}, {image({2, 3, 2, 4})}},
          {"reshape_unflatten", Reshape{.shape = {0, 4, 3}}, {dense({3, 12})}},
          {"reshape_merges_samples", Reshape{.shape = {-1, 5}}, {dense({3, 4, 5})}},
          {"reshape_regroups", Reshape{.shape = {2, 2, 6}}, {dense({2, 3, 4})}},
          {"reshape_ones", Reshape{.shape = {0, 1, 4, 1}}, {dense({3, 1, 1, 4})}}};
}

}  // namespace soapstone::oracle
