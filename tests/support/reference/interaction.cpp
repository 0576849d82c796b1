#include "core/ops/interaction.hpp"

#include <string>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void interaction_step(const StepCall& c) {
  const core::Interval features = c.axis("d");
  const auto name = [](std::int64_t k) {
    return k == 0 ? std::string("dense") : "sparse" + std::to_string(k - 1);
  };
  std::int64_t inputs = 0;
  while (c.has_operand(name(inputs))) ++inputs;
  const auto x = [&](std::int64_t k, std::int64_t n, std::int64_t f) {
    return c.value(name(k))(n, f);
  };
  const bool is_forward = c.name() == "forward";
  if (!is_forward && c.name() != "backward_input") c.unknown_step();
  const View& y = is_forward ? c.value("y") : c.gradient("y");
  for (auto n = c.axis("n").begin; n < c.axis("n").end; ++n)
    for (std::int64_t f = 0; f < features.end; ++f) {
      if (is_forward)
        y(n, f) = x(0, n, f);
      else
        c.gradient("dense")(n, f) += y(n, f);
      std::int64_t place = features.end;
      for (std::int64_t i = 0; i < inputs; ++i)
        for (std::int64_t j = 0; j < i; ++j, ++place) {
          if (is_forward) {
            y(n, place) += x(i, n, f) * x(j, n, f);
          } else {
            c.gradient(name(i))(n, f) += y(n, place) * x(j, n, f);
            c.gradient(name(j))(n, f) += y(n, place) * x(i, n, f);
          }
        }
    }
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> interaction_examples() {
  using namespace core;
  return {{"interaction", Interaction{}, {dense({3, 4}), dense({3, 4}), dense({3, 4})}}};
}

}  // namespace soapstone::oracle
