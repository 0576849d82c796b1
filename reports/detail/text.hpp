// Small pieces of text that several formats share.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/strategy.hpp"

namespace soapstone::reports::detail {

// "n=2 co=4"; empty where nothing is split.
std::string split_text(const core::OpNode& node, const core::OpStrategy& strategy);

// A JSON string with its quotes. What is no UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

// For the places of every device in the plan, by device number.
std::vector<core::PlanPlace> places_of(const core::Plan& plan);

}  // namespace soapstone::reports::detail
