// What colours mean, and what devices do in a range.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/core.h>
#include <imgui.h>

#include "core/units.hpp"
#include "explorer_gui/view/detail/draw.hpp"
#include "explorer_gui/view/detail/timeline_panel.hpp"

namespace soapstone::explorer::view {

void TimelinePanel::legend(Ui& ui, const Timeline& t) {
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ui.points(2));
  ImGui::Dummy({ui.points(2), 1});
  const auto entry = [&](Ink ink, std::string_view text) {
    const float width = ImGui::CalcTextSize(text.data(), text.data() + text.size()).x +
                        ImGui::GetTextLineHeight() * 2;
    if (ImGui::GetItemRectMax().x + width > axis_x_ + axis_width_) return;
    ImGui::SameLine(0, ui.points(10));
    swatch(ink);
    ImGui::TextDisabled("%s", std::string(text).c_str());
  };
  if (differences_ && t.sources() > 1) {
    entry({change(-1, ui.dark())}, "two thirds of the time or less");
    entry({change(0, ui.dark())}, "the same");
    entry({change(1, ui.dark())}, "half as long again or more");
  }
  for (std::size_t w = 0; w < kWorks; ++w)
    if (t.has(static_cast<Work>(w)))
      entry(ink_of(static_cast<Work>(w)), core::name_of(static_cast<Work>(w)));
  if (critical_) entry({ui.colours.bad}, "critical path");
  if (!counters_ || !results_->counters || results_->counters->memory.front().curve.time.empty())
    return;
  ImGui::SameLine(0, ui.points(22));
  label("memory:");
  const auto& curve = results_->counters->memory.front().curve;
  for (std::size_t h = 0; h < reports::kHolders; ++h)
    if (std::any_of(curve.held[h].begin(), curve.held[h].end(),
                    [](core::Bytes bytes) { return bytes.value > 0; }))
      entry(ink_of_index(h), core::name_of(static_cast<reports::Holder>(h)));
}

void TimelinePanel::statistics(Ui& ui, const Timeline& t) {
  ImGui::BeginChild("##statistics", {0, 0}, ImGuiChildFlags_Borders);
  ImGui::PushFont(ui.fonts.bold, 0);
  label(range_ ? "The selected range" : "The whole step");
  ImGui::PopFont();
  if (range_) {
    ImGui::SameLine();
    if (ImGui::SmallButton("Clear")) range_.reset();
  }
  if (t.sources() > 1)
    for (std::size_t s = 0; s < t.sources(); ++s) {
      if (s > 0) ImGui::SameLine();
      if (ImGui::RadioButton(t.source(s).name.c_str(), statistics_source_ == s))
        statistics_source_ = s;
    }
  ImGui::Checkbox("selected device alone", &statistics_of_device_);
  if (!results_->statistics) {
    ImGui::EndChild();
    return;
  }
  const RangeStatistics& s = *results_->statistics;
  label(fmt::format("{} to {}", core::human_text(s.from), core::human_text(s.to)));
  ImGui::TextDisabled(
      "%s", fmt::format("{}, {} spans on {} device{}", core::human_text(s.to - s.from), s.spans,
                        s.devices, s.devices == 1 ? "" : "s")
                .c_str());
  const auto total = static_cast<double>(std::max<std::int64_t>(1, s.total().value));
  const auto mean = [&](std::int64_t sum) {
    return core::human_text(
        core::Nanoseconds(sum / std::max<std::int64_t>(1, static_cast<std::int64_t>(s.devices))));
  };
  const auto table = [&](const char* id, const auto& rows, double whole) {
    if (!ImGui::BeginTable(id, 3, ImGuiTableFlags_RowBg)) return;
    ImGui::TableSetupColumn("what", ImGuiTableColumnFlags_WidthStretch);
    ImGui::TableSetupColumn("time", ImGuiTableColumnFlags_WidthFixed);
    ImGui::TableSetupColumn("share", ImGuiTableColumnFlags_WidthFixed);
    for (const auto& [ink, name, time] : rows) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      if (ink) swatch(*ink);
      label(fitted(name, ImGui::GetContentRegionAvail().x));
      ImGui::TableNextColumn();
      label(mean(time));
      ImGui::TableNextColumn();
      label(fmt::format("{:5.1f} %", 100 * static_cast<double>(time) / whole));
    }
    ImGui::EndTable();
  };
  using Row = std::tuple<std::optional<Ink>, std::string, std::int64_t>;
  ImGui::SeparatorText("a device, in the mean");
  table("use",
        std::array<Row, 3>{Row{{}, "computing", s.computing.value},
                           Row{{}, "exposed communication", s.exposed.value},
                           Row{{}, "idle (bubble)", s.idle.value}},
        total);
  ImGui::SeparatorText("by kind, over all lanes");
  std::vector<Row> kinds;
  for (std::size_t w = 0; w < kWorks; ++w)
    if (s.kinds.work[w] > 0)
      kinds.push_back({ink_of(static_cast<Work>(w)),
                       std::string(core::name_of(static_cast<Work>(w))), s.kinds.work[w]});
  if (s.kinds.waiting > 0) kinds.push_back({{}, "waiting for others", s.kinds.waiting});
  const auto lanes =
      static_cast<double>(std::max<std::int64_t>(1, s.kinds.total() + s.kinds.waiting));
  table("kinds", kinds, lanes);
  ImGui::SeparatorText(t.source(std::min(statistics_source_, t.sources() - 1)).graph
                           ? "operators with the most time"
                           : "spans with the most time");
  std::vector<Row> top;
  for (const auto& [name, time] : s.top) top.push_back({{}, name, time.value});
  table("top", top, lanes);
  ImGui::EndChild();
}

}  // namespace soapstone::explorer::view
