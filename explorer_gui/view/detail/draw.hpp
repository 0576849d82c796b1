// Small drawings and texts that several panels share.
#pragma once

#include <string>
#include <string_view>

#include <imgui.h>

#include "explorer_gui/model/palette.hpp"
#include "explorer_gui/model/settings.hpp"

namespace soapstone::explorer::view {

// A box in a colour with its pattern over it; patterns are left out where they could not be told.
void fill(ImDrawList& list, ImVec2 from, ImVec2 to, Ink ink);

// A small box in the ink, to stand before a word of a legend.
void swatch(Ink ink);

// Text in a colour; wrapped at the edge of its window.
void coloured(Colour colour, std::string_view text);
void coloured_wrapped(Colour colour, std::string_view text);

// The text as it is, without formats.
void label(std::string_view text);

// "?" in grey that tells something longer when the mouse is over it.
void hint(std::string_view text);
// Tells it when the mouse rests over the item before.
void tip(std::string_view text);

// The item before is greyed with a reason: a disabled button that says why.
// Returns true when it was pressed and `why_not` is empty.
bool button(const char* text, std::string_view why_not, std::string_view what_it_does = {});

// As much of it as fits into so many pixels, with … at its end.
std::string fitted(std::string_view text, float width);

}  // namespace soapstone::explorer::view
