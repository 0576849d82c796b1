// What a transfer moves, twice: from the boxes alone, and by the step schedule of its algorithm.
#pragma once

#include <vector>

#include "core/plan.hpp"
#include "tests/support/interpreter/training_data.hpp"

namespace soapstone::interpreter {

// What each member wants, from what each holds (in their boxes, row-major). Collectives are done
// both ways and must agree; every wanted element must come from somewhere, and where nothing is
// summed, once.
std::vector<Values> transferred(const core::Transfer& transfer, const std::vector<Values>& held);

// The same if nothing moved: what a member holds of what it wants, else zeros.
std::vector<Values> kept_without(const core::Transfer& transfer, const std::vector<Values>& held);

}  // namespace soapstone::interpreter
