#include <imgui.h>

#include "explorer_gui/view/theme.hpp"

// Generated from the fonts' files (explorer_gui/CMakeLists.txt).
extern const unsigned char soapstone_font_Roboto_Regular[], soapstone_font_Roboto_Bold[],
    soapstone_font_Inconsolata_Medium[];
extern const unsigned int soapstone_font_Roboto_Regular_size, soapstone_font_Roboto_Bold_size,
    soapstone_font_Inconsolata_Medium_size;

namespace soapstone::explorer::view {

Fonts load_fonts() {
  const auto font = [](const unsigned char* bytes, unsigned int size, float points,
                       bool completes_the_last = false) {
    ImFontConfig config;
    config.MergeMode = completes_the_last;
    config.FontDataOwnedByAtlas = false;
    // Dear ImGui does not write to it.
    return ImGui::GetIO().Fonts->AddFontFromMemoryTTF(const_cast<unsigned char*>(bytes),
                                                      static_cast<int>(size), points, &config);
  };
  Fonts fonts;
  // Roboto has no arrows.
  const auto arrows = [&] {
    font(soapstone_font_Inconsolata_Medium, soapstone_font_Inconsolata_Medium_size, 15, true);
  };
  fonts.text = font(soapstone_font_Roboto_Regular, soapstone_font_Roboto_Regular_size, 15);
  arrows();
  fonts.bold = font(soapstone_font_Roboto_Bold, soapstone_font_Roboto_Bold_size, 15);
  arrows();
  fonts.code = font(soapstone_font_Inconsolata_Medium, soapstone_font_Inconsolata_Medium_size, 15);
  return fonts;
}

}  // namespace soapstone::explorer::view
