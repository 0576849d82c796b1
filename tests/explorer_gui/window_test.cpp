#include <gtest/gtest.h>

#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"

namespace soapstone::explorer {
namespace {

TEST(Window, ChoosesAModelAndAClusterAndSearches) {
  SOAPSTONE_WINDOW();
  Work work;
  Driven driven(work);
  driven.picture("start");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Start");
    c->ComboClick("##model/alexnet");
    c->ComboClick("##cluster/p100-4x4");
  });
  ASSERT_TRUE(work->design().complete());
  EXPECT_EQ(work->design().graph->name(), "alexnet");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Start");
    c->ItemInputValue("budget", "200");
    c->ItemClick("Search");
  });
  EXPECT_GT(work->design().strategies.size(), 1u);
}

TEST(Window, ThePaletteDoesWhatIsTyped) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  const Theme before = work->settings().theme;
  driven.drive([](ImGuiTestContext* c) {
    c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_P);
    c->Yield(2);
    c->KeyChars("dark or");
    c->KeyPress(ImGuiKey_Enter);
    c->Yield(2);
  });
  EXPECT_NE(work->settings().theme, before);
}

TEST(Window, UndoIsInTheMenuAndOnTheKeyboard) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  work->pin({0}, true);
  driven.drive([](ImGuiTestContext* c) { c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Z); });
  EXPECT_TRUE(work->design().pinned.empty());
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("##MainMenuBar");
    c->MenuClick("Edit/Redo");
  });
  EXPECT_EQ(work->design().pinned.size(), 1u);
}

}  // namespace
}  // namespace soapstone::explorer
