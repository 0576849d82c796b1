// Drawn by Graphviz's library.
#pragma once

#include <string>

#include "core/result.hpp"

namespace soapstone::reports {

// Whether this was built with it.
bool has_graphviz();
// "2.43.0"; empty where it was not.
std::string graphviz_version();

// The drawing of a graph in Graphviz's language as a whole SVG file. Refused without Graphviz; a
// text that is no graph is an error with Graphviz's own words.
core::Result<std::string> svg(const std::string& dot);
// The same as a PDF file. Refused also where Graphviz has no plugin that writes PDF (cairo).
core::Result<std::string> pdf(const std::string& dot);

}  // namespace soapstone::reports
