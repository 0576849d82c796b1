#include <imgui.h>

#include "explorer_gui/view/theme.hpp"

// Generated from the fonts' files (explorer_gui/CMakeLists.txt).
extern const unsigned char soapstone_font_Roboto_Regular[], soapstone_font_Roboto_Bold[],
    soapstone_font_Inconsolata_Medium[];
extern const unsigned int soapstone_font_Roboto_Regular_size, soapstone_font_Roboto_Bold_size,
    soapstone_font_Inconsolata_Medium_size;

namespace soapstone::explorer::view {

Fonts load_fonts() {
  const auto font = [](const unsigned char* bytes, unsigned int size, float points) {
    ImFontConfig config;
    config.FontDataOwnedByAtlas = false;
    // Dear ImGui does not write to it.
    return ImGui::GetIO().Fonts->AddFontFromMemoryTTF(const_cast<unsigned char*>(bytes),
                                                      static_cast<int>(size), points, &config);
  };
  Fonts fonts;
  fonts.text = font(soapstone_font_Roboto_Regular, soapstone_font_Roboto_Regular_size, 15);
  fonts.bold = font(soapstone_font_Roboto_Bold, soapstone_font_Roboto_Bold_size, 15);
  fonts.code = font(soapstone_font_Inconsolata_Medium, soapstone_font_Inconsolata_Medium_size, 15);
  return fonts;
}

}  // namespace soapstone::explorer::view
