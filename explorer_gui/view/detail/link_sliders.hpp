// How fast links are in the question that stands; what is dragged moves the timeline at once.
#pragma once

#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

enum class Flow : std::uint8_t { kBeside, kBelow };
// A slider per kind of link, "network##speed", so wide.
void link_sliders(Ui& ui, float width, Flow flow);
// The words of the answer, what is asked in a tooltip, and the buttons Keep and Reset.
void answer_line(Ui& ui, Flow flow);

}  // namespace soapstone::explorer::view
