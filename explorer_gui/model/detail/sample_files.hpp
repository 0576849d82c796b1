// Generated from samples/faults/ by cmake/SoapstoneEmbed.cmake.
#pragma once

#include <span>
#include <string_view>
#include <utility>

namespace soapstone::explorer_gui::model::detail {

// Name without its ending, text.
std::span<const std::pair<std::string_view, std::string_view>> sample_files();

}  // namespace soapstone::explorer_gui::model::detail
