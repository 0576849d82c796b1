// Drawn by Graphviz's library.
#pragma once

#include <string>

#include "core/result.hpp"

namespace soapstone::reports {

// Whether this was built with it.
bool has_graphviz();

// The drawing of a graph in Graphviz's language as a whole SVG file. Refused without Graphviz; a
// text that is no graph is an error with Graphviz's own words.
core::Result<std::string> svg(const std::string& dot);

}  // namespace soapstone::reports
