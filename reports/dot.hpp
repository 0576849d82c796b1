// A picture in Graphviz's language.
#pragma once

#include <string>

#include "reports/picture.hpp"

namespace soapstone::reports {

enum class Legend : std::uint8_t { kWith, kWithout };

// Nodes carry their ids, so that what is drawn from it can be coloured anew.
std::string dot(const Picture& picture, ColourBy by, Legend legend = Legend::kWith);
// In colours of one's own, one per node; `meaning` stands above the legend.
std::string dot(const Picture& picture, const Colouring& colours, const std::string& meaning,
                Legend legend = Legend::kWith);

}  // namespace soapstone::reports
