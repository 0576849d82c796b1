// Colours, fonts and distances of everything that is drawn.
#pragma once

#include "explorer_gui/model/palette.hpp"
#include "explorer_gui/model/settings.hpp"

struct ImFont;

namespace soapstone::explorer::view {

struct Fonts {
  ImFont* text = nullptr;
  ImFont* bold = nullptr;
  ImFont* code = nullptr;  // of one width
};

// Of the window's context, once.
Fonts load_fonts();

// `scale`: pixels per point.
void apply_theme(Theme theme, double scale);

// 0xAABBGGRR, as draw lists want it; `alpha` in [0, 1].
unsigned int packed(Colour colour, double alpha = 1);

// Texts and lines that mean something, readable on the theme's ground.
struct Signals {
  Colour good, bad, warning, quiet, accent;
};
Signals signals(Theme theme);

}  // namespace soapstone::explorer::view
