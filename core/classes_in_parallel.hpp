// Work on the classes of a plan, which do not touch each other.
#pragma once

#include <cstddef>
#include <functional>

#include "core/plan.hpp"

namespace soapstone::core {

// Calls work(0) … work(classes - 1), each once: where the programs are large, on as many threads as
// the machine has cores, the caller's among them. What a call throws is thrown again once all have
// ended.
void for_each_class(const Plan& plan, const std::function<void(std::size_t)>& work);

}  // namespace soapstone::core
