#pragma once

#include <string_view>

namespace soapstone::core {

// `git describe` of the tree this was built from, else the project's version.
std::string_view version_text();

}  // namespace soapstone::core
