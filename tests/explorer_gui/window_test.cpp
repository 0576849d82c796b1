#include <gtest/gtest.h>

#include "core/file.hpp"
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
    c->WindowFocus("");
    c->ComboClick("##model/alexnet");
    c->ComboClick("##cluster/p100-4x4");
  });
  ASSERT_TRUE(work->design().complete());
  EXPECT_EQ(work->design().graph->name(), "alexnet");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Start");
    c->WindowFocus("");
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

TEST(Window, F1ListsTheKeysOfEveryPartOfTheWindow) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->KeyPress(ImGuiKey_F1);
    c->Yield(2);
    IM_CHECK(c->WindowInfo("//Keyboard").Window != nullptr);
  });
  driven.picture("keyboard");
}

TEST(Window, TheClusterIsChangedAndItsStepIsSeenAtOnce) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  const auto before = work->shown()->step_time;
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->WindowFocus("");
    c->ItemClick("**/device 5");
    c->ItemClick("**/network/10 times");
  });
  EXPECT_EQ(work->selection().device, core::DeviceId(5));
  EXPECT_LT(work->shown()->step_time, before);
  driven.picture("cluster");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->WindowFocus("");
    c->ItemClick("**/Without this device");
  });
  EXPECT_EQ(work->design().cluster->size(), 15u);
  driven.drive([](ImGuiTestContext* c) {
    c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Z);
    c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Z);
  });
  EXPECT_EQ(work->shown()->step_time, before);
}

TEST(Window, RanksAreColouredInRowsByStage) {
  SOAPSTONE_WINDOW();
  Work work("gpt2", 16, "p100-4x4", {"dp=4,pp=4,schedule=1f1b,micro_batch=1"});
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->WindowFocus("");
    c->ItemClick("by stage");
    c->ComboClick("##shade/waiting for others");
    c->Yield(2);
  });
  driven.settle();
  driven.picture("ranks-waiting");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->ItemClick("**/device 5");
  });
  EXPECT_EQ(work->selection().device, core::DeviceId(5));
  // What the schedule keeps, in bytes.
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Step");
    c->WindowFocus("");
    c->Yield(2);
    if (c->ItemExists("**/kept")) c->MouseMove("**/kept");
  });
  driven.settle();
  driven.picture("schedule-memory");
}

TEST(Window, OfThousandsOfRanksTheOneUnderTheMouseIsSelected) {
  SOAPSTONE_WINDOW();
  Work work("gpt2", 1024, "a100-128x8", {"dp=128,tp=2,pp=4,schedule=1f1b,micro_batch=1"});
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->WindowFocus("");
    c->ItemClick("by stage");
    c->ComboClick("##shade/memory");
    c->Yield(2);
  });
  driven.settle();
  driven.picture("ranks-many");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    const ImRect all = c->ItemInfo("**/ranks").RectClipped;
    c->MouseMoveToPos({all.Min.x + 2, all.Min.y + 2});
    c->MouseClick(0);
  });
  EXPECT_EQ(work->selection().device, core::DeviceId(0));
}

#ifdef SOAPSTONE_CAN_TRAIN
TEST(Window, ATrainingOnTwoRanksIsLaunchedAndItsTraceOpened) {
  SOAPSTONE_WINDOW();
  Work work(SOAPSTONE_PROGRAM);
  const auto cluster = work.folder.path() / "two.toml";
  core::ClusterSpec spec = core::load_cluster("p100-4x4").value().spec();
  spec.node[0].count = 1;
  spec.node[0].devices = 2;
  spec.network.reset();
  ASSERT_TRUE(core::write_file_atomically(cluster, core::to_toml(spec)));
  Session::Beginning beginning;
  beginning.model = ModelChoice{"mlp", 32, {}, {}};
  beginning.cluster = cluster.string();
  work->begin(beginning);
  work->finish_jobs();
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Launch");
    c->WindowFocus("");
    c->ItemInputValue("steps", 12);
    c->ItemClick("Launch");
  });
  EXPECT_EQ(work->launch_run().exit_code, 0) << work->launch_run().error;
  EXPECT_FALSE(work->launch_run().metrics.steps.empty());
  ASSERT_NE(work->measured(), nullptr);
  EXPECT_EQ(work->measured()->origin, core::TraceOrigin::kMeasured);
  driven.picture("launch");
}
#endif

}  // namespace
}  // namespace soapstone::explorer
