#include "explorer_gui/view/theme.hpp"

#include <algorithm>
#include <cmath>

#include <imgui.h>
#include <implot.h>

namespace soapstone::explorer::view {

namespace {

ImVec4 rgb(std::uint32_t c, float alpha = 1) {
  return {static_cast<float>((c >> 16) & 0xFF) / 255, static_cast<float>((c >> 8) & 0xFF) / 255,
          static_cast<float>(c & 0xFF) / 255, alpha};
}

// The greys of a theme, from the ground to the text, and what is active.
struct Greys {
  std::uint32_t window, panel, field, hover, border, quiet, text, accent;
};
constexpr Greys kDarkGreys{0x16181C, 0x1C1F24, 0x282C33, 0x353B45,
                           0x343A43, 0x8F99A6, 0xE4E8ED, 0x3D8FD1};
constexpr Greys kLightGreys{0xF3F4F6, 0xFFFFFF, 0xE8EBEF, 0xD8DEE6,
                            0xC9CFD7, 0x5C6672, 0x1B1F24, 0x2472B3};

}  // namespace

unsigned int packed(Colour colour, double alpha) {
  const auto a = static_cast<std::uint32_t>(std::lround(std::clamp(alpha, 0.0, 1.0) * 255));
  return (a << 24) | ((colour.rgb & 0xFF) << 16) | (colour.rgb & 0xFF00) |
         ((colour.rgb >> 16) & 0xFF);
}

Signals signals(Theme theme) {
  return theme == Theme::kDark
             ? Signals{{0x4CC38A}, {0xFF6B5E}, {0xF2B84B}, {kDarkGreys.quiet}, {0x5AA9E6}}
             : Signals{{0x0F7B4B}, {0xB3261E}, {0x8A5A00}, {kLightGreys.quiet}, {0x1B66A8}};
}

void apply_theme(Theme theme, double scale) {
  ImGuiStyle style;
  const Greys& g = theme == Theme::kDark ? kDarkGreys : kLightGreys;
  if (theme == Theme::kDark)
    ImGui::StyleColorsDark(&style);
  else
    ImGui::StyleColorsLight(&style);
  ImVec4* c = style.Colors;
  c[ImGuiCol_Text] = rgb(g.text);
  c[ImGuiCol_TextDisabled] = rgb(g.quiet);
  c[ImGuiCol_WindowBg] = c[ImGuiCol_ChildBg] = rgb(g.panel);
  c[ImGuiCol_PopupBg] = rgb(g.panel, 0.98F);
  c[ImGuiCol_MenuBarBg] = c[ImGuiCol_TitleBg] = c[ImGuiCol_TitleBgActive] =
      c[ImGuiCol_TitleBgCollapsed] = c[ImGuiCol_DockingEmptyBg] = rgb(g.window);
  c[ImGuiCol_Border] = c[ImGuiCol_Separator] = c[ImGuiCol_TableBorderLight] =
      c[ImGuiCol_TableBorderStrong] = rgb(g.border);
  c[ImGuiCol_FrameBg] = c[ImGuiCol_Button] = c[ImGuiCol_TableHeaderBg] = rgb(g.field);
  c[ImGuiCol_FrameBgHovered] = c[ImGuiCol_ButtonHovered] = rgb(g.hover);
  c[ImGuiCol_FrameBgActive] = c[ImGuiCol_ButtonActive] = rgb(g.accent, 0.6F);
  c[ImGuiCol_Header] = rgb(g.accent, 0.30F);
  c[ImGuiCol_HeaderHovered] = rgb(g.accent, 0.45F);
  c[ImGuiCol_HeaderActive] = rgb(g.accent, 0.6F);
  c[ImGuiCol_CheckMark] = c[ImGuiCol_SliderGrab] = c[ImGuiCol_PlotHistogram] = rgb(g.accent);
  c[ImGuiCol_SliderGrabActive] = rgb(g.accent);
  c[ImGuiCol_Tab] = rgb(g.window);
  c[ImGuiCol_TabHovered] = rgb(g.hover);
  c[ImGuiCol_TabSelected] = c[ImGuiCol_TabDimmedSelected] = rgb(g.panel);
  c[ImGuiCol_TabDimmed] = rgb(g.window);
  c[ImGuiCol_TabSelectedOverline] = rgb(g.accent);
  c[ImGuiCol_TextSelectedBg] = rgb(g.accent, 0.4F);
  c[ImGuiCol_TableRowBgAlt] = rgb(g.text, 0.025F);
  c[ImGuiCol_ScrollbarBg] = rgb(g.panel, 0);
  c[ImGuiCol_ScrollbarGrab] = rgb(g.hover);
  c[ImGuiCol_ModalWindowDimBg] = rgb(0x000000, 0.45F);
  c[ImGuiCol_NavCursor] = rgb(g.accent);
  style.WindowRounding = 4;
  style.FrameRounding = 4;
  style.GrabRounding = 4;
  style.PopupRounding = 4;
  style.TabRounding = 4;
  style.ScrollbarRounding = 6;
  style.WindowBorderSize = 1;
  style.FramePadding = {8, 4};
  style.ItemSpacing = {8, 5};
  style.CellPadding = {6, 3};
  style.WindowPadding = {10, 8};
  style.ScrollbarSize = 12;
  style.FontSizeBase = 15;
  style.ScaleAllSizes(static_cast<float>(scale));
  style.FontScaleDpi = static_cast<float>(scale);
  ImGui::GetStyle() = style;

  ImPlotStyle plot;
  if (theme == Theme::kDark)
    ImPlot::StyleColorsDark(&plot);
  else
    ImPlot::StyleColorsLight(&plot);
  plot.Colors[ImPlotCol_FrameBg] = plot.Colors[ImPlotCol_PlotBg] = rgb(g.panel);
  plot.Colors[ImPlotCol_PlotBorder] = rgb(g.border);
  ImPlot::GetStyle() = plot;
}

}  // namespace soapstone::explorer::view
