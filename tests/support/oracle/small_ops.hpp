// Every operator, some with several attributes, on inputs that are small enough to enumerate.
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
std::vector<SmallOp> small_ops();

}  // namespace soapstone::oracle
