#include "tests/support/oracle/small_ops.hpp"

namespace soapstone::oracle {

// tests/support/reference/<name>.cpp for every operator.
#define SOAPSTONE_OP(Type, name) std::vector<SmallOp> name##_examples();
#include "core/ops/all.def"
#undef SOAPSTONE_OP

core::OpDefinition SmallOp::definition() const {
  auto d = op.define(inputs);
  SOAPSTONE_ASSERT(d, "{}: {}", name, d.error().message);
  return std::move(*d);
}

std::vector<SmallOp> small_ops() {
  std::vector<SmallOp> all;
  const auto append = [&](std::vector<SmallOp> examples) {
    for (SmallOp& example : examples) all.push_back(std::move(example));
  };
#define SOAPSTONE_OP(Type, name) append(name##_examples());
#include "core/ops/all.def"
#undef SOAPSTONE_OP
  return all;
}

}  // namespace soapstone::oracle
