// Whatever a person clicks, the explorer stays what it is.
#include <cstdlib>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <imgui_internal.h>

#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"

namespace soapstone::explorer {
namespace {

// What ends the test, leaves the window or runs for long.
bool is_left_out(const std::string& name) {
  for (const char* word :
       {"Quit", "Launch", "Close", "#CLOSE", "#COLLAPSE", "Save", "Open", "Search", "Resume",
        "Export", "export", "save", "Copy", "model", "10 times", "sample:"})
    if (name.find(word) != std::string::npos) return true;
  return false;
}

TEST(Window, RandomClicksBreakNothingAndUndoGoesBackToTheStart) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  const Design first = work->design();
  const std::size_t start = work->history().at();
  const char* const asked = std::getenv("SOAPSTONE_RANDOM_ACTIONS");
  const int actions = asked ? std::atoi(asked) : 120;
  std::mt19937 random(20261122);
  int done = 0;
  driven.drive([&](ImGuiTestContext* c) {
    for (int i = 0; i < actions && !c->IsError(); ++i) {
      // A window that is seen, and something in it.
      ImVector<ImGuiWindow*> windows;
      for (ImGuiWindow* w : ImGui::GetCurrentContext()->Windows)
        if (w->WasActive && !w->Hidden && w->RootWindow == w && w->Name[0] != '#')
          windows.push_back(w);
      if (windows.empty()) break;
      ImGuiWindow* const window =
          windows[static_cast<int>(random() % static_cast<unsigned>(windows.Size))];
      ImGuiTestItemList items;
      c->GatherItems(&items, window->ID, 6);
      if (items.GetSize() == 0) continue;
      const ImGuiTestItemInfo* const item =
          items.GetByIndex(static_cast<int>(random() % static_cast<unsigned>(items.GetSize())));
      if (is_left_out(item->DebugLabel)) continue;
      c->MouseMoveToPos(item->RectClipped.GetCenter());
      if (random() % 8 != 0) c->MouseClick(random() % 12 == 0 ? 1 : 0);
      ++done;
      if (random() % 10 == 0) c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Z);
      if (random() % 10 == 0) c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Y);
      if (random() % 20 == 0) c->PopupCloseAll();
    }
    c->PopupCloseAll();
  });
  EXPECT_GT(done, actions / 4);
  // Some of the clicks were on undo.
  while (work->history().at() > start) work->undo();
  while (work->history().at() < start) work->redo();
  EXPECT_EQ(work->design(), first);
}

}  // namespace
}  // namespace soapstone::explorer
