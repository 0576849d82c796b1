// What a prepared kernel knows of its operands beforehand.
#pragma once

#include <string_view>

#include "kernels/kernel.hpp"

namespace soapstone::kernels::detail {

struct LocalOperand {
  core::Shape extents;
  core::Shape strides;  // in elements
  core::DimOrder order;
  core::Box box;
};
LocalOperand local_operand(const core::LocalProblem& problem, std::string_view name);

// Whether this part holds the operand: not where only the first part of a split axis has it.
bool has_operand(const core::LocalProblem& problem, std::string_view name);

}  // namespace soapstone::kernels::detail
