#include "core/ops/moe_combine.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void moe_combine_step(const StepCall& c) {
  const bool forward = c.name() == "forward";
  if (!forward && c.name() != "backward_input") c.unknown_step();
  const core::Interval experts = c.axis("e");
  const std::int64_t capacity = c.shape("x")[2], top_k = c.shape("slots")[2];
  const core::Box tokens{c.axis("n"), c.axis("s"), c.axis("d")};
  for_each_index(tokens, [&](Index p) {
    const auto n = p[0], s = p[1], f = p[2];
    for (std::int64_t k = 0; k < top_k; ++k) {
      const auto slot = static_cast<std::int64_t>(c.value("slots")(n, s, k));
      if (slot < experts.begin * capacity || slot >= experts.end * capacity) continue;
      const std::int64_t e = slot / capacity, place = slot % capacity;
      const double weight = c.value("weights")(n, s, k), x = c.value("x")(n, e, place, f);
      if (forward) {
        c.value("y").at(p) += weight * x;
      } else {
        c.gradient("x")(n, e, place, f) += weight * c.gradient("y").at(p);
        c.gradient("weights")(n, s, k) += x * c.gradient("y").at(p);
      }
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> moe_combine_examples() {
  using namespace core;
  return {{"moe_combine", MoeCombine{}, {dense({2, 3, 4, 5}), dense({2, 3, 2}), ids({2, 3, 2})}}};
}

}  // namespace soapstone::oracle
