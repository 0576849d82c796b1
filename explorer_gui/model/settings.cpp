#include "explorer_gui/model/settings.hpp"

#include <algorithm>
#include <cstdlib>

#include "core/document_impl.hpp"

namespace soapstone::explorer {

namespace {

constexpr std::size_t kMostRecent = 12;
constexpr const char* kFile = "explorer.json";

}  // namespace

void Settings::opened(const std::string& file) {
  std::erase(recent, file);
  recent.insert(recent.begin(), file);
  if (recent.size() > kMostRecent) recent.resize(kMostRecent);
}

std::filesystem::path config_folder() {
  if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder && *folder)
    return std::filesystem::path(folder) / "soapstone";
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::filesystem::path(home) / ".config" / "soapstone";
  return std::filesystem::temp_directory_path() / "soapstone";
}

Settings load_settings(const std::filesystem::path& folder) {
  return core::load_document<Settings>(folder / kFile).value_or(Settings{});
}

core::Status save_settings(const std::filesystem::path& folder, const Settings& settings) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return core::fail("{}: cannot be made: {}", folder.string(), error.message());
  return core::save_document(folder / kFile, settings);
}

}  // namespace soapstone::explorer

namespace soapstone::core {
SOAPSTONE_INSTANTIATE_DOCUMENT(explorer::Settings);
}
