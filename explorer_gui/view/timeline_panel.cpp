// Predicted and measured steps as timelines on one axis.
#include "explorer_gui/view/detail/timeline_panel.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/core.h>
#include <imgui.h>
#include <imgui_stdlib.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"

namespace soapstone::explorer::view {

namespace {

constexpr double kFoldPixels = 3;  // what is shorter is drawn together
constexpr std::size_t kMapColumns = 240;

}  // namespace

TimelinePanel::TimelinePanel()
    : Panel("Timeline", Dock::kBottom,
            "What every device does when, predicted and measured on one axis.") {}

void TimelinePanel::add_actions(Ui& ui) {
  Session* session = &ui.session;
  const auto ready = [this] {
    return results_->timeline ? std::string() : std::string("There is no trace yet.");
  };
  const auto act = [&](const char* id, const char* name, const char* about_it, auto run) {
    ui.actions.add({std::string("timeline.") + id, name, "", about_it,
                    [this, session, run] {
                      open = true;
                      run();
                      session->changed();
                    },
                    ready});
  };
  ui.actions.add({"timeline.find", "Find in the timeline…", "Ctrl+Shift+F",
                  "Marks the spans whose name has a text in it, and goes through them.",
                  [this] { open = to_front = ask_to_find_ = true; }, ready});
  act("whole", "Timeline: the whole step", "Shows the whole step. Key: Home.",
      [this] { view_.show_all(); });
  act("selection", "Timeline: zoom to the selection",
      "Shows the range or span that is selected. Key: F.", [this] { zoom_to_selection(); });
  act("critical", "Timeline: critical path", "Underlines what the step's time is made of.",
      [this] { critical_ = !critical_; });
  act("differences", "Timeline: differences",
      "Colours the lower trace by how much slower or faster it is than the upper one.",
      [this] { differences_ = !differences_; });
  act("what-if", "Timeline: what if", "Shows how fast links would be, to be dragged.",
      [this] { asking_ = !asking_; });
  act("no-question", "Timeline: end what if", "Shows the step as it is predicted. Key: Escape.",
      [session] { session->ask({}); });
  act("unfold", "Timeline: show every device", "Shows every device of groups that do the same.",
      [this] { unfold_all(); });
  act("fold", "Timeline: fold devices that do the same", "Shows one device of every group.",
      [this] {
        rows_options_.open.clear();
        rows_options_.shut.clear();
      });
}

void TimelinePanel::draw(Ui& ui) {
  refresh(ui);
  toolbar(ui);
  if (!results_->timeline) {
    ImGui::TextDisabled("%s", building_ ? "The timeline is being made."
                                        : "Choose a model and a cluster, or open a trace.");
    return;
  }
  banner(ui);
  const Timeline& t = *results_->timeline;
  follow(ui, t);
  const float side = statistics_shown() ? ui.points(300) : 0;
  const ImVec2 room = ImGui::GetContentRegionAvail();
  ImGui::BeginChild("##time", {std::max(ui.points(200), room.x - side), 0}, 0,
                    ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
  label_width_ = ui.points(190);
  axis_width_ = std::max(ui.points(50), ImGui::GetContentRegionAvail().x - label_width_ -
                                            ImGui::GetStyle().ScrollbarSize);
  axis_x_ = ImGui::GetCursorScreenPos().x + label_width_;
  minimap(ui, t);
  ruler(ui);
  const float below = counters_ ? counters_height(ui) : 0;
  const float legend_height = ImGui::GetTextLineHeightWithSpacing() + ui.points(2);
  lanes(ui, t, std::max(ui.points(60), ImGui::GetContentRegionAvail().y - below - legend_height));
  if (counters_) counters(ui, t);
  legend(ui, t);
  keys(ui);
  ImGui::EndChild();
  if (side > 0) {
    ImGui::SameLine();
    statistics(ui, t);
  }
}

std::vector<KeyHelp> TimelinePanel::keys_help() const {
  return {{"W, wheel up", "Come nearer, to where the mouse is"},
          {"S, wheel down", "Go further away"},
          {"A, D, Shift+wheel", "Move to the left, to the right"},
          {"Middle button", "Move by dragging"},
          {"Ctrl+wheel", "Scroll the lanes"},
          {"Home", "The whole step"},
          {"F", "Zoom to the range or span that is selected"},
          {"Click", "Select a span, and set the cursor that other views follow"},
          {"Drag", "Select a range, whose statistics are told"},
          {"Drag a span's right end", "What if the selected span took so long?"},
          {"Double click", "Zoom to a span"},
          {"Enter, Shift+Enter", "In the search: the next span, the one before"},
          {"Escape", "End what is asked; then select nothing"}};
}

void TimelinePanel::unfold_all() {
  rows_options_ = {};
  if (!results_->timeline) return;
  for (std::uint32_t g = 0; g < results_->timeline->groups().size(); ++g)
    rows_options_.open.insert(g);
}

void TimelinePanel::zoom_to_selection() {
  if (range_) {
    view_.show(range_->first, range_->second);
  } else if (picked_ && results_->timeline) {
    const core::Spans& s = results_->timeline->trace(picked_->source).spans;
    view_.show(static_cast<double>(s.start[picked_->span].value),
               static_cast<double>(s.end[picked_->span].value));
  }
}

void TimelinePanel::toolbar(Ui& ui) {
  const bool two = results_->timeline && results_->timeline->sources() > 1;
  ImGui::AlignTextToFramePadding();
  ImGui::SetNextItemWidth(ui.points(180));
  const std::string now =
      two ? "and " + results_->timeline->source(1).name : std::string("predicted alone");
  ImGui::BeginDisabled(choices_.empty());
  if (ImGui::BeginCombo("##below", now.c_str())) {
    if (ImGui::Selectable("nothing", below_ == "nothing")) choose_below(ui, "nothing");
    for (const std::string& choice : choices_)
      if (ImGui::Selectable(choice.c_str(), below_ == choice)) choose_below(ui, choice);
    ImGui::EndCombo();
  }
  ImGui::EndDisabled();
  std::string words = choices_.empty()
                          ? "What stands below the prediction: open a trace that was measured, or "
                            "compare with another strategy."
                          : "What stands below the prediction.";
  for (const OpenTrace& opened : ui.session.traces())
    if (two && opened.trace == results_->timeline->source(1).trace)
      for (const std::string& note : opened.notes) words += "\n" + note;
  tip(words);
  const auto option = [&](const char* name, bool& value, const char* what) {
    ImGui::SameLine();
    const bool changed = ImGui::Checkbox(name, &value);
    tip(what);
    return changed;
  };
  if (option("critical path", critical_,
             "Underlines the spans that the step's time is made of, in red."))
    critical_asked_ = true;
  ImGui::BeginDisabled(!two);
  option("differences", differences_,
         "Colours the lower trace: blue took less time than the same above, orange more; full at "
         "two thirds and at one and a half of the time.");
  ImGui::EndDisabled();
  option("communication", rows_options_.communication, "Shows the lanes that move data.");
  option("counters", counters_,
         "Shows memory and what is sent below, of the selected device, and the load of links.");
  option("statistics", statistics_on_,
         "Tells what devices do in the step, or in the range that is dragged.");
  option("what if", asking_,
         "Asks how long the step would be if links were faster or slower. Drag the right end of a "
         "selected span to ask the same of a task.");
  ImGui::SameLine();
  if (std::exchange(ask_to_find_, false)) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(ui.points(150));
  if (ImGui::InputTextWithHint(
          "##find", "find a span", &find_text_,
          ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_EscapeClearsAll)) {
    go(ui, ImGui::GetIO().KeyShift ? -1 : 1);
    ImGui::SetKeyboardFocusHere(-1);
  }
  tip("A part of a span's name. Enter goes to the next one, Shift+Enter to the one before.");
  if (!find_text_.empty() && results_->timeline) {
    std::size_t count = 0;
    for (const SpanSet& set : results_->found) count += set.spans.size();
    ImGui::SameLine();
    if (button("<##before", count == 0 ? "Nothing was found." : "", "The one before")) go(ui, -1);
    ImGui::SameLine(0, ui.points(2));
    if (button(">##next", count == 0 ? "Nothing was found." : "", "The next one")) go(ui, 1);
    ImGui::SameLine();
    const std::size_t at = place_of_pick();
    ImGui::TextDisabled("%s", at == 0 ? fmt::format("{} found", count).c_str()
                                      : fmt::format("{} of {}", at, count).c_str());
  }
  ImGui::SameLine();
  hint(
      "Wheel, W, S: nearer and further. A, D, Shift+wheel, middle button: move. Drag: select a "
      "range. F: zoom to what is selected. Double click: zoom to a span. Home: the whole step. "
      "Escape: end what is asked, then select nothing.");
}

void TimelinePanel::choose_below(Ui& ui, const std::string& choice) {
  below_ = choice;
  revision_ = 0;
  ui.session.changed();
}

// The place of the picked span among those that were found, from 1; 0: none of them.
std::size_t TimelinePanel::place_of_pick() const {
  return picked_ ? place_of(results_->found, *picked_) : 0;
}

// The next span that was found, or the one before; after the last one the first.
void TimelinePanel::go(Ui& ui, int direction) {
  const auto next = next_of(results_->found, place_of_pick(), direction);
  if (!next) return;
  pick(ui, *next);
  reveal(*results_->timeline);
}

void TimelinePanel::pick(Ui& ui, SpanPlace what) {
  picked_ = what;
  const Timeline& t = *results_->timeline;
  const core::Spans& s = t.trace(what.source).spans;
  Selection& selection = ui.session.selection();
  selection.ops.clear();
  if (const auto op = t.op_of(what.source, what.span)) selection.ops.insert(*op);
  selection.device = t.trace(what.source).lanes[s.lane[what.span]].device;
  selection.span.reset();
  // Of the prediction, also while it is asked what it would be.
  if (what.source == 0 && base_) selection.span = same_span(t.trace(0), what.span, base_->trace);
  ui.session.changed();
}

// Brings the picked span into view, at a magnification at which it can be seen.
void TimelinePanel::reveal(const Timeline& t) {
  const core::Spans& s = t.trace(picked_->source).spans;
  const auto start = static_cast<double>(s.start[picked_->span].value),
             end = static_cast<double>(s.end[picked_->span].value);
  const double length = std::max(end - start, 1.0);
  const double most = std::max(view_.last - view_.first, 1.0);
  if (length / view_.length() < 0.01 || length > view_.length())
    view_.show((start + end) / 2 - std::min(10 * length, most / 2),
               (start + end) / 2 + std::min(10 * length, most / 2));
  else if (start < view_.from || end > view_.to)
    view_.pan((start + end) / 2 - (view_.from + view_.to) / 2);
  const int row = row_of_lane_[picked_->source][s.lane[picked_->span]];
  if (row >= 0) scroll_to_ = row;
}

float TimelinePanel::x_of(double time) const {
  return axis_x_ + static_cast<float>(std::clamp(view_.x_of(time, axis_width_), -1e5, 1e5));
}

double TimelinePanel::time_at(float x) const { return view_.time_of(x - axis_x_, axis_width_); }

void TimelinePanel::strip_label(Ui& ui, const char* text, float y, float height) const {
  ImGui::GetWindowDrawList()->AddText(
      {axis_x_ - label_width_ + ui.points(4), y + (height - ImGui::GetTextLineHeight()) / 2},
      ImGui::GetColorU32(ImGuiCol_TextDisabled), text);
}

// The whole step: how much is computed and moved, and what part of it is looked at.
void TimelinePanel::minimap(Ui& ui, const Timeline& t) {
  const float height = ui.points(26);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  strip_label(ui, "whole step", at.y, height);
  ImGui::SetCursorScreenPos({axis_x_, at.y});
  ImGui::InvisibleButton("##minimap", {axis_width_, height});
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
  list.AddRectFilled(from, to, ImGui::GetColorU32(ImGuiCol_FrameBg));
  if (profiled_ != results_->timeline) {
    profiled_ = results_->timeline;
    profile_ = busy_columns(t, kMapColumns);
  }
  const double extent = view_.last - view_.first;
  const ImU32 computing = packed(ink_of(Work::kForward).colour),
              moving = packed(ink_of(Work::kCommunication).colour);
  const float step = axis_width_ / static_cast<float>(profile_.size());
  for (std::size_t c = 0; c < profile_.size(); ++c) {
    // Whole pixels: no seams.
    const float x = std::floor(from.x + step * static_cast<float>(c)),
                next = std::floor(from.x + step * static_cast<float>(c + 1));
    const float up = height * static_cast<float>(profile_[c].computing),
                more = height * static_cast<float>(profile_[c].moving);
    if (up > 0) list.AddRectFilled({x, to.y - up}, {next, to.y}, computing);
    if (more > 0) list.AddRectFilled({x, to.y - up - more}, {next, to.y - up}, moving);
  }
  const auto map_x = [&](double time) {
    return from.x +
           axis_width_ * static_cast<float>(std::clamp((time - view_.first) / extent, 0.0, 1.0));
  };
  const float a = map_x(view_.from), b = std::max(map_x(view_.to), a + ui.points(3));
  const ImU32 shade = ImGui::GetColorU32(ImGuiCol_WindowBg, 0.6F);
  list.AddRectFilled(from, {a, to.y}, shade);
  list.AddRectFilled({b, from.y}, to, shade);
  list.AddRect({a, from.y}, {b, to.y}, packed(ui.colours.accent), 0, ui.points(1.5));
  if (ImGui::IsItemActive()) {
    const double time = view_.first + (ImGui::GetIO().MousePos.x - from.x) / axis_width_ * extent;
    view_.pan(time - (view_.from + view_.to) / 2);
  }
  if (ImGui::IsItemHovered() && ImGui::GetIO().MouseWheel != 0)
    view_.zoom((view_.from + view_.to) / 2, std::pow(kWheel, ImGui::GetIO().MouseWheel));
  tip("Computing, and communication on top of it, mean over devices. Drag to move.");
  ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(1)});
}

void TimelinePanel::ruler(Ui& ui) {
  const float height = ImGui::GetTextLineHeight() + ui.points(6);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  strip_label(ui, "time", at.y, height);
  ImGui::SetCursorScreenPos({axis_x_, at.y});
  ImGui::InvisibleButton("##ruler", {axis_width_, height});
  if (ImGui::IsItemActive()) {
    ui.session.selection().cursor = core::Nanoseconds(
        std::max<std::int64_t>(0, std::llround(time_at(ImGui::GetIO().MousePos.x))));
    ui.session.changed();
  }
  if (ImGui::IsItemHovered() && ImGui::GetIO().MouseWheel != 0)
    view_.zoom(time_at(ImGui::GetIO().MousePos.x), std::pow(kWheel, ImGui::GetIO().MouseWheel));
  tip("Click: sets the cursor, which other views follow.");
  ImDrawList& list = *ImGui::GetWindowDrawList();
  ticks_ = ticks(view_, axis_width_, ui.points(110));
  list.PushClipRect({axis_x_, at.y}, {axis_x_ + axis_width_, at.y + height}, true);
  for (const Tick& tick : ticks_) {
    const float x = x_of(tick.time);
    list.AddLine({x, at.y + height * (tick.text.empty() ? 0.75F : 0.4F)}, {x, at.y + height},
                 ImGui::GetColorU32(ImGuiCol_TextDisabled));
    if (!tick.text.empty())
      list.AddText({x + ui.points(3), at.y + ui.points(1)}, ImGui::GetColorU32(ImGuiCol_Text),
                   tick.text.c_str());
  }
  list.PopClipRect();
  ImGui::SetCursorScreenPos({at.x, at.y + height});
}

void TimelinePanel::keys(Ui& ui) {
  const ImGuiIO& io = ImGui::GetIO();
  grain_ = grain_of(view_.per_pixel(axis_width_), kFoldPixels * ui.scale);
  if (io.WantTextInput || io.KeyCtrl || io.KeyAlt) return;
  if (!ImGui::IsWindowFocused(ImGuiFocusedFlags_RootAndChildWindows) &&
      !ImGui::IsWindowHovered(ImGuiHoveredFlags_RootAndChildWindows))
    return;
  const bool over = io.MousePos.x >= axis_x_ && io.MousePos.x <= axis_x_ + axis_width_ &&
                    ImGui::IsWindowHovered(ImGuiHoveredFlags_RootAndChildWindows);
  const double at = over ? time_at(io.MousePos.x) : (view_.from + view_.to) / 2;
  if (ImGui::IsKeyPressed(ImGuiKey_W)) view_.zoom(at, 0.75);
  if (ImGui::IsKeyPressed(ImGuiKey_S)) view_.zoom(at, 1 / 0.75);
  if (ImGui::IsKeyPressed(ImGuiKey_A)) view_.pan(-0.12 * view_.length());
  if (ImGui::IsKeyPressed(ImGuiKey_D)) view_.pan(0.12 * view_.length());
  if (ImGui::IsKeyPressed(ImGuiKey_F, false)) zoom_to_selection();
  if (ImGui::IsKeyPressed(ImGuiKey_Home, false)) view_.show_all();
  if (ImGui::IsKeyPressed(ImGuiKey_Escape, false)) {
    if (ui.session.question().stands()) {
      ui.session.ask({});
    } else {
      range_.reset();
      picked_.reset();
    }
  }
  grain_ = grain_of(view_.per_pixel(axis_width_), kFoldPixels * ui.scale);
}

std::unique_ptr<Panel> timeline_panel() { return std::make_unique<TimelinePanel>(); }

}  // namespace soapstone::explorer::view
