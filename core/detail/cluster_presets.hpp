// The files of samples/clusters/, embedded by cmake/SoapstoneEmbed.cmake.
#pragma once

#include <span>
#include <string_view>
#include <utility>

namespace soapstone::core::detail {

// Name and text of each file.
std::span<const std::pair<std::string_view, std::string_view>> cluster_presets();

}  // namespace soapstone::core::detail
