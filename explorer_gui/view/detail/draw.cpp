#include "explorer_gui/view/detail/draw.hpp"

#include <algorithm>

#include "explorer_gui/view/theme.hpp"

namespace soapstone::explorer::view {

namespace {

// Lines x + y = const (rising) or x - y = const (falling) inside a box.
void hatch(ImDrawList& list, ImVec2 from, ImVec2 to, bool rising, float gap, ImU32 colour) {
  const float width = to.x - from.x, height = to.y - from.y;
  for (float c = gap; c < width + height; c += gap) {
    // The line that meets the lower (rising: upper) left corner's diagonal at distance c.
    const float x0 = std::min(c, width), y0 = c - x0;
    const float y1 = std::min(c, height), x1 = c - y1;
    if (rising)
      list.AddLine({from.x + x0, from.y + y0}, {from.x + x1, from.y + y1}, colour);
    else
      list.AddLine({from.x + x0, to.y - y0}, {from.x + x1, to.y - y1}, colour);
  }
}

}  // namespace

void fill(ImDrawList& list, ImVec2 from, ImVec2 to, Ink ink) {
  list.AddRectFilled(from, to, packed(ink.colour));
  const float width = to.x - from.x, height = to.y - from.y;
  if (ink.pattern == Pattern::kSolid || width < 6 || height < 6) return;
  // What is far longer than the screen has the pattern where it is seen.
  const ImVec2 clip_from = list.GetClipRectMin(), clip_to = list.GetClipRectMax();
  const float gap = 6;
  from.x = std::max(from.x, clip_from.x - gap);
  to.x = std::min(to.x, clip_to.x + gap);
  if (to.x <= from.x) return;
  const ImU32 line = packed(text_on(ink.colour), 0.28);
  switch (ink.pattern) {
    case Pattern::kSolid:
      break;
    case Pattern::kRising:
      hatch(list, from, to, true, gap, line);
      break;
    case Pattern::kFalling:
      hatch(list, from, to, false, gap, line);
      break;
    case Pattern::kCrossed:
      hatch(list, from, to, true, gap, line);
      hatch(list, from, to, false, gap, line);
      break;
    case Pattern::kDotted:
      for (float y = from.y + 3; y < to.y - 1; y += 5)
        for (float x = from.x + 3; x < to.x - 1; x += 5)
          list.AddRectFilled({x, y}, {x + 1.5F, y + 1.5F}, line);
      break;
    case Pattern::kLevel:
      for (float y = from.y + 3; y < to.y; y += 4) list.AddLine({from.x, y}, {to.x, y}, line);
      break;
  }
}

void swatch(Ink ink) {
  const float size = ImGui::GetTextLineHeight() * 0.8F;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float down = (ImGui::GetTextLineHeight() - size) / 2;
  fill(*ImGui::GetWindowDrawList(), {at.x, at.y + down}, {at.x + size, at.y + down + size}, ink);
  ImGui::Dummy({size, ImGui::GetTextLineHeight()});
  ImGui::SameLine(0, size * 0.4F);
}

void label(std::string_view text) {
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
}

void coloured(Colour colour, std::string_view text) {
  ImGui::PushStyleColor(ImGuiCol_Text, packed(colour));
  label(text);
  ImGui::PopStyleColor();
}

void coloured_wrapped(Colour colour, std::string_view text) {
  ImGui::PushStyleColor(ImGuiCol_Text, packed(colour));
  ImGui::PushTextWrapPos(0);
  label(text);
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
}

void tip(std::string_view text) {
  if (text.empty() ||
      !ImGui::IsItemHovered(ImGuiHoveredFlags_ForTooltip | ImGuiHoveredFlags_AllowWhenDisabled))
    return;
  if (ImGui::BeginTooltip()) {
    ImGui::PushTextWrapPos(ImGui::GetFontSize() * 30);
    label(text);
    ImGui::PopTextWrapPos();
    ImGui::EndTooltip();
  }
}

void hint(std::string_view text) {
  ImGui::TextDisabled("?");
  tip(text);
}

bool button(const char* text, std::string_view why_not, std::string_view what_it_does) {
  ImGui::BeginDisabled(!why_not.empty());
  const bool pressed = ImGui::Button(text);
  ImGui::EndDisabled();
  tip(why_not.empty() ? what_it_does : why_not);
  return pressed && why_not.empty();
}

std::string fitted(std::string_view text, float width) {
  if (ImGui::CalcTextSize(text.data(), text.data() + text.size()).x <= width)
    return std::string(text);
  std::size_t low = 0, high = text.size();
  const auto wide = [&](std::size_t n) {
    const std::string shorter = std::string(text.substr(0, n)) + "…";
    return ImGui::CalcTextSize(shorter.c_str()).x > width;
  };
  while (low + 1 < high) {
    const std::size_t middle = (low + high) / 2;
    (wide(middle) ? high : low) = middle;
  }
  while (low > 0 && (static_cast<unsigned char>(text[low]) & 0xC0) == 0x80) --low;
  return low == 0 ? std::string() : std::string(text.substr(0, low)) + "…";
}

}  // namespace soapstone::explorer::view
