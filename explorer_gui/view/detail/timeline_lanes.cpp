// Lanes with their spans, and what the mouse does there.
#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/core.h>
#include <imgui.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/timeline_panel.hpp"

namespace soapstone::explorer::view {

void TimelinePanel::lanes(Ui& ui, const Timeline& t, float height) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
  ImGui::BeginChild("##lanes", {0, height}, 0, ImGuiWindowFlags_NoScrollWithMouse);
  ImGui::PopStyleVar();
  const float scale = ui.points(1);
  const double end = rows_.empty() ? 0 : rows_.back().y + rows_.back().height;
  const float total = std::max(static_cast<float>(end) * scale, height);
  if (scroll_to_ >= 0) {
    const TimelineRow& row = rows_[static_cast<std::size_t>(scroll_to_)];
    const float y = static_cast<float>(row.y) * scale;
    if (y < ImGui::GetScrollY() + scale * 20 ||
        y + static_cast<float>(row.height) * scale > ImGui::GetScrollY() + height)
      ImGui::SetScrollY(std::max(0.0F, y - height / 2));
    scroll_to_ = -1;
  }
  const float scroll = ImGui::GetScrollY();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 axis_from{axis_x_, at.y}, axis_to{axis_x_ + axis_width_, at.y + height};

  // Headers first: they lie over the canvas.
  rows_y_ = at.y - scroll;
  const auto y_of = [&](const TimelineRow& row) { return y_of_row(ui, row); };
  first_row_ = static_cast<std::size_t>(
      std::upper_bound(rows_.begin(), rows_.end(), static_cast<double>(scroll / scale),
                       [](double y, const TimelineRow& row) { return y < row.y + row.height; }) -
      rows_.begin());
  end_row_ = first_row_;
  while (end_row_ < rows_.size() && y_of(rows_[end_row_]) < at.y + height) ++end_row_;
  for (std::size_t r = first_row_; r < end_row_; ++r) label_of(ui, t, rows_[r], y_of(rows_[r]));

  end_of_span(ui, t);
  ImGui::SetCursorScreenPos({axis_x_, at.y - scroll});
  ImGui::InvisibleButton("##canvas", {axis_width_, total},
                         ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle);
  const bool hovered = ImGui::IsItemHovered();
  list.PushClipRect(axis_from, axis_to, true);
  for (const Tick& tick : ticks_)
    if (!tick.text.empty())
      list.AddLine({x_of(tick.time), axis_from.y}, {x_of(tick.time), axis_to.y},
                   ImGui::GetColorU32(ImGuiCol_Border, 0.45F));
  prepare_inks(ui);
  for (std::size_t r = first_row_; r < end_row_; ++r) {
    const TimelineRow& row = rows_[r];
    const float y = y_of(row);
    if (row.kind == TimelineRow::Kind::kGroup)
      group_line(ui, t, row, y, static_cast<float>(row.height) * scale);
    else
      lane(ui, t, row, y, static_cast<float>(row.height) * scale);
  }
  arrows(ui, t);
  draw_end(ui, t);
  marks(ui, axis_from, axis_to);
  list.PopClipRect();
  mouse(ui, t, hovered);
  if (ImGui::IsWindowHovered() && !hovered && ImGui::GetIO().MouseWheel != 0)
    ImGui::SetScrollY(scroll - ImGui::GetIO().MouseWheel * scale * 40);
  ImGui::EndChild();
}

void TimelinePanel::label_of(Ui& ui, const Timeline& t, const TimelineRow& row, float y) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float left = axis_x_ - label_width_, height = ui.points(row.height);
  const ImVec2 from{left, y}, to{axis_x_, y + height};
  if (row.kind == TimelineRow::Kind::kLane) {
    if (row.source > 0)
      list.AddRectFilled({axis_x_ - ui.points(4), y}, to, packed(ui.colours.accent));
    // A low row's label reaches down to the rows without one.
    const float size = ImGui::GetFontSize() * 0.85F;
    const float room = label_width_ - ui.points(28);
    list.PushClipRect(from, {axis_x_ - ui.points(6), y + std::max(height, size + 2)}, true);
    list.AddText(
        ImGui::GetFont(), size, {left + ui.points(22), y + std::max(0.0F, (height - size) / 2)},
        ImGui::GetColorU32(ImGuiCol_TextDisabled), fitted(row.label, room / 0.85F).c_str());
    list.PopClipRect();
    return;
  }
  const DeviceGroup& group = t.groups()[row.group];
  const bool shut = rows_options_.shut.contains(row.group),
             unfolded = rows_options_.open.contains(row.group);
  list.AddRectFilled(from, to, ImGui::GetColorU32(ImGuiCol_FrameBg));
  const ImU32 colour = ImGui::GetColorU32(ImGuiCol_Text);
  const float c = height / 2, r = ui.points(4);
  const ImVec2 m{left + ui.points(10), y + c};
  if (shut)
    list.AddTriangleFilled({m.x - r * 0.6F, m.y - r}, {m.x - r * 0.6F, m.y + r}, {m.x + r, m.y},
                           colour);
  else
    list.AddTriangleFilled({m.x - r, m.y - r * 0.6F}, {m.x + r, m.y - r * 0.6F}, {m.x, m.y + r},
                           colour);
  ImGui::SetCursorScreenPos(from);
  if (ImGui::InvisibleButton(fmt::format("shut {}", t.device_name(row.device)).c_str(),
                             {ui.points(20), height}))
    toggle(rows_options_.shut, row.group);
  tip(shut ? "Shows its lanes." : "Hides its lanes.");
  ImGui::SetCursorScreenPos({left + ui.points(20), y});
  if (ImGui::InvisibleButton(fmt::format("unfold {}", t.device_name(row.device)).c_str(),
                             {label_width_ - ui.points(20), height})) {
    if (group.devices.size() > 1) toggle(rows_options_.open, row.group);
    ui.session.selection().device = row.device;
    ui.session.changed();
  }
  tip(group.devices.size() == 1
          ? group.note
          : fmt::format("{} devices do the same; {}. Click: {}.", group.devices.size(),
                        unfolded ? "all are shown" : "the first one is shown",
                        unfolded ? "one of them" : "all of them"));
  ImGui::PushFont(ui.fonts.bold, 0);
  const std::string name = fitted(group.name, label_width_ - ui.points(30));
  list.AddText({left + ui.points(22), y + (height - ImGui::GetTextLineHeight()) / 2},
               group.note.empty() ? colour : packed(ui.colours.warning), name.c_str());
  ImGui::PopFont();
}

void TimelinePanel::toggle(std::set<std::uint32_t>& set, std::uint32_t entry) {
  if (!set.erase(entry)) set.insert(entry);
}

void TimelinePanel::group_line(Ui& ui, const Timeline& t, const TimelineRow& row, float y,
                               float height) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const DeviceGroup& group = t.groups()[row.group];
  const ImVec2 clip = list.GetClipRectMin(), clip_end = list.GetClipRectMax();
  list.AddRectFilled({clip.x, y}, {clip_end.x, y + height},
                     ImGui::GetColorU32(ImGuiCol_FrameBg, 0.8F));
  std::string text = group.note;
  if (!group.use.empty()) text += (text.empty() ? "" : " · ") + group.use;
  list.AddText(
      {clip.x + ui.points(6), y + (height - ImGui::GetTextLineHeight()) / 2},
      group.note.empty() ? ImGui::GetColorU32(ImGuiCol_TextDisabled) : packed(ui.colours.warning),
      fitted(text, clip_end.x - clip.x - ui.points(12)).c_str());
}

void TimelinePanel::prepare_inks(Ui& ui) {
  for (std::size_t w = 0; w < kWorks; ++w) {
    const Ink ink = ink_of(static_cast<Work>(w));
    inks_[w] = {ink,
                packed(ink.colour),
                packed(ink.colour, 0.6),
                packed(ink.colour, 0.28),
                packed(ink.colour, 0.22),
                packed(text_on(ink.colour))};
  }
  font_size_ = ui.points(12.5);
  letter_ = ui.fonts.code->CalcTextSizeA(font_size_, FLT_MAX, 0, "M").x;
}

void TimelinePanel::lane(Ui& ui, const Timeline& t, const TimelineRow& row, float y, float height) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const core::Trace& trace = t.trace(row.source);
  const SpanSet& found = results_->found[row.source];
  const SpanSet& selected = results_->selected[row.source];
  const SpanSet& critical = results_->critical[row.source];
  const bool finding = !find_text_.empty(), selecting = !selected.empty();
  const bool shaded = differences_ && row.source == 1 && !results_->slowdown.empty();
  const float top = y + ui.points(1), bottom = y + height - ui.points(1);
  const ImU32 line = packed(ui.colours.bad);
  boxes_.clear();
  t.index(row.source).boxes(row.lane, view_.from, view_.to, grain_, boxes_);
  for (const Box& box : boxes_) {
    const float x0 = x_of(static_cast<double>(box.start));
    const float x1 = std::max(x_of(static_cast<double>(box.end)), x0 + 1);
    const InkNow& now = inks_[static_cast<std::size_t>(box.work)];
    const bool emphasised =
        (!finding && !selecting) || (finding && found.any(box.first, box.first + box.count)) ||
        (!finding && selecting && selected.any(box.first, box.first + box.count));
    Ink ink = now.ink;
    ImU32 full = now.full, text_colour = now.text;
    if (shaded) {
      const float ratio = slowdown_of(results_->slowdown, box);
      ink = {std::isnan(ratio) ? Colour{0x808080} : change(shade_of(ratio), ui.dark()),
             Pattern::kSolid};
      full = packed(ink.colour);
      text_colour = packed(text_on(ink.colour));
    }
    if (box.folded()) {
      // As high as it is busy, on a faint ground as wide as it is.
      const auto length = static_cast<double>(std::max<std::int64_t>(1, box.end - box.start));
      const auto share = static_cast<float>(static_cast<double>(box.busy) / length);
      list.AddRectFilled({x0, top}, {x1, bottom}, now.dim);
      if (emphasised || !finding)
        list.AddRectFilled({x0, bottom - std::max(1.0F, share * (bottom - top))}, {x1, bottom},
                           emphasised ? full : now.half);
    } else {
      const float ready =
          box.waiting > 0 ? std::min(x1, x_of(static_cast<double>(box.start + box.waiting))) : x0;
      if (ready > x0) {
        list.AddRectFilled({x0, top}, {ready, bottom}, now.dim);
        list.AddLine({x0, (top + bottom) / 2}, {ready, (top + bottom) / 2}, full);
      }
      if (!emphasised)
        list.AddRectFilled({ready, top}, {x1, bottom}, finding ? now.faint : now.half);
      else if (x1 - ready < 6)
        list.AddRectFilled({ready, top}, {std::max(x1, ready + 1), bottom}, full);
      else
        fill(list, {ready, top}, {x1, bottom}, ink);
      if (shaded && x1 - ready > 2)  // what is the same has nearly the ground's colour
        list.AddRect({ready, top}, {x1, bottom}, ImGui::GetColorU32(ImGuiCol_TextDisabled, 0.6F));
      if (x1 - ready > 4)  // what touches is told apart
        list.AddLine({x1 - 0.5F, top}, {x1 - 0.5F, bottom},
                     ImGui::GetColorU32(ImGuiCol_WindowBg, 0.8F));
      const float left = std::max(ready, axis_x_) + ui.points(3);
      const float room = std::min(x1, axis_x_ + axis_width_) - left - ui.points(2);
      const auto letters = static_cast<int>(room / letter_);
      if (letters >= 4 && height > font_size_) {
        const std::string& name = trace.labels[trace.spans.label[box.first]];
        text_in_box(list, ui, name, letters, {left, (top + bottom - font_size_) / 2},
                    emphasised ? text_colour : ImGui::GetColorU32(ImGuiCol_TextDisabled), now,
                    emphasised && ink.pattern != Pattern::kSolid);
      }
    }
    if (critical_ && critical.any(box.first, box.first + box.count))
      list.AddRectFilled({x0, bottom - ui.points(2)}, {x1, bottom + ui.points(1)}, line);
    if (picked_ && picked_->source == row.source && picked_->span >= box.first &&
        picked_->span < box.first + box.count)
      list.AddRect({x0 - 1, top - 1}, {x1 + 1, bottom + 1}, ImGui::GetColorU32(ImGuiCol_Text), 0,
                   ui.points(2));
  }
}

void TimelinePanel::text_in_box(ImDrawList& list, Ui& ui, const std::string& name, int letters,
                                ImVec2 at, ImU32 colour, const InkNow& ink, bool on_pattern) const {
  const char* begin = name.c_str();
  const char* end = begin + name.size();
  const auto most = static_cast<std::size_t>(letters);
  const bool cut = name.size() > most;
  if (cut) end = begin + most - 1;
  if (on_pattern)  // letters stand on the plain colour
    list.AddRectFilled(
        {at.x - 1, at.y},
        {at.x + letter_ * static_cast<float>(std::min(most, name.size())) + 1, at.y + font_size_},
        ink.full);
  list.AddText(ui.fonts.code, font_size_, at, colour, begin, end);
  if (cut)
    list.AddText(ui.fonts.code, font_size_, {at.x + letter_ * static_cast<float>(most - 1), at.y},
                 colour, "…");
}

// From what the picked span waited for, and to what waited for it.
void TimelinePanel::arrows(Ui& ui, const Timeline& t) {
  if (!picked_ || !results_->links || !asked_.links) return;
  const core::Spans& s = t.trace(picked_->source).spans;
  const auto point = [&](std::size_t span, bool at_end, ImVec2& out) {
    const int r = row_of_lane_[picked_->source][s.lane[span]];
    if (r < 0) return false;
    const TimelineRow& row = rows_[static_cast<std::size_t>(r)];
    out = {x_of(static_cast<double>(at_end ? s.end[span].value : s.start[span].value)),
           y_of_row(ui, row) + ui.points(row.height / 2)};
    return true;
  };
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const auto arrow = [&](std::size_t from, std::size_t to, bool binding) {
    ImVec2 a, b;
    // A transfer's parts wait for each other's beginnings.
    const bool parts = s.kind[from] == core::TaskKind::kTransfer && s.end[from] > s.start[to];
    if (!point(from, !parts, a) || !point(to, false, b)) return;
    if (parts) b.x = std::max(b.x, a.x);
    const ImU32 colour = binding ? packed(ui.colours.bad) : packed(ui.colours.accent, 0.9);
    const float bow = std::max(ui.points(14), (b.x - a.x) / 2);
    list.AddBezierCubic(a, {a.x + bow, a.y}, {b.x - bow, b.y}, b, colour,
                        ui.points(binding ? 2 : 1.3));
    const float r = ui.points(4);
    list.AddTriangleFilled({b.x, b.y}, {b.x - r * 1.6F, b.y - r}, {b.x - r * 1.6F, b.y + r},
                           colour);
  };
  constexpr std::size_t kMost = 60;
  const auto& links = *results_->links;
  for (std::size_t i = 0; i < std::min(kMost, links.before.size()); ++i)
    arrow(links.before[i], picked_->span, links.before[i] == links.binding);
  for (std::size_t i = 0; i < std::min(kMost, links.after.size()); ++i)
    arrow(picked_->span, links.after[i], false);
}

void TimelinePanel::marks(Ui& ui, ImVec2 from, ImVec2 to) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (range_) {
    const float a = x_of(range_->first), b = x_of(range_->second);
    list.AddRectFilled({a, from.y}, {b, to.y}, packed(ui.colours.accent, 0.14));
    list.AddLine({a, from.y}, {a, to.y}, packed(ui.colours.accent));
    list.AddLine({b, from.y}, {b, to.y}, packed(ui.colours.accent));
    const std::string length =
        core::human_text(core::Nanoseconds(std::llround(range_->second - range_->first)));
    const float width = ImGui::CalcTextSize(length.c_str()).x;
    const float x = std::clamp((a + b - width) / 2, from.x, std::max(from.x, to.x - width));
    list.AddRectFilled(
        {x - ui.points(4), from.y},
        {x + width + ui.points(4), from.y + ImGui::GetTextLineHeight() + ui.points(2)},
        ImGui::GetColorU32(ImGuiCol_PopupBg));
    list.AddText({x, from.y}, ImGui::GetColorU32(ImGuiCol_Text), length.c_str());
  }
  const core::Nanoseconds cursor = ui.session.selection().cursor;
  if (cursor.value > 0) {
    const float x = x_of(static_cast<double>(cursor.value));
    list.AddLine({x, from.y}, {x, to.y}, packed(ui.colours.warning), ui.points(1));
  }
}

void TimelinePanel::mouse(Ui& ui, const Timeline& t, bool hovered) {
  const float scale = ui.points(1);
  const ImGuiIO& io = ImGui::GetIO();
  const double time = time_at(io.MousePos.x);
  if (hovered) wheel(time, scale);
  if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Middle, 0)) {
    view_.pan(-io.MouseDelta.x * view_.per_pixel(axis_width_));
    ImGui::SetScrollY(ImGui::GetScrollY() - io.MouseDelta.y);
  }
  if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Left)) {
    const double begin = time_at(ImGui::GetIO().MouseClickedPos[0].x);
    range_ = std::minmax(
        {std::clamp(begin, view_.first, view_.last), std::clamp(time, view_.first, view_.last)});
    dragged_ = true;
  }
  std::optional<Box> under;
  const TimelineRow* row = nullptr;
  if (hovered)
    for (std::size_t r = first_row_; r < end_row_ && !row; ++r)
      if (rows_[r].kind == TimelineRow::Kind::kLane && io.MousePos.y >= y_of_row(ui, rows_[r]) &&
          io.MousePos.y < y_of_row(ui, rows_[r]) + static_cast<float>(rows_[r].height) * scale)
        row = &rows_[r];
  if (row)
    under = t.index(row->source).box_at(row->lane, time, grain_, 2 * view_.per_pixel(axis_width_));
  if (hovered && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
    if (under) {
      view_.show(static_cast<double>(under->start), static_cast<double>(under->end));
      range_.reset();
    }
  } else if (hovered && ImGui::IsItemDeactivated() &&
             ImGui::IsMouseReleased(ImGuiMouseButton_Left)) {
    if (!std::exchange(dragged_, false)) {
      range_.reset();
      ui.session.selection().cursor =
          core::Nanoseconds(std::max<std::int64_t>(0, std::llround(time)));
      if (under && !under->folded()) {
        pick(ui, {row->source, under->first});
      } else {
        picked_.reset();
        ui.session.selection().span.reset();
        ui.session.selection().ops.clear();
        ui.session.changed();
      }
    }
  } else if (under && !ImGui::IsMouseDown(ImGuiMouseButton_Left) &&
             !ImGui::IsMouseDown(ImGuiMouseButton_Middle)) {
    tooltip(ui, t, row->source, *under);
  }
  if (!ImGui::IsMouseDown(ImGuiMouseButton_Left)) dragged_ = false;
}

void TimelinePanel::wheel(double time, float scale) {
  const ImGuiIO& io = ImGui::GetIO();
  if (io.MouseWheelH != 0) view_.pan(-io.MouseWheelH * view_.length() * 0.1);
  if (io.MouseWheel == 0) return;
  if (io.KeyShift)
    view_.pan(-io.MouseWheel * view_.length() * 0.1);
  else if (io.KeyCtrl)
    ImGui::SetScrollY(ImGui::GetScrollY() - io.MouseWheel * scale * 40);
  else
    view_.zoom(time, std::pow(kWheel, io.MouseWheel));
}

void TimelinePanel::tooltip(Ui& ui, const Timeline& t, std::size_t source, const Box& box) const {
  if (!ImGui::BeginTooltip()) return;
  const auto lines = describe(t, source, box, results_->analysis[source].get());
  swatch(ink_of(box.work));
  ImGui::PushFont(ui.fonts.bold, 0);
  label(lines.front().what);
  ImGui::PopFont();
  if (ImGui::BeginTable("span", 2, ImGuiTableFlags_SizingFixedFit)) {
    for (std::size_t i = 1; i < lines.size(); ++i) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::TextDisabled("%s", lines[i].what.c_str());
      ImGui::TableNextColumn();
      label(lines[i].value);
    }
    if (differences_ && source == 1 && !results_->slowdown.empty()) {
      const float ratio = slowdown_of(results_->slowdown, box);
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::TextDisabled("%s", fmt::format("against {}", t.source(0).name).c_str());
      ImGui::TableNextColumn();
      label(std::isnan(ratio) ? std::string("not there")
                              : fmt::format("{:+.1f} %", 100 * (ratio - 1)));
    }
    ImGui::EndTable();
  }
  if (box.folded()) ImGui::TextDisabled("Come nearer to tell them apart.");
  ImGui::EndTooltip();
}

}  // namespace soapstone::explorer::view
