// What the explorer remembers between its runs, and where.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/reflect.hpp"
#include "core/result.hpp"

namespace soapstone::explorer {

enum class Theme : std::uint8_t { kDark, kLight };
SOAPSTONE_ENUM_NAMES(Theme, {Theme::kDark, "dark"}, {Theme::kLight, "light"})

struct Settings {
  static constexpr std::string_view kFormat = "soapstone.explorer-settings";
  static constexpr int kVersion = 1;
  Theme theme = Theme::kDark;
  double scale = 0;                 // of texts and everything else; 0: as the screen says
  std::vector<std::string> recent;  // files, the last one first
  int width = 1440, height = 900;   // of the window

  friend bool operator==(const Settings&, const Settings&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("theme", self.theme, core::kOptional);
    visit("scale", self.scale, core::kOptional);
    visit("recent", self.recent, core::kOptional);
    visit("width", self.width, core::kOptional);
    visit("height", self.height, core::kOptional);
  }

  void opened(const std::string& file);  // to the front of `recent`
};

// Where the explorer keeps its files: $XDG_CONFIG_HOME/soapstone or ~/.config/soapstone.
std::filesystem::path config_folder();

// What cannot be read counts as not there: settings are no work of anybody's.
Settings load_settings(const std::filesystem::path& folder);
core::Status save_settings(const std::filesystem::path& folder, const Settings& settings);

}  // namespace soapstone::explorer
