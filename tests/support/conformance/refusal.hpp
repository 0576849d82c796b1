// What an operator says to inputs or attributes that it does not accept.
#pragma once

#include <string>
#include <vector>

#include "core/op.hpp"

namespace soapstone::conformance {

inline std::string refusal(const core::Op& op, const std::vector<core::TensorDesc>& inputs) {
  const auto definition = op.define(inputs);
  return definition ? "accepted" : definition.error().message;
}

}  // namespace soapstone::conformance
