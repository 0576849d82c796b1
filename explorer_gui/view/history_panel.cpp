// What was done, by name; a click goes there.
#include <optional>

#include <fmt/core.h>
#include <imgui.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

class HistoryPanel final : public Panel {
 public:
  HistoryPanel()
      : Panel("History", Dock::kLeft, "Everything that was done; a click goes back or forth.") {}

  void draw(Ui& ui) override {
    Session& s = ui.session;
    const History& history = s.history();
    for (const char* id : {"edit.undo", "edit.redo"}) {
      const Action* a = ui.actions.find(id);
      if (button(a->title.c_str(), a->refusal(), a->tip + " " + a->shortcut)) a->run();
      ImGui::SameLine();
    }
    ImGui::TextDisabled("step %zu of %zu", history.at() + 1, history.size());
    if (!ImGui::BeginTable(
            "steps", 3,
            ImGuiTableFlags_RowBg | ImGuiTableFlags_ScrollY | ImGuiTableFlags_SizingStretchProp))
      return;
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableSetupColumn("what", ImGuiTableColumnFlags_None, 2.2F);
    ImGui::TableSetupColumn("step time", ImGuiTableColumnFlags_None, 1);
    ImGui::TableSetupColumn("change", ImGuiTableColumnFlags_None, 0.9F);
    ImGui::TableHeadersRow();
    std::optional<std::size_t> chosen;
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(history.size()));
    if (at_ != history.at()) clipper.IncludeItemByIndex(static_cast<int>(history.at()));
    while (clipper.Step())
      for (int k = clipper.DisplayStart; k < clipper.DisplayEnd; ++k) {
        const auto i = static_cast<std::size_t>(k);
        ImGui::TableNextRow();
        ImGui::TableNextColumn();
        const bool undone = i > history.at();
        if (undone) ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetColorU32(ImGuiCol_TextDisabled));
        if (ImGui::Selectable(fmt::format("{}###step {}", history.what(i), i).c_str(),
                              i == history.at(), ImGuiSelectableFlags_SpanAllColumns))
          chosen = i;
        if (i == history.at() && at_ != i) {
          ImGui::SetScrollHereY(0.5F);
          at_ = i;
        }
        const NamedStrategy* shown = history.design(i).shown();
        tip(history.what(i) + (shown ? "\nshows " + shown->name : std::string()) +
            (undone ? "\nundone: a click does it again" : ""));
        const auto figures = s.figures_at(i);
        ImGui::TableNextColumn();
        if (figures) label(core::human_text(figures->step_time));
        if (figures && !figures->why_not.empty()) {
          ImGui::SameLine();
          coloured(ui.colours.bad, "!");
          tip("It does not fit: " + figures->why_not);
        }
        ImGui::TableNextColumn();
        const auto before = i == 0 ? std::nullopt : s.figures_at(i - 1);
        if (figures && before && before->step_time.value > 0 &&
            figures->step_time != before->step_time) {
          const double ratio = static_cast<double>(figures->step_time.value) /
                                   static_cast<double>(before->step_time.value) -
                               1;
          coloured(ratio < 0 ? ui.colours.good : ui.colours.warning,
                   fmt::format("{:+.1f} %", 100 * ratio));
        }
        if (undone) ImGui::PopStyleColor();
      }
    ImGui::EndTable();
    if (chosen) s.go_to(*chosen);
  }

 private:
  std::size_t at_ = 0;  // the step that was scrolled to
};

}  // namespace

std::unique_ptr<Panel> history_panel() { return std::make_unique<HistoryPanel>(); }

}  // namespace soapstone::explorer::view
