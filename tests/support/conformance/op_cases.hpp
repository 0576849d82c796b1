// The shapes of every operator: <name>_cases() in tests/ops/<name>_test.cpp. Apart from
// op_case.hpp, so that a new operator does not compile the tests of all others anew.
#pragma once

#include <vector>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

#define SOAPSTONE_OP(Type, name) std::vector<OpCase> name##_cases();
#include "core/ops/all.def"
#undef SOAPSTONE_OP

}  // namespace soapstone::conformance
