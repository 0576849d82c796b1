#include "explorer_gui/view/detail/provenance.hpp"

#include <imgui.h>

#include "explorer_gui/view/detail/draw.hpp"

namespace soapstone::explorer::view {

void number(Ui& ui, OpenProvenance& open, const char* id, const std::string& text,
            const std::function<Provenance()>& make) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  const bool pressed =
      ImGui::InvisibleButton(id, {std::max(size.x, 1.0F), size.y},
                             ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonRight);
  const bool hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddText(at, ImGui::GetColorU32(ImGuiCol_Text), text.c_str());
  if (hovered) {
    list.AddLine({at.x, at.y + size.y}, {at.x + size.x, at.y + size.y}, packed(ui.colours.accent),
                 ui.points(1));
    ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
  }
  tip("Click: its formula, inputs, source, uncertainty and command.");
  if (pressed) open.open(make());
}

void provenance_popup(Ui& ui, OpenProvenance& open) {
  if (std::exchange(open.asked, false)) ImGui::OpenPopup("Where this comes from");
  ImGui::SetNextWindowSizeConstraints({ui.points(360), 0}, {ui.points(620), ui.points(640)});
  if (!ImGui::BeginPopup("Where this comes from")) return;
  const Provenance& p = open.shown;
  ImGui::PushTextWrapPos(ui.points(560));
  ImGui::TextDisabled("%s", p.name.c_str());
  ImGui::PushFont(ui.fonts.bold, ImGui::GetStyle().FontSizeBase * 1.3F);
  label(p.value);
  ImGui::PopFont();
  if (!p.formula.empty()) label("= " + p.formula);
  if (!p.inputs.empty() && ImGui::BeginTable("inputs", 2, ImGuiTableFlags_SizingFixedFit)) {
    for (const auto& [name, value] : p.inputs) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::TextDisabled("%s", name.c_str());
      ImGui::TableNextColumn();
      label(value);
    }
    ImGui::EndTable();
  }
  const auto part = [&](const char* heading, const std::string& words) {
    if (words.empty()) return;
    ImGui::Spacing();
    ImGui::TextDisabled("%s", heading);
    label(words);
  };
  part("source", p.source);
  part("uncertainty", p.uncertainty);
  ImGui::PopTextWrapPos();
  if (!p.command.empty()) {
    ImGui::Spacing();
    ImGui::TextDisabled("the same in a shell");
    ImGui::PushFont(ui.fonts.code, 0);
    ImGui::PushTextWrapPos(ui.points(560));
    label(p.command);
    ImGui::PopTextWrapPos();
    ImGui::PopFont();
  }
  ImGui::Spacing();
  if (!p.command.empty()) {
    if (ImGui::Button("Copy the command")) ImGui::SetClipboardText(p.command.c_str());
    ImGui::SameLine();
  }
  if (ImGui::Button("Copy everything")) ImGui::SetClipboardText(text(p).c_str());
  ImGui::EndPopup();
}

}  // namespace soapstone::explorer::view
