// All strategies of the design: a table, time against memory, and the search that finds them.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>
#include <implot.h>

#include "core/file.hpp"
#include "core/units.hpp"
#include "explorer_gui/model/comparison.hpp"
#include "explorer_gui/model/search_view.hpp"
#include "explorer_gui/model/strategy_table.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/provenance.hpp"
#include "explorer_gui/view/file_dialog.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

namespace {

constexpr double kGibibyte = 1024.0 * 1024 * 1024;
constexpr double kMillisecond = 1e6;

ImVec4 colour4(Colour c, float alpha = 1) {
  return ImGui::ColorConvertU32ToFloat4(packed(c, alpha));
}

class StrategiesPanel final : public Panel {
 public:
  StrategiesPanel()
      : Panel("Strategies", Dock::kBottom,
              "All strategies with time, memory and cost; their Pareto front; the search.") {}

  void add_actions(Ui& ui) override {
    const auto none = [&ui] {
      return ui.session.design().strategies.empty() ? std::string("There is no strategy yet.")
                                                    : std::string();
    };
    const auto shown = [&ui] {
      return ui.session.design().shown() ? std::string() : std::string("There is no strategy yet.");
    };
    ui.actions.add({"export.table_csv", "Save the table of strategies…", "",
                    "Saves the rows that the table shows, as CSV with times in nanoseconds.",
                    [this] {
                      open = to_front = true;
                      want_csv_ = true;
                    },
                    none});
    ui.actions.add({"export.summary_markdown", "Copy a summary as Markdown", "",
                    "Puts what the table shows on the clipboard, to paste into a pull request.",
                    [this, &ui] { copy_summary(ui.session); }, none});
    ui.actions.add({"edit.star", "Star the strategy", "Ctrl+D",
                    "Keeps it in sight, or takes that back.",
                    [&ui] {
                      const NamedStrategy* s = ui.session.design().shown();
                      ui.session.star(s->id, !s->starred);
                    },
                    shown});
    ui.actions.add({"edit.rename", "Rename the strategy", "F2", "Gives it another name.",
                    [this, &ui] {
                      open = to_front = true;
                      rename(*ui.session.design().shown());
                    },
                    shown});
    ui.actions.add({"edit.baseline", "Compare with the strategy that is shown", "Ctrl+B",
                    "Makes it the baseline of ratios, changes and waterfalls.",
                    [&ui] { ui.session.compare_with(ui.session.design().current); }, shown});
    ui.actions.add({"edit.remove", "Remove the strategy", "",
                    "Takes it out of the design; undo brings it back.",
                    [&ui] { ui.session.remove(ui.session.design().current); }, shown});
  }

  void draw(Ui& ui) override {
    Session& s = ui.session;
    refresh(s);
    if (!s.design().complete()) {
      ImGui::TextDisabled("Choose a model and a cluster: their strategies stand here.");
    } else {
      tools(ui);
      const ImVec2 room = ImGui::GetContentRegionAvail();
      const bool beside = room.x > ui.points(760);
      const float plots =
          beside ? std::clamp(room.x * 0.32F, ui.points(300), ui.points(560)) : room.x;
      const float gap = ImGui::GetStyle().ItemSpacing.x;
      if (ImGui::BeginChild("rows", beside ? ImVec2(room.x - plots - gap, 0)
                                           : ImVec2(0, std::max(ui.points(120), room.y * 0.5F))))
        table(ui);
      ImGui::EndChild();
      if (beside) ImGui::SameLine();
      if (ImGui::BeginChild("plots")) {
        if (ImGui::BeginTabBar("of")) {
          if (ImGui::BeginTabItem("Time and memory")) {
            pareto(ui);
            ImGui::EndTabItem();
          }
          const bool began = s.search_run().running && !searching_;
          searching_ = s.search_run().running;
          if (ImGui::BeginTabItem("Search", nullptr, began ? ImGuiTabItemFlags_SetSelected : 0)) {
            search(ui);
            ImGui::EndTabItem();
          }
          ImGui::EndTabBar();
        }
      }
      ImGui::EndChild();
    }
    if (std::exchange(want_csv_, false))
      files_.ask("Save the table of strategies", FileDialog::Purpose::kSave, "strategies.csv",
                 [this, &s](const std::string& file) {
                   const auto status = core::write_file_atomically(
                       file, strategies_csv(s.design(), rows_of_table()));
                   if (!status)
                     s.complain(status.error().message);
                   else
                     s.say("saved " + file);
                 });
    files_.draw();
    provenance_popup(ui, provenance_);
  }

 private:
  void refresh(Session& s) {
    if (revision_ == s.revision() && query_ == made_for_) return;
    revision_ = s.revision();
    made_for_ = query_;
    ask_for_bound(s);
    rows_ = strategy_rows(
        s.design(), [&s](StrategyId id) { return s.known(id); }, bound_);
    visible_ = chosen(rows_, query_);
    pareto_ = pareto_of(rows_);
    slowest_ = core::Nanoseconds(1);
    for (const std::size_t i : visible_)
      if (rows_[i].step_time) slowest_ = std::max(slowest_, *rows_[i].step_time);
    // What is not known is computed, one after the other; each that is done leads here again.
    for (const StrategyRow& row : rows_)
      if (row.state != StrategyState::kFailed && !row.computing) {
        s.complete_figures(row.id);
        break;
      }
  }

  // What no strategy can beat follows from model, cluster and optimizer.
  void ask_for_bound(Session& s) {
    if (!s.design().complete()) return;
    const Setting setting = s.design().setting();
    if (bound_of_ == setting.key()) return;
    bound_of_ = setting.key();
    bound_.reset();
    s.jobs().start(
        "lower bound",
        [this, alive = std::weak_ptr<int>(alive_), setting,
         key = bound_of_](JobContext&) -> Jobs::Finish {
          const auto bound = lower_bound_of(setting);
          return [this, alive, key, bound] {
            if (alive.expired() || key != bound_of_) return;
            bound_ = bound;
            revision_ = 0;
          };
        },
        "lower bound");
  }

  std::vector<StrategyRow> rows_of_table() const {
    std::vector<StrategyRow> out;
    for (const std::size_t i : visible_) out.push_back(rows_[i]);
    return out;
  }

  // With the sentence that tells the strategy from its baseline, which a job finds.
  void copy_summary(Session& s) {
    refresh(s);
    const auto copy = [&s, design = s.design(), rows = rows_of_table()](const std::string& why) {
      if (!ImGui::GetCurrentContext()) return;  // the window is closed
      ImGui::SetClipboardText(summary_markdown(design, rows, why).c_str());
      s.say("The summary is on the clipboard.");
    };
    const NamedStrategy *const shown = s.design().shown(), *const base = s.design().compared();
    const auto after = s.shown(), before = s.compared();
    if (!after || !before || shown->id == base->id) return copy({});
    s.jobs().start("summary",
                   [copy, graph = s.design().graph, cluster = s.design().cluster,
                    first = predicted_step(*base, before),
                    second = predicted_step(*shown, after)](JobContext&) -> Jobs::Finish {
                     const auto done = compare(*graph, *cluster, first, second);
                     return [copy, why = done ? done->why : std::string()] { copy(why); };
                   });
  }

  void tools(Ui& ui) {
    ImGui::SetNextItemWidth(ui.points(180));
    ImGui::InputTextWithHint("##filter", "filter by name or origin", &query_.text);
    ImGui::SameLine();
    ImGui::Checkbox("starred", &query_.starred_only);
    ImGui::SameLine();
    ImGui::Checkbox("fits", &query_.fitting_only);
    tip("Only strategies that fit into the memory of their devices.");
    ImGui::SameLine();
    ImGui::TextDisabled("%zu of %zu", visible_.size(), rows_.size());
    ImGui::SameLine();
    for (const char* id : {"export.table_csv", "export.summary_markdown"}) {
      const Action* action = ui.actions.find(id);
      if (button(id[7] == 't' ? "CSV…" : "Markdown", action->refusal(), action->tip)) action->run();
      ImGui::SameLine();
    }
    ImGui::NewLine();
  }

  // A star that can be clicked; drawn, as fonts have none.
  static bool star(Ui& ui, StrategyId id, bool on) {
    const float size = ImGui::GetTextLineHeight();
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const bool pressed = ImGui::InvisibleButton(fmt::format("star##{}", id).c_str(), {size, size});
    const bool hovered = ImGui::IsItemHovered();
    std::array<ImVec2, 10> corners;
    const ImVec2 centre(at.x + size / 2, at.y + size / 2);
    for (std::size_t k = 0; k < corners.size(); ++k) {
      const float angle = -1.5707963F + static_cast<float>(k) * 0.62831853F;
      const float radius = size * (k % 2 == 0 ? 0.46F : 0.19F);
      corners[k] = {centre.x + radius * std::cos(angle), centre.y + radius * std::sin(angle)};
    }
    ImDrawList& list = *ImGui::GetWindowDrawList();
    if (on) list.AddConcavePolyFilled(corners.data(), 10, packed(ui.colours.warning));
    list.AddPolyline(
        corners.data(), 10,
        packed(on || hovered ? ui.colours.warning : ui.colours.quiet, on || hovered ? 1 : 0.6),
        ui.points(1), ImDrawFlags_Closed);
    tip(on ? "Take the star away" : "Star it");
    return pressed;
  }

  void rename(const NamedStrategy& s) {
    renaming_ = s.id;
    new_name_ = s.name;
    focus_name_ = true;
  }

  void table(Ui& ui) {
    constexpr ImGuiTableFlags kFlags =
        ImGuiTableFlags_Sortable | ImGuiTableFlags_SortTristate | ImGuiTableFlags_RowBg |
        ImGuiTableFlags_Resizable | ImGuiTableFlags_Hideable | ImGuiTableFlags_Reorderable |
        ImGuiTableFlags_ScrollX | ImGuiTableFlags_ScrollY | ImGuiTableFlags_BordersInnerV |
        ImGuiTableFlags_BordersOuter | ImGuiTableFlags_SizingFixedFit;
    if (!ImGui::BeginTable("strategies", static_cast<int>(kStrategyColumns), kFlags)) return;
    ImGui::TableSetupScrollFreeze(2, 1);
    for (std::size_t c = 0; c < kStrategyColumns; ++c) {
      const auto column = static_cast<StrategyColumn>(c);
      ImGuiTableColumnFlags flags = ImGuiTableColumnFlags_None;
      if (column == StrategyColumn::kPins) flags |= ImGuiTableColumnFlags_DefaultHide;
      if (column == StrategyColumn::kStar || column == StrategyColumn::kSamplesPerSecond)
        flags |= ImGuiTableColumnFlags_PreferSortDescending;
      if (column == StrategyColumn::kStar) flags |= ImGuiTableColumnFlags_NoHide;
      ImGui::TableSetupColumn(std::string(title_of(column)).c_str(), flags,
                              column == StrategyColumn::kName       ? ui.points(190)
                              : column == StrategyColumn::kStepTime ? ui.points(90)
                                                                    : 0,
                              static_cast<ImGuiID>(c));
    }
    ImGui::TableNextRow(ImGuiTableRowFlags_Headers);
    for (std::size_t c = 0; c < kStrategyColumns; ++c) {
      if (!ImGui::TableSetColumnIndex(static_cast<int>(c))) continue;
      ImGui::TableHeader(std::string(title_of(static_cast<StrategyColumn>(c))).c_str());
      tip(meaning_of(static_cast<StrategyColumn>(c)));
    }
    if (ImGuiTableSortSpecs* specs = ImGui::TableGetSortSpecs(); specs && specs->SpecsDirty) {
      query_.by.reset();
      if (specs->SpecsCount > 0) {
        query_.by = static_cast<StrategyColumn>(specs->Specs[0].ColumnUserID);
        query_.descending = specs->Specs[0].SortDirection == ImGuiSortDirection_Descending;
      }
      specs->SpecsDirty = false;
      refresh(ui.session);
    }
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(visible_.size()));
    while (clipper.Step())
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const std::size_t k = visible_[static_cast<std::size_t>(i)];
        if (k < rows_.size()) row(ui, k);
      }
    ImGui::EndTable();
  }

  void row(Ui& ui, std::size_t i) {
    Session& s = ui.session;
    const StrategyRow r = rows_[i];  // a click may change the list
    ImGui::TableNextRow();
    ImGui::PushID(static_cast<int>(r.id));
    for (std::size_t c = 0; c < kStrategyColumns; ++c) {
      if (!ImGui::TableSetColumnIndex(static_cast<int>(c))) continue;
      const auto column = static_cast<StrategyColumn>(c);
      if (column == StrategyColumn::kStar) {
        ImGui::PopID();  // its own id says whose it is
        if (star(ui, r.id, r.starred)) s.star(r.id, !r.starred);
        ImGui::PushID(static_cast<int>(r.id));
      } else if (column == StrategyColumn::kName) {
        name(ui, r, i);
      } else {
        cell(ui, r, column);
      }
    }
    ImGui::PopID();
  }

  void name(Ui& ui, const StrategyRow& r, std::size_t i) {
    Session& s = ui.session;
    if (renaming_ == r.id) {
      if (std::exchange(focus_name_, false)) ImGui::SetKeyboardFocusHere();
      ImGui::SetNextItemWidth(-1);
      const bool entered = ImGui::InputText(
          "##name", &new_name_,
          ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_AutoSelectAll);
      if (entered && !new_name_.empty() && new_name_ != r.name) s.rename(r.id, new_name_);
      if (entered || ImGui::IsItemDeactivated()) renaming_ = 0;
      return;
    }
    if (r.shown) ImGui::PushStyleColor(ImGuiCol_Text, packed(ui.colours.accent));
    if (r.shown) ImGui::PushFont(ui.fonts.bold, 0);
    if (ImGui::Selectable(
            fmt::format("{}{}###row", r.name, r.baseline ? "  (baseline)" : "").c_str(), r.shown,
            ImGuiSelectableFlags_SpanAllColumns | ImGuiSelectableFlags_AllowOverlap |
                ImGuiSelectableFlags_AllowDoubleClick)) {
      s.show(r.id);
      if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left))
        if (const NamedStrategy* named = s.design().find(r.id)) rename(*named);
    }
    if (r.shown) ImGui::PopFont();
    if (r.shown) ImGui::PopStyleColor();
    // The column under the mouse says which number is meant.
    if (ImGui::IsItemClicked(ImGuiMouseButton_Right)) {
      const int column = ImGui::TableGetHoveredColumn();
      meant_ = column >= 0 && column < static_cast<int>(kStrategyColumns)
                   ? static_cast<StrategyColumn>(column)
                   : StrategyColumn::kName;
    }
    if (ImGui::IsItemHovered() && !r.why_not.empty()) tip(r.why_not);
    if (ImGui::BeginPopupContextItem("menu")) {
      menu(ui, r, i);
      ImGui::EndPopup();
    }
  }

  void menu(Ui& ui, const StrategyRow& r, std::size_t i) {
    Session& s = ui.session;
    if (ImGui::MenuItem("Show", nullptr, r.shown)) s.show(r.id);
    if (ImGui::MenuItem("Set as baseline", nullptr, r.baseline))
      s.compare_with(r.baseline ? std::nullopt : std::optional(r.id));
    tip("Ratios, changes and waterfalls are against it.");
    if (ImGui::MenuItem("Star", nullptr, r.starred)) s.star(r.id, !r.starred);
    if (ImGui::MenuItem("Rename"))
      if (const NamedStrategy* named = s.design().find(r.id)) rename(*named);
    if (ImGui::MenuItem("Remove")) s.remove(r.id);
    ImGui::Separator();
    const bool is_number = meant_ != StrategyColumn::kStar && meant_ != StrategyColumn::kName &&
                           meant_ != StrategyColumn::kOrigin && meant_ != StrategyColumn::kState;
    const StrategyColumn column = is_number ? meant_ : StrategyColumn::kStepTime;
    if (ImGui::MenuItem(
            fmt::format("Where {} comes from…###where", cell_text(r, column)).c_str())) {
      const Evaluated* known = s.known(r.id);
      const auto measured = r.shown ? s.measured() : nullptr;
      provenance_.open(provenance_of(s.design(), rows_, i, column,
                                     known && known->full ? known->full.get() : nullptr,
                                     measured.get()));
    }
    if (ImGui::MenuItem("Copy the command"))
      if (const NamedStrategy* named = s.design().find(r.id))
        ImGui::SetClipboardText(command_line(s.design(), *named, "simulate").c_str());
  }

  void cell(Ui& ui, const StrategyRow& r, StrategyColumn column) const {
    const std::string text = cell_text(r, column);
    if (column == StrategyColumn::kOrigin) {
      label(text);
      return;
    }
    if (column == StrategyColumn::kState) {
      if (r.state == StrategyState::kFits)
        coloured(ui.colours.good, text);
      else if (r.state == StrategyState::kUnknown)
        ImGui::TextDisabled("%s", text.c_str());
      else
        coloured(ui.colours.bad, r.why_not.empty() ? text : r.why_not);
      return;
    }
    const float width = ImGui::GetContentRegionAvail().x;
    if (column == StrategyColumn::kStepTime && r.step_time) {
      // How long it is beside the others.
      const ImVec2 at = ImGui::GetCursorScreenPos();
      const auto share =
          static_cast<float>(r.step_time->value) / static_cast<float>(slowest_.value);
      ImGui::GetWindowDrawList()->AddRectFilled(
          {at.x, at.y + ImGui::GetTextLineHeight()},
          {at.x + width * share, at.y + ImGui::GetTextLineHeight() + ui.points(2)},
          packed(r.state == StrategyState::kFits ? ui.colours.accent : ui.colours.bad, 0.7));
    }
    // Numbers end at one edge.
    const float size = ImGui::CalcTextSize(text.c_str()).x;
    if (size < width) ImGui::SetCursorPosX(ImGui::GetCursorPosX() + width - size);
    if (column == StrategyColumn::kRatio && r.ratio && !r.baseline)
      coloured(*r.ratio <= 1 ? ui.colours.good : ui.colours.warning, text);
    else if (column == StrategyColumn::kMemory && r.state == StrategyState::kTooLarge)
      coloured(ui.colours.bad, text);
    else
      label(text);
  }

  void pareto(Ui& ui) {
    Session& s = ui.session;
    std::vector<double> fit_x, fit_y, large_x, large_y, front_x, front_y;
    const auto put = [&](std::size_t i, std::vector<double>& x, std::vector<double>& y) {
      x.push_back(static_cast<double>(rows_[i].step_time->value) / kMillisecond);
      y.push_back(static_cast<double>(rows_[i].memory->value) / kGibibyte);
    };
    double right = 0, top = 0;
    for (const std::size_t i : pareto_.fitting) put(i, fit_x, fit_y);
    for (const std::size_t i : pareto_.too_large) put(i, large_x, large_y);
    for (const std::size_t i : pareto_.front) put(i, front_x, front_y);
    for (const auto* x : {&fit_x, &large_x})
      for (const double v : *x) right = std::max(right, v);
    for (const auto* y : {&fit_y, &large_y})
      for (const double v : *y) top = std::max(top, v);
    if (!ImPlot::BeginPlot("##pareto", {-1, -1}, ImPlotFlags_NoTitle | ImPlotFlags_NoMouseText))
      return;
    ImPlot::SetupAxes("step, ms", "memory, GiB");
    if (pareto_count_ != rows_.size()) {
      pareto_count_ = rows_.size();
      ImPlot::SetupAxesLimits(0, std::max(right, 1e-6) * 1.1, 0, std::max(top, 1e-6) * 1.15,
                              ImPlotCond_Always);
    }
    ImPlot::SetupLegend(ImPlotLocation_North,
                        ImPlotLegendFlags_Outside | ImPlotLegendFlags_Horizontal);
    ImPlotSpec line;
    line.LineColor = colour4(ui.colours.accent, 0.8F);
    line.LineWeight = ui.points(1.5);
    if (!front_x.empty())
      ImPlot::PlotLine("front", front_x.data(), front_y.data(), static_cast<int>(front_x.size()),
                       line);
    const auto scatter = [&](const char* name, const std::vector<double>& x,
                             const std::vector<double>& y, ImPlotMarker marker, Colour colour,
                             double size) {
      if (x.empty()) return;
      ImPlotSpec spec;
      spec.Marker = marker;
      spec.MarkerSize = ui.points(size);
      spec.MarkerFillColor = spec.MarkerLineColor = colour4(colour);
      spec.LineWeight = ui.points(1.5);
      ImPlot::PlotScatter(name, x.data(), y.data(), static_cast<int>(x.size()), spec);
    };
    scatter("fits", fit_x, fit_y, ImPlotMarker_Circle, ui.colours.accent, 4);
    scatter("too large", large_x, large_y, ImPlotMarker_Cross, ui.colours.bad, 5);
    // Rings around the two that everything is about.
    std::vector<ScreenPoint> points;
    std::vector<std::size_t> of_point;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const StrategyRow& r = rows_[i];
      if (!r.step_time || !r.memory) continue;
      const ImVec2 at = ImPlot::PlotToPixels(static_cast<double>(r.step_time->value) / kMillisecond,
                                             static_cast<double>(r.memory->value) / kGibibyte);
      points.push_back({at.x, at.y});
      of_point.push_back(i);
      if (!r.shown && !r.baseline) continue;
      ImPlot::PushPlotClipRect();
      ImDrawList& list = *ImPlot::GetPlotDrawList();
      const Colour colour = r.shown ? ui.colours.warning : ui.colours.quiet;
      if (r.shown)
        list.AddCircle(at, ui.points(8), packed(colour), 0, ui.points(2));
      else
        list.AddRect({at.x - ui.points(7), at.y - ui.points(7)},
                     {at.x + ui.points(7), at.y + ui.points(7)}, packed(colour), 0, ui.points(2));
      const std::string name = r.shown ? r.name : "baseline";
      const float width = ImGui::CalcTextSize(name.c_str()).x + ui.points(11);
      const bool is_left = at.x + width > ImPlot::GetPlotPos().x + ImPlot::GetPlotSize().x;
      list.AddText(
          {is_left ? at.x - width : at.x + ui.points(11), at.y - ImGui::GetTextLineHeight() / 2},
          packed(colour), name.c_str());
      ImPlot::PopPlotClipRect();
    }
    if (ImPlot::IsPlotHovered()) {
      const ImVec2 mouse = ImGui::GetMousePos();
      const auto near = nearest(points, {mouse.x, mouse.y}, ui.points(12));
      if (near) {
        const StrategyRow& r = rows_[of_point[*near]];
        ImGui::SetTooltip(
            "%s", fmt::format("{}\n{} a step, {}{}{}", r.name, core::human_text(*r.step_time),
                              core::human_text(*r.memory), r.why_not.empty() ? "" : "\n", r.why_not)
                      .c_str());
        const ImVec2 dragged = ImGui::GetMouseDragDelta(ImGuiMouseButton_Left);
        if (ImGui::IsMouseReleased(ImGuiMouseButton_Left) && dragged.x == 0 && dragged.y == 0)
          s.show(r.id);
      }
    }
    ImPlot::EndPlot();
  }

  void search(Ui& ui) {
    Session& s = ui.session;
    const SearchRun& run = s.search_run();
    std::optional<core::Nanoseconds> baseline;
    for (const StrategyRow& r : rows_)
      if (r.baseline || (r.shown && !baseline)) baseline = r.step_time;
    for (const StrategyRow& r : rows_)
      if (r.baseline) baseline = r.step_time;
    const SearchView view = search_view(run, axis_, baseline, bound_);
    if (!run.running) {
      const Action* start = ui.actions.find("search.start");
      if (button("Search", start->refusal(), start->tip)) start->run();
    } else {
      if (ImGui::Button(run.paused ? "Resume" : "Pause")) s.pause_search(!run.paused);
      tip("A search that is paused keeps its budget.");
      ImGui::SameLine();
      if (ImGui::Button("Stop")) s.stop_search();
      tip("Keeps the best so far.");
      ImGui::SameLine();
      ImGui::ProgressBar(static_cast<float>(run.last.fraction), {ui.points(90), 0});
    }
    ImGui::SameLine();
    int over = axis_ == SearchAxis::kTime ? 1 : 0;
    ImGui::SetNextItemWidth(ui.points(120));
    if (ImGui::Combo("##over", &over, "over proposals\0over time\0"))
      axis_ = over == 1 ? SearchAxis::kTime : SearchAxis::kProposals;
    ImGui::PushTextWrapPos(0);
    if (run.error.empty())
      label(view.words);
    else
      coloured(ui.colours.bad, view.words);
    ImGui::PopTextWrapPos();
    if (!ImPlot::BeginPlot("##best", {-1, -1}, ImPlotFlags_NoTitle | ImPlotFlags_NoMouseText))
      return;
    ImPlot::SetupAxes(axis_ == SearchAxis::kTime ? "seconds" : "proposals", "best step, ms");
    if (!view.x.empty()) {
      double top = *std::max_element(view.best.begin(), view.best.end());
      if (baseline) top = std::max(top, static_cast<double>(baseline->value) / kMillisecond);
      ImPlot::SetupAxesLimits(0, std::max(view.x.back(), 1e-3), 0, top * 1.1,
                              run.running ? ImPlotCond_Always : ImPlotCond_Once);
    }
    ImPlot::SetupLegend(ImPlotLocation_North,
                        ImPlotLegendFlags_Outside | ImPlotLegendFlags_Horizontal);
    if (baseline) {
      const double at = static_cast<double>(baseline->value) / kMillisecond;
      ImPlotSpec spec;
      spec.LineColor = colour4(ui.colours.quiet);
      spec.Flags = ImPlotInfLinesFlags_Horizontal;
      ImPlot::PlotInfLines("baseline", &at, 1, spec);
    }
    if (view.bound) {
      ImPlotSpec spec;
      spec.LineColor = colour4(ui.colours.good);
      spec.Flags = ImPlotInfLinesFlags_Horizontal;
      ImPlot::PlotInfLines("lower bound", &*view.bound, 1, spec);
    }
    if (!view.x.empty()) {
      ImPlotSpec spec;
      spec.LineColor = colour4(ui.colours.accent);
      spec.LineWeight = ui.points(2);
      ImPlot::PlotStairs("best so far", view.x.data(), view.best.data(),
                         static_cast<int>(view.x.size()), spec);
    }
    ImPlot::EndPlot();
  }

  StrategyQuery query_, made_for_;
  std::uint64_t revision_ = 0;
  std::uint64_t bound_of_ = 0;  // the setting
  std::optional<core::Nanoseconds> bound_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::vector<StrategyRow> rows_;
  std::vector<std::size_t> visible_;
  Pareto pareto_;
  core::Nanoseconds slowest_;
  std::size_t pareto_count_ = 0;  // rows that the plot's axes were chosen for
  StrategyColumn meant_ = StrategyColumn::kName;
  StrategyId renaming_ = 0;
  std::string new_name_;
  bool focus_name_ = false, want_csv_ = false, searching_ = false;
  SearchAxis axis_ = SearchAxis::kProposals;
  FileDialog files_;
  OpenProvenance provenance_;
};

}  // namespace

std::unique_ptr<Panel> strategies_panel() { return std::make_unique<StrategiesPanel>(); }

}  // namespace soapstone::explorer::view
