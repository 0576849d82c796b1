#include "core/ops/embedding.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void embedding_step(const StepCall& c) {
  const core::Interval vocab = c.axis("vocab");
  // y's indices: those of ids, then the feature.
  for_each_index(c.axes().first(c.axes().size() - 1), [&](Index p) {
    const auto id = static_cast<std::int64_t>(c.value("ids").at(p.first(p.size() - 1)));
    if (id < vocab.begin || id >= vocab.end) return;
    if (c.name() == "forward")
      c.value("y").at(p) = c.value("table")(id, p.back());
    else if (c.name() == "backward_weight")
      c.gradient("table")(id, p.back()) += c.gradient("y").at(p);
    else
      c.unknown_step();
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> embedding_examples() {
  using namespace core;
  return {{"embedding", Embedding{.vocab = 7, .features = 3, .dtype = DType::kF64}, {ids({2, 3})}}};
}

}  // namespace soapstone::oracle
