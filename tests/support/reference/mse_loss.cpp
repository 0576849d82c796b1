#include "core/ops/mse_loss.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void mse_loss_step(const StepCall& c) {
  const auto& a = c.attributes<core::MseLoss>();
  const double count =
      static_cast<double>(a.mean_over > 0 ? a.mean_over : core::elements(c.shape("target")));
  for_each_index(c.axes(), [&](Index p) {
    const double difference = c.value("prediction").at(p) - c.value("target").at(p);
    if (c.name() == "forward")
      c.value("loss")(0) += difference * difference / count;
    else if (c.name() == "backward_input")
      c.gradient("prediction").at(p) = 2 * difference / count;
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> mse_loss_examples() {
  using namespace core;
  return {{"mse_loss", MseLoss{}, {dense({2, 3}), dense({2, 3})}}};
}

}  // namespace soapstone::oracle
