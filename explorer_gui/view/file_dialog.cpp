#include "explorer_gui/view/file_dialog.hpp"

#include <algorithm>
#include <utility>

#include <imgui.h>
#include <imgui_stdlib.h>

#include "explorer_gui/view/detail/draw.hpp"

namespace soapstone::explorer::view {

namespace fs = std::filesystem;

void FileDialog::ask(std::string title, Purpose purpose, std::string name, Chosen chosen) {
  title_ = std::move(title);
  purpose_ = purpose;
  chosen_ = std::move(chosen);
  std::error_code ignored;
  if (folder_.empty()) folder_ = fs::current_path(ignored);
  text_ = (folder_ / name).string();
  if (name.empty() && !text_.ends_with('/')) text_ += '/';
  asked_ = true;
  overwrite_ = false;
  listed_.clear();
  error_.clear();
}

// What lies in the folder that the text names, and begins as it does.
void FileDialog::list() {
  const fs::path typed(text_);
  const std::string begins = typed.filename().string();
  const std::string key = text_;
  if (key == listed_) return;
  listed_ = key;
  entries_.clear();
  std::error_code error;
  const fs::path folder = typed.has_parent_path() ? typed.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && !begins.starts_with('.')) continue;
    if (purpose_ == Purpose::kOpen && !name.starts_with(begins)) continue;
    std::error_code ignored;
    entries_.push_back({name, entry.is_directory(ignored)});
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::pair(!a.is_folder, a.name) < std::pair(!b.is_folder, b.name);
  });
  if (error) error_ = folder.string() + ": " + error.message();
}

void FileDialog::draw() {
  if (title_.empty()) return;
  if (std::exchange(asked_, false)) ImGui::OpenPopup(title_.c_str());
  ImGui::SetNextWindowSize({ImGui::GetFontSize() * 42, ImGui::GetFontSize() * 28},
                           ImGuiCond_Appearing);
  bool open = true;
  if (!ImGui::BeginPopupModal(title_.c_str(), &open)) {
    if (!ImGui::IsPopupOpen(title_.c_str())) title_.clear();
    return;
  }
  list();
  ImGui::SetNextItemWidth(-1);
  if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();
  bool done = ImGui::InputText("##path", &text_, ImGuiInputTextFlags_EnterReturnsTrue);
  if (ImGui::IsItemEdited()) {
    error_.clear();
    overwrite_ = false;
  }
  const float below = ImGui::GetFrameHeightWithSpacing() * 2;
  if (ImGui::BeginChild("entries", {0, -below}, ImGuiChildFlags_Borders)) {
    const fs::path folder = fs::path(text_).parent_path();
    if (folder.has_parent_path() && folder != folder.root_path() && ImGui::Selectable("../"))
      text_ = (folder.parent_path() / "").string();
    for (const Entry& e : entries_) {
      if (ImGui::Selectable((e.name + (e.is_folder ? "/" : "")).c_str(), false,
                            ImGuiSelectableFlags_AllowDoubleClick)) {
        text_ = (folder / e.name).string() + (e.is_folder ? "/" : "");
        if (!e.is_folder && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) done = true;
        error_.clear();
        overwrite_ = false;
        break;
      }
    }
  }
  ImGui::EndChild();
  label(error_);
  const bool saves = purpose_ == Purpose::kSave, folder = purpose_ == Purpose::kFolder;
  if (ImGui::Button(overwrite_ ? "Replace it" : saves ? "Save" : folder ? "Write" : "Open"))
    done = true;
  ImGui::SameLine();
  if (ImGui::Button("Cancel") || ImGui::IsKeyPressed(ImGuiKey_Escape)) open = false;
  if (done) {
    std::error_code ignored;
    if (folder) {
      if (fs::exists(text_, ignored) && !fs::is_directory(text_, ignored)) {
        error_ = "This is a file; name a folder, which may be new.";
      } else {
        folder_ = fs::path(text_).parent_path();
        chosen_(text_);
        open = false;
      }
    } else if (fs::is_directory(text_, ignored)) {
      if (!text_.ends_with('/')) text_ += '/';
    } else if (!saves && !fs::exists(text_, ignored)) {
      error_ = "There is no such file.";
    } else if (saves && !overwrite_ && fs::exists(text_, ignored)) {
      error_ = "There is a file of this name already.";
      overwrite_ = true;
    } else {
      folder_ = fs::path(text_).parent_path();
      chosen_(text_);
      open = false;
    }
  }
  if (!open) {
    ImGui::CloseCurrentPopup();
    title_.clear();
  }
  ImGui::EndPopup();
}

}  // namespace soapstone::explorer::view
