// What the explorer gets from this program: models, clusters, strategies and costs, found as for
// every verb.
#pragma once

#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "explorer_gui/model/local_backend.hpp"

namespace soapstone::cli {

explorer::Resources explorer_resources(const std::string& program, const CostArguments& costs);

}  // namespace soapstone::cli
