// Strips below the lanes: memory, what is sent, and the load of links.
#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <imgui.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/timeline_panel.hpp"

namespace soapstone::explorer::view {

namespace {

// Heights in points, without the gap below each.
constexpr double kMemoryHeight = 52, kSentHeight = 34, kLinkHeight = 20, kStripGap = 2;

}  // namespace

float TimelinePanel::counters_height(Ui& ui) const {
  return ui.points(kMemoryHeight + kSentHeight + 2 * kStripGap + link_count_ * (kLinkHeight + 1) +
                   4) +
         ImGui::GetTextLineHeight() + ImGui::GetStyle().ItemSpacing.y;
}

void TimelinePanel::counters(Ui& ui, const Timeline& t) {
  if (!results_->counters) {
    ImGui::Dummy({1, counters_height(ui)});
    return;
  }
  const Counters& c = *results_->counters;
  double most = 1, fastest = 1;
  for (const MemoryPicture& m : c.memory) most = std::max(most, m.most);
  for (const Curve& s : c.sent) fastest = std::max(fastest, s.most);
  memory_strip(ui, t, c, most * 1.08);
  sent_strip(ui, t, c, fastest * 1.08);
  link_choice(ui, t);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  for (const LinkStrip& strip : results_->strips) link_strip(ui, strip);
  // The room stays while the load is worked out, or less moves.
  ImGui::SetCursorScreenPos({at.x, at.y + ui.points(link_count_ * (kLinkHeight + 1))});
}

void TimelinePanel::link_choice(Ui& ui, const Timeline& t) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::SetCursorScreenPos({at.x + ui.points(4), at.y});
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {ui.points(3), 0});
  const std::string device = "links of " + t.device_name(counted_device(ui, t));
  const std::string now = links_of_device_      ? device
                          : links_.kind.empty() ? std::string("busiest links")
                                                : "busiest " + links_.kind + " links";
  ImGui::SetNextItemWidth(label_width_ - ui.points(48));
  if (ImGui::BeginCombo("##which links", fitted(now, label_width_ - ui.points(80)).c_str())) {
    if (ImGui::Selectable("busiest links", !links_of_device_ && links_.kind.empty())) {
      links_of_device_ = false;
      links_.kind.clear();
    }
    if (ImGui::Selectable(device.c_str(), links_of_device_)) {
      links_of_device_ = true;
      links_.kind.clear();
    }
    if (t.cluster())
      for (const LinkSpeed& link : link_speeds(*t.cluster(), {}))
        if (ImGui::Selectable(("busiest " + link.kind + " links").c_str(),
                              !links_of_device_ && links_.kind == link.kind)) {
          links_of_device_ = false;
          links_.kind = link.kind;
        }
    ImGui::EndCombo();
  }
  tip("Which links' load is shown, in % of their bandwidth; those that carry most come first.");
  ImGui::SameLine(0, ui.points(3));
  ImGui::SetNextItemWidth(ui.points(36));
  ImGui::DragInt("##how many links", &link_count_, 0.05F, 0, 12, "%d",
                 ImGuiSliderFlags_AlwaysClamp);
  tip("How many links are shown. Drag, or double-click to type.");
  ImGui::PopStyleVar();
  if (results_->strips.empty())
    ImGui::GetWindowDrawList()->AddText(
        {axis_x_ + ui.points(4), at.y}, ImGui::GetColorU32(ImGuiCol_TextDisabled),
        !t.source(0).plan  ? "Which links are used, only a plan tells."
        : !results_->load  ? "The load is worked out."
        : link_count_ == 0 ? ""
                           : "Nothing moves on these links.");
  ImGui::SetCursorScreenPos({at.x, ImGui::GetItemRectMax().y + ui.points(kStripGap)});
}

void TimelinePanel::link_strip(Ui& ui, const LinkStrip& strip_of) {
  const float height = ui.points(kLinkHeight);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const std::string most = fmt::format("{:.0f} %", 100 * strip_of.load.most);
  const float width = ImGui::CalcTextSize(most.c_str()).x;
  const bool over = strip_of.load.most > 1.005;
  const float y = at.y + (height - ImGui::GetTextLineHeight()) / 2;
  list.AddText({at.x + ui.points(4), y}, ImGui::GetColorU32(ImGuiCol_Text),
               fitted(strip_of.name, label_width_ - width - ui.points(16)).c_str());
  list.AddText({axis_x_ - width - ui.points(6), y},
               over ? packed(ui.colours.bad) : ImGui::GetColorU32(ImGuiCol_TextDisabled),
               most.c_str());
  ImGui::SetCursorScreenPos({axis_x_, at.y});
  ImGui::InvisibleButton(("##link " + strip_of.name).c_str(), {axis_width_, height});
  const bool hovered = ImGui::IsItemHovered();
  const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
  list.AddRectFilled(from, to, ImGui::GetColorU32(ImGuiCol_FrameBg, 0.5F));
  list.PushClipRect(from, to, true);
  // 100 % is the same height in all strips whose loads stay below that.
  const double top = std::max(1.0, strip_of.load.most) * 1.08;
  const auto up = [&](double share) { return to.y - static_cast<float>(share / top) * height; };
  constexpr float kColumn = 2;
  const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
  const auto entries =
      largest_in_columns(strip_of.load.time, strip_of.load.value, view_.from, view_.to, columns);
  const Ink moving = ink_of(Work::kCommunication), too_much{ui.colours.bad, Pattern::kCrossed};
  for (std::size_t first = 0; first < columns;) {
    std::size_t end = first + 1;
    while (end < columns && entries[end] == entries[first]) ++end;
    if (entries[first] >= 0) {
      const double share = strip_of.load.value[static_cast<std::size_t>(entries[first])];
      const float x0 = from.x + kColumn * static_cast<float>(first),
                  x1 = from.x + kColumn * static_cast<float>(end);
      if (share > 0)
        list.AddRectFilled({x0, up(std::min(share, 1.0))}, {x1, to.y}, packed(moving.colour));
      if (share > 1.005) fill(list, {x0, up(share)}, {x1, up(1)}, too_much);
    }
    first = end;
  }
  if (over) list.AddLine({from.x, up(1)}, {to.x, up(1)}, ImGui::GetColorU32(ImGuiCol_Text, 0.7F));
  marks_of_strip(ui, from, to);
  list.PopClipRect();
  if (hovered) {
    std::string text;
    for (const std::string& line : describe(strip_of, time_at(ImGui::GetIO().MousePos.x)))
      text += (text.empty() ? "" : "\n") + line;
    tip(text);
  }
  ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(1)});
}

ImVec2 TimelinePanel::strip(Ui& ui, const char* id, const std::string& name,
                            const std::string& more, float height) const {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  list.AddText({at.x + ui.points(4), at.y + ui.points(2)}, ImGui::GetColorU32(ImGuiCol_Text),
               fitted(name, label_width_ - ui.points(8)).c_str());
  list.AddText({at.x + ui.points(4), at.y + ui.points(2) + ImGui::GetTextLineHeight()},
               ImGui::GetColorU32(ImGuiCol_TextDisabled),
               fitted(more, label_width_ - ui.points(8)).c_str());
  ImGui::SetCursorScreenPos({axis_x_, at.y});
  ImGui::InvisibleButton(id, {axis_width_, height});
  list.AddRectFilled({axis_x_, at.y}, {axis_x_ + axis_width_, at.y + height},
                     ImGui::GetColorU32(ImGuiCol_FrameBg, 0.5F));
  return at;
}

void TimelinePanel::memory_strip(Ui& ui, const Timeline& t, const Counters& c, double most) {
  const float height = ui.points(kMemoryHeight);
  const MemoryPicture& m = c.memory.front();
  const auto end = static_cast<double>(t.trace(0).step_time.value);
  const ImVec2 at =
      strip(ui, "##memory", "memory of " + t.device_name(c.device),
            m.time.empty() ? std::string("not known")
                           : "most " + core::human_text(core::Bytes(std::llround(m.most))),
            height);
  const bool hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  constexpr float kColumn = 2;
  const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
  const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
  list.PushClipRect(from, to, true);
  const auto up = [&](double bytes) { return static_cast<float>(bytes / most) * height; };
  const auto entries = largest_in_columns(m.time, m.total, view_.from, view_.to, columns);
  // Boxes of columns that show the same entry are one.
  for (std::size_t first = 0; first < columns;) {
    std::size_t next = first + 1;
    while (next < columns && entries[next] == entries[first]) ++next;
    const float x0 = from.x + kColumn * static_cast<float>(first),
                x1 = std::min(from.x + kColumn * static_cast<float>(next), x_of(end));
    if (entries[first] >= 0 && view_.time_of(x0 - from.x, axis_width_) < end) {
      const auto i = static_cast<std::size_t>(entries[first]);
      double sum = 0;
      if (m.curve.time.empty()) {
        list.AddRectFilled({x0, to.y - up(m.total[i])}, {x1, to.y}, packed(ink_of_index(0).colour));
      } else {
        for (std::size_t h = 0; h < reports::kHolders; ++h) {
          const auto bytes = static_cast<double>(m.curve.held[h][i].value);
          if (bytes <= 0) continue;
          fill(list, {x0, to.y - up(sum + bytes)}, {x1, to.y - up(sum)}, ink_of_index(h));
          sum += bytes;
        }
      }
    }
    first = next;
  }
  for (std::size_t s = 1; s < c.memory.size(); ++s)
    outline(c.memory[s].time, c.memory[s].total, most, from, height,
            ImGui::GetColorU32(ImGuiCol_Text));
  if (!m.time.empty()) {
    const float x = x_of(static_cast<double>(m.peak.value));
    list.AddTriangleFilled(
        {x, to.y - up(m.most)}, {x - ui.points(4), to.y - up(m.most) - ui.points(6)},
        {x + ui.points(4), to.y - up(m.most) - ui.points(6)}, packed(ui.colours.bad));
    list.AddLine({from.x, to.y - up(m.most)}, {to.x, to.y - up(m.most)},
                 packed(ui.colours.bad, 0.5));
  }
  marks_of_strip(ui, from, to);
  list.PopClipRect();
  if (hovered && !m.time.empty() && ImGui::BeginTooltip()) {
    const double time = time_at(ImGui::GetIO().MousePos.x);
    const auto entry = largest_in_columns(m.time, m.total, time, time + 1, 1).front();
    label(fmt::format("{} at {}", t.device_name(c.device),
                      core::human_text(core::Nanoseconds(std::llround(time)))));
    if (entry >= 0 && !m.curve.time.empty())
      for (std::size_t h = reports::kHolders; h-- > 0;) {
        const core::Bytes bytes = m.curve.held[h][static_cast<std::size_t>(entry)];
        if (bytes.value <= 0) continue;
        swatch(ink_of_index(h));
        label(fmt::format("{} {}", core::human_text(bytes),
                          core::name_of(static_cast<reports::Holder>(h))));
      }
    if (entry >= 0)
      label("together " +
            core::human_text(core::Bytes(std::llround(m.total[static_cast<std::size_t>(entry)]))));
    ImGui::TextDisabled(
        "%s", fmt::format("most {} at {}", core::human_text(core::Bytes(std::llround(m.most))),
                          core::human_text(m.peak))
                  .c_str());
    ImGui::EndTooltip();
  }
  ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(2)});
}

void TimelinePanel::sent_strip(Ui& ui, const Timeline& t, const Counters& c, double most) {
  const float height = ui.points(kSentHeight);
  const Curve& curve = c.sent.front();
  const ImVec2 at = strip(ui, "##sent", "sent by " + t.device_name(c.device),
                          "at most " + core::human_text(core::BytesPerSecond(curve.most)), height);
  const bool hovered = ImGui::IsItemHovered();
  ImDrawList& list = *ImGui::GetWindowDrawList();
  constexpr float kColumn = 2;
  const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
  const ImVec2 from{axis_x_, at.y}, to{axis_x_ + axis_width_, at.y + height};
  list.PushClipRect(from, to, true);
  const auto entries = largest_in_columns(curve.time, curve.value, view_.from, view_.to, columns);
  const ImU32 colour = packed(ink_of(Work::kCommunication).colour);
  for (std::size_t first = 0; first < columns;) {
    std::size_t end = first + 1;
    while (end < columns && entries[end] == entries[first]) ++end;
    if (entries[first] >= 0) {
      const double value = curve.value[static_cast<std::size_t>(entries[first])];
      if (value > 0)
        list.AddRectFilled({from.x + kColumn * static_cast<float>(first),
                            to.y - static_cast<float>(value / most) * height},
                           {from.x + kColumn * static_cast<float>(end), to.y}, colour);
    }
    first = end;
  }
  for (std::size_t s = 1; s < c.sent.size(); ++s)
    outline(c.sent[s].time, c.sent[s].value, most, from, height, ImGui::GetColorU32(ImGuiCol_Text));
  marks_of_strip(ui, from, to);
  list.PopClipRect();
  if (hovered) {
    const double time = time_at(ImGui::GetIO().MousePos.x);
    const auto entry = largest_in_columns(curve.time, curve.value, time, time + 1, 1).front();
    tip(fmt::format("{} sends {} at {}", t.device_name(c.device),
                    core::human_text(core::BytesPerSecond(
                        entry < 0 ? 0 : curve.value[static_cast<std::size_t>(entry)])),
                    core::human_text(core::Nanoseconds(std::llround(time)))));
  }
  ImGui::SetCursorScreenPos({at.x, at.y + height + ui.points(2)});
}

// The same of the lower trace, as a line.
void TimelinePanel::outline(const std::vector<std::int64_t>& time, const std::vector<double>& value,
                            double most, ImVec2 from, float height, ImU32 colour) const {
  constexpr float kColumn = 2;
  const auto columns = static_cast<std::size_t>(axis_width_ / kColumn);
  const auto entries = largest_in_columns(time, value, view_.from, view_.to, columns);
  ImDrawList& list = *ImGui::GetWindowDrawList();
  float before = from.y + height;
  for (std::size_t c = 0; c < columns; ++c) {
    const float x = from.x + kColumn * static_cast<float>(c);
    const float y =
        entries[c] < 0
            ? from.y + height
            : from.y + height -
                  static_cast<float>(value[static_cast<std::size_t>(entries[c])] / most) * height;
    list.AddRectFilled({x, std::min(y, before)}, {x + kColumn, std::max(y, before) + 1}, colour);
    before = y;
  }
}

void TimelinePanel::marks_of_strip(Ui& ui, ImVec2 from, ImVec2 to) const {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  if (range_)
    list.AddRectFilled({x_of(range_->first), from.y}, {x_of(range_->second), to.y},
                       packed(ui.colours.accent, 0.14));
  const core::Nanoseconds cursor = ui.session.selection().cursor;
  if (cursor.value > 0)
    list.AddLine({x_of(static_cast<double>(cursor.value)), from.y},
                 {x_of(static_cast<double>(cursor.value)), to.y}, packed(ui.colours.warning));
}

}  // namespace soapstone::explorer::view
