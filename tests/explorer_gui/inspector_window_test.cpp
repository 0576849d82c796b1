// The inspector, the step and the history, driven by the names of their items.
#include <gtest/gtest.h>

#include "explorer_gui/model/edits.hpp"
#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"

namespace soapstone::explorer {
namespace {

using core::DeviceId;

std::uint32_t op_of(Work& work, const char* name) {
  return work->design().graph->find_op(name)->value;
}

const core::OpStrategy& cut_of(Work& work, const char* name) {
  return work->design().shown()->strategy->ops[op_of(work, name)];
}

void select(Work& work, const char* name) {
  work->selection().ops = {op_of(work, name)};
  work->changed();
}

void choose(ImGuiTestContext* c, const char* box, const char* item) {
  c->ItemClick(box);
  c->Yield(2);
  c->SetRef("//$FOCUSED");
  c->ItemClick(item);
}

// The pictures of both themes.
void pictures(Work& work, Driven& driven, const std::string& name) {
  driven.picture(name);
  work->settings().theme = Theme::kLight;
  driven.picture(name + "-light");
  work->settings().theme = Theme::kDark;
}

TEST(InspectorWindow, ADegreeIsChosenTheStepIsSeenAndUndone) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  const Design first = work->design();
  const auto before = work->shown();
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Inspector");
    c->WindowFocus("");
    choose(c, "##operator", "fc6");
  });
  EXPECT_EQ(work->selection().ops, OpSet{op_of(work, "fc6")});
  pictures(work, driven, "inspector-fc6");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Inspector");
    c->WindowFocus("");
    choose(c, "axes/##degree n", "1");
    c->SetRef("Inspector");
    c->WindowFocus("");
    choose(c, "axes/##degree o", "4");
  });
  EXPECT_EQ(cut_of(work, "fc6").degrees, (std::vector<std::int32_t>{1, 4, 1}));
  EXPECT_EQ(cut_of(work, "fc6").devices.size(), 4u);
  ASSERT_NE(work->shown(), nullptr);
  EXPECT_NE(work->shown()->step_time, before->step_time);
  EXPECT_NE(work->before(), nullptr);
  pictures(work, driven, "inspector-fc6-edited");
  driven.drive([](ImGuiTestContext* c) {
    c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Z);
    c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Z);
  });
  EXPECT_EQ(work->design(), first);
  EXPECT_EQ(work->shown(), before);
}

TEST(InspectorWindow, AnIllegalDegreeCannotBeClicked) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  select(work, "fc6");
  const Design first = work->design();
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Inspector");
    c->WindowFocus("");
    c->ItemClick("axes/##degree n");
    c->Yield(2);
    c->SetRef("//$FOCUSED");
    const ImGuiTestItemInfo item = c->ItemInfo("32");
    IM_CHECK(item.ID != 0);
    IM_CHECK((item.ItemFlags & ImGuiItemFlags_Disabled) != 0);
  });
  driven.picture("inspector-refused");
  driven.drive([](ImGuiTestContext* c) { c->KeyPress(ImGuiKey_Escape); });
  EXPECT_EQ(work->design(), first);
}

TEST(InspectorWindow, DraggingOverDevicesPutsTheOperatorThereInOneStep) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  select(work, "fc6");
  driven.settle();
  const std::size_t steps = work->history().size();
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Inspector");
    c->WindowFocus("");
    c->MouseMove("**/device 4");
    c->MouseDown();
    for (const char* device : {"**/device 5", "**/device 6", "**/device 7"})
      c->MouseMove(device, ImGuiTestOpFlags_NoCheckHoveredId);
    c->MouseUp();
  });
  EXPECT_EQ(cut_of(work, "fc6").devices,
            (std::vector{DeviceId(4), DeviceId(5), DeviceId(6), DeviceId(7)}));
  EXPECT_EQ(cut_of(work, "fc6").degrees[0], 4);
  EXPECT_EQ(work->history().size(), steps + 1);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Inspector");
    c->WindowFocus("");
    c->ItemClick("**/device 2");
  });
  EXPECT_EQ(work->selection().device, DeviceId(2)) << "a click alone selects";
  EXPECT_EQ(work->history().size(), steps + 1);
}

TEST(InspectorWindow, TheHistoryGoesWhereItIsClicked) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  const Ground ground(work->design().setting());
  const Design first = work->design();
  const std::size_t at = work->history().at();
  for (const std::int32_t degree : {8, 4, 2}) {
    ASSERT_TRUE(apply(
        *work, fmt::format("n = {} of fc6", degree),
        set_degree(ground, *work->design().shown()->strategy, {op_of(work, "fc6")}, "n", degree)));
    driven.settle();
  }
  driven.drive([](ImGuiTestContext* c) { c->WindowFocus("History"); });
  driven.picture("history");
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("History");
    c->WindowFocus("");
    c->ItemClick(fmt::format("**/###step {}", at).c_str());
  });
  EXPECT_EQ(work->design(), first);
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("History");
    c->WindowFocus("");
    c->ItemClick(fmt::format("**/###step {}", at + 2).c_str());
  });
  EXPECT_EQ(cut_of(work, "fc6").degrees[0], 4);
}

TEST(StepWindow, ABoundaryIsDraggedAndAScheduleChanged) {
  SOAPSTONE_WINDOW();
  Work work("gpt2", 16, "p100-4x4", {"dp=2,tp=2,pp=4,micro_batch=1"});
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) { c->WindowFocus("Step"); });
  pictures(work, driven, "step-gpt-1f1b");
  const auto ends = stage_ends(*work->design().shown()->strategy).value();
  const std::size_t steps = work->history().size();
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Step");
    c->WindowFocus("");
    c->ItemDragWithDelta("**/boundary 0", ImVec2(40, 0));
  });
  const auto moved = stage_ends(*work->design().shown()->strategy).value();
  EXPECT_GT(moved[0], ends[0]);
  EXPECT_EQ(moved[1], ends[1]);
  EXPECT_EQ(work->history().size(), steps + 1) << "a drag is one step";
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Step");
    c->WindowFocus("");
    choose(c, "settings/##schedule", "gpipe");
  });
  EXPECT_EQ(work->design().shown()->strategy->schedule, core::ScheduleKind::kGPipe);
  pictures(work, driven, "step-gpt-gpipe");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Step");
    c->WindowFocus("");
    c->MouseMove("**/0F1");
    c->MouseDown();
    c->MouseMove("**/0F3", ImGuiTestOpFlags_NoCheckHoveredId);
    c->MouseUp();
  });
  ASSERT_FALSE(work->design().shown()->strategy->schedule_lines.empty());
  EXPECT_EQ(work->design().shown()->strategy->schedule_lines[0].substr(0, 15), "0F0,0F2,0F3,0F1");
}

TEST(StepWindow, AShortFormIsTypedAndItsErrorsAreShown) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  const Design first = work->design();
  driven.drive([](ImGuiTestContext* c) {
    c->KeyPress(ImGuiMod_Ctrl | ImGuiKey_L);
    c->Yield(4);
    c->SetRef("Step");
    c->WindowFocus("");
    c->ItemInputValue("**/##short form", "dp=4,tq=2");
  });
  EXPECT_EQ(work->design(), first) << "tq is no key";
  driven.picture("step-error");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Step");
    c->WindowFocus("");
    c->ItemInputValue("**/##short form", "dp=4,tp=2");
  });
  EXPECT_EQ(cut_of(work, "fc6").devices.size(), 8u);
}

TEST(StepWindow, WhatDoesNotFitIsRedAtItsHolder) {
  SOAPSTONE_WINDOW();
  Work work("gpt2", 16, "p100-4x4", {"dp=16"});
  core::ClusterSpec spec = work->design().cluster->spec();
  spec.device_kind[0].memory = core::Bytes(std::int64_t{1} << 30);
  ASSERT_TRUE(work->set_cluster(spec, "1 GiB each"));
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) { c->WindowFocus("Step"); });
  ASSERT_NE(work->shown(), nullptr);
  EXPECT_FALSE(work->shown()->why_not.empty());
  pictures(work, driven, "step-overflow");
}

}  // namespace
}  // namespace soapstone::explorer
