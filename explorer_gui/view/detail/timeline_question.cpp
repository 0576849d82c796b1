// What if: the end of a span that is dragged, and what is asked.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <imgui.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/link_sliders.hpp"
#include "explorer_gui/view/detail/timeline_panel.hpp"

namespace soapstone::explorer::view {

namespace {

constexpr double kGrip = 5;   // points to either side of an end
constexpr double kReach = 4;  // at which it holds at the usual length

}  // namespace

// A line above the axis.
void TimelinePanel::banner(Ui& ui) {
  const Question& q = ui.session.question();
  if (!asking_ && !q.stands()) return;
  ImGui::PushStyleColor(ImGuiCol_ChildBg, packed(ui.colours.accent, 0.13));
  ImGui::BeginChild("##question", {0, 0},
                    ImGuiChildFlags_AutoResizeY | ImGuiChildFlags_AlwaysUseWindowPadding,
                    ImGuiWindowFlags_NoScrollbar);
  ImGui::PopStyleColor();
  ImGui::AlignTextToFramePadding();
  ImGui::PushFont(ui.fonts.bold, 0);
  label("What if");
  ImGui::PopFont();
  ImGui::SameLine();
  link_sliders(ui, ui.points(110), Flow::kBeside);
  ImGui::SameLine();
  ImGui::SetNextItemWidth(ui.points(205));
  if (ImGui::BeginCombo("##scope", std::string(core::name_of(scope_)).c_str())) {
    for (const auto& [scope, name] : enum_names(DragScope{}))
      if (ImGui::Selectable(std::string(name).c_str(), scope == scope_)) scope_ = scope;
    ImGui::EndCombo();
  }
  tip("What the end of a span is dragged for. Click a span, then drag its right end.");
  ImGui::SameLine();
  answer_line(ui, Flow::kBeside);
  ImGui::EndChild();
}

// The right end of the span that is picked. Drawn before the canvas: it lies over it.
void TimelinePanel::end_of_span(Ui& ui, const Timeline& t) {
  if (end_drag_ && !ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
    end_drag_.reset();
    view_.set_extent(static_cast<double>(t.first()), static_cast<double>(t.last()));
  }
  if (!picked_ || picked_->source != 0 || !base_ || t.source(0).plan.get() != &base_->plan) return;
  const core::Trace& trace = t.trace(0);
  const core::Spans& s = trace.spans;
  const int r = row_of_lane_[0][s.lane[picked_->span]];
  if (r < 0) return;
  const TimelineRow& row = rows_[static_cast<std::size_t>(r)];
  const float x = x_of(static_cast<double>(s.end[picked_->span].value));
  if (!end_drag_ && (x < axis_x_ || x > axis_x_ + axis_width_)) return;
  const float grip = ui.points(kGrip), height = ui.points(row.height), y = y_of_row(ui, row);
  ImGui::SetCursorScreenPos({x - grip, y});
  ImGui::InvisibleButton("##end of the span", {2 * grip, height});
  const bool over = ImGui::IsItemHovered(), active = ImGui::IsItemActive();
  const auto span = same_span(trace, picked_->span, base_->trace);
  const std::string why =
      span ? why_not_dragged(&base_->plan, base_->trace, *span) : "It is no task of the plan.";
  if (over || active)
    ImGui::SetMouseCursor(why.empty() ? ImGuiMouseCursor_ResizeEW : ImGuiMouseCursor_NotAllowed);
  if (over && !active)
    tip(why.empty() ? fmt::format("Drag: how long would the step be if this took longer or "
                                  "shorter, {}? To its beginning: if it were free.",
                                  core::name_of(scope_))
                    : why);
  if (!why.empty()) return;
  const auto length_of = [](const core::Trace& of, std::size_t i) {
    return (of.spans.end[i] - of.spans.start[i]).value;
  };
  if (ImGui::IsItemActivated())
    end_drag_ = EndDrag{ImGui::GetIO().MousePos.x, length_of(trace, picked_->span),
                        view_.per_pixel(axis_width_)};
  if (!active || !end_drag_) return;
  const double pixels = ImGui::GetIO().MousePos.x - end_drag_->mouse;
  if (pixels == 0) return;
  const std::int64_t usual = length_of(base_->trace, *span);
  const std::int64_t length =
      dragged_length(end_drag_->length, pixels, end_drag_->per_pixel, usual, kReach * ui.scale);
  end_drag_->to = length;
  Session& session = ui.session;
  session.ask(with(session.question().changes,
                   task_change(base_->plan, base_->trace, *span, length, scope_)));
  const Question& q = session.question();
  tip(fmt::format(
      "{}\n{}{}", trace.labels[s.label[picked_->span]],
      step_words(core::Nanoseconds(usual), core::Nanoseconds(length)),
      q.trace ? "\nstep " + step_words(base_->step_time, q.trace->step_time) : std::string()));
}

// The grip of the end, how far it could go before the step does, and where it is dragged to.
void TimelinePanel::draw_end(Ui& ui, const Timeline& t) {
  if (!picked_ || !base_ || picked_->source != 0) return;
  const core::Spans& s = t.trace(0).spans;
  const int r = row_of_lane_[0][s.lane[picked_->span]];
  if (r < 0 || core::runs_beside(s.kind[picked_->span])) return;
  const TimelineRow& row = rows_[static_cast<std::size_t>(r)];
  const float top = y_of_row(ui, row) + ui.points(1),
              bottom = y_of_row(ui, row) + ui.points(row.height - 1);
  const float middle = (top + bottom) / 2;
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float x = x_of(static_cast<double>(s.end[picked_->span].value));
  const auto& analysis = results_->analysis[0];
  if (analysis && picked_->span < analysis->slack.slack.size()) {
    const core::Nanoseconds slack = analysis->slack.slack[picked_->span];
    const float to = x_of(static_cast<double>((s.end[picked_->span] + slack).value));
    if (to > x + ui.points(6)) {
      const ImU32 colour = ImGui::GetColorU32(ImGuiCol_Text, 0.75F);
      for (float at = x + ui.points(4); at < to; at += ui.points(6))
        list.AddLine({at, middle}, {std::min(at + ui.points(3), to), middle}, colour,
                     ui.points(1.5));
      list.AddLine({to, top}, {to, bottom}, colour, ui.points(1.5));
    }
  }
  list.AddRectFilled({x - ui.points(1.5), top - ui.points(1)},
                     {x + ui.points(1.5), bottom + ui.points(1)}, packed(ui.colours.accent),
                     ui.points(1));
  if (end_drag_ && end_drag_->to >= 0) {
    const float wanted = x_of(static_cast<double>(s.start[picked_->span].value + end_drag_->to));
    list.AddLine({wanted, top - ui.points(4)}, {wanted, bottom + ui.points(4)},
                 packed(ui.colours.accent), ui.points(2));
  }
}

}  // namespace soapstone::explorer::view
