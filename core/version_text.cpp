#include "core/version_text.hpp"

#include "core/version.hpp"

namespace soapstone::core {

std::string_view version_text() { return kVersion; }

}  // namespace soapstone::core
