// Every operator, some with several attributes, on inputs that are small enough to enumerate. They
// stand beside the operator's reference: <name>_examples() in tests/support/reference/<name>.cpp.
#pragma once

#include <string>
#include <vector>

#include "core/op.hpp"

namespace soapstone::oracle {

struct SmallOp {
  std::string name;
  core::Op op;
  std::vector<core::TensorDesc> inputs;

  core::OpDefinition definition() const;
};
// In the order of core/ops/all.def.
std::vector<SmallOp> small_ops();

// Row-major f64, channels-last f64, and i32.
inline core::TensorDesc dense(core::Shape shape) {
  return {std::move(shape), core::DType::kF64, {}};
}
inline core::TensorDesc image(core::Shape shape) {
  return {std::move(shape), core::DType::kF64, core::channels_last(4)};
}
inline core::TensorDesc ids(core::Shape shape) { return {std::move(shape), core::DType::kI32, {}}; }

}  // namespace soapstone::oracle
