// The files of reports/page/, embedded while building.
#pragma once

#include <span>
#include <string_view>
#include <utility>

namespace soapstone::reports::detail {

// Names and texts, in the order of CMakeLists.txt.
std::span<const std::pair<std::string_view, std::string_view>> page_files();

}  // namespace soapstone::reports::detail
