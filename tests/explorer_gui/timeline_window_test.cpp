#include <gtest/gtest.h>
#include <imgui.h>

#include "core/document.hpp"
#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"

namespace soapstone::explorer {
namespace {

TEST(TimelineWindow, ASpanIsFoundSelectedAndZoomedTo) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  ASSERT_NE(work->shown(), nullptr);
  Driven driven(work);
  driven.picture("timeline");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Timeline");
    c->WindowFocus("");
    c->ItemInput("##find");
    c->KeyCharsReplace("fc6");
    c->KeyPress(ImGuiKey_Enter);
    c->Yield(2);
  });
  const auto op = work->design().graph->find_op("fc6");
  ASSERT_TRUE(op);
  EXPECT_EQ(work->selection().ops, std::set<std::uint32_t>{op->value});
  ASSERT_TRUE(work->selection().span);
  const std::size_t first = *work->selection().span;
  driven.picture("timeline-found");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Timeline");
    c->WindowFocus("");
    c->ItemClick(">##next");
  });
  ASSERT_TRUE(work->selection().span);
  EXPECT_GT(*work->selection().span, first);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Timeline");
    c->WindowFocus("");
    c->ItemClick("<##before");
  });
  EXPECT_EQ(work->selection().span, first);
}

TEST(TimelineWindow, ARangeIsDraggedAndAClickSelects) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Timeline");
    c->WindowFocus("");
    const ImGuiTestItemInfo canvas = c->ItemInfo("//Timeline/**/##canvas");
    const ImVec2 at = canvas.RectClipped.Min;
    const float width = canvas.RectClipped.GetWidth();
    // The second row is the first lane.
    c->MouseMoveToPos({at.x + width * 0.3F, at.y + 28});
    c->MouseDown(0);
    c->MouseMoveToPos({at.x + width * 0.6F, at.y + 28});
    c->MouseUp(0);
    c->Yield(2);
    IM_CHECK(c->ItemExists("//Timeline/**/Clear"));
  });
  driven.picture("timeline-range");
  ImVec2 mouse;
  driven.drive([&mouse](ImGuiTestContext* c) {
    c->KeyPress(ImGuiKey_F);
    c->Yield(2);
    c->ItemClick("//Timeline/**/Clear");
    const ImGuiTestItemInfo canvas = c->ItemInfo("//Timeline/**/##canvas");
    c->KeyPress(ImGuiKey_Home);
    // Into the backward pass.
    c->MouseMoveToPos({canvas.RectClipped.Min.x + canvas.RectClipped.GetWidth() * 0.07F,
                       canvas.RectClipped.Min.y + 28});
    mouse = ImGui::GetIO().MousePos;
    c->MouseWheelY(8);
    c->Yield(2);
    c->MouseClick(0);
    c->Yield(2);
  });
  EXPECT_GT(work->selection().cursor.value, 0);
  EXPECT_TRUE(work->selection().span);
  driven.picture("timeline-near");
  ImGui::GetIO().AddMousePosEvent(mouse.x, mouse.y);
  driven.picture("timeline-tooltip");
}

TEST(TimelineWindow, TheEndOfASpanIsDraggedAndTheStepFollowsWhileTheMouseIsDown) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  const auto predicted = work->shown();
  ASSERT_NE(predicted, nullptr);
  const std::size_t steps = work->history().size();
  Driven driven(work);
  core::Nanoseconds longer, shorter;
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("Timeline");
    c->WindowFocus("");
    c->ItemInput("##find");
    c->KeyCharsReplace("fc6 forward");
    c->KeyPress(ImGuiKey_Enter);
    c->Yield(2);
    const ImGuiTestItemInfo end = c->ItemInfo("//Timeline/**/##end of the span");
    const ImVec2 at = end.RectFull.GetCenter();
    const auto answered = [&](core::Nanoseconds& step) {
      for (int frame = 0; frame < 2000 && work->question().waits(); ++frame) c->Yield();
      ASSERT_NE(work->question().trace, nullptr) << work->question().error;
      step = work->question().trace->step_time;
    };
    c->MouseMoveToPos(at);
    c->MouseDown(0);
    c->MouseMoveToPos({at.x + 80, at.y});
    c->Yield();
    answered(longer);
    c->MouseMoveToPos({at.x + 40, at.y});
    c->Yield();
    answered(shorter);
    c->MouseUp(0);
  });
  EXPECT_GT(longer, shorter);
  EXPECT_GT(shorter, predicted->step_time);
  ASSERT_EQ(work->question().changes.size(), 1u);
  EXPECT_EQ(work->question().changes[0].name, "fc6 forward");
  driven.picture("timeline-what-if");
  // A second question beside it.
  driven.drive([&](ImGuiTestContext* c) {
    c->ItemInputValue("//Timeline/**/network##speed", 10.0F);
    c->Yield(2);
  });
  driven.settle();
  EXPECT_EQ(work->question().answered.size(), 2u);
  EXPECT_LT(work->question().trace->step_time, predicted->step_time);
  driven.drive([&](ImGuiTestContext* c) {
    c->ItemInput("//Timeline/##find");
    c->KeyCharsReplace("");
    c->KeyPress(ImGuiKey_Enter);
    c->SetRef("Timeline");
    c->ComboClick("##below/as it is predicted");
    c->Yield(4);
    c->MouseMove("//Timeline/**/Reset##what if");
  });
  driven.picture("timeline-what-if-two");
  work->settings().theme = Theme::kLight;
  driven.picture("timeline-what-if-light");
  EXPECT_EQ(work->history().size(), steps);
  driven.drive([&](ImGuiTestContext* c) {
    c->ItemClick("//Timeline/**/Reset##what if");
    c->Yield(2);
  });
  EXPECT_FALSE(work->question().stands());
}

TEST(TimelineWindow, AFasterLinkIsAskedForAndKept) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  const auto network = work->design().cluster->spec().network->bandwidth;
  const auto before = work->shown()->step_time;
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->WindowFocus("");
    c->ItemInputValue("**/network##speed", 2.0F);
    c->Yield(2);
  });
  driven.picture("cluster-what-if");
  ASSERT_NE(work->question().trace, nullptr) << work->question().error;
  const auto asked = work->question().trace->step_time;
  EXPECT_LT(asked, before);
  EXPECT_EQ(work->design().cluster->spec().network->bandwidth, network);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Cluster");
    c->ItemClick("**/Keep##what if");
    c->Yield(2);
  });
  driven.settle();
  EXPECT_EQ(work->design().cluster->spec().network->bandwidth.value, 2 * network.value);
  EXPECT_FALSE(work->question().stands());
  EXPECT_LT(work->shown()->step_time, before);
}

TEST(TimelineWindow, TheBusiestLinksHaveAStripEach) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Timeline");
    c->WindowFocus("");
    c->SetRef(c->WindowInfo("//Timeline/##time").ID);
    c->ItemClick("##which links");
    c->ItemClick("//$FOCUSED/busiest network links");
    c->ItemInputValue("##how many links", 4);
    c->Yield(4);
    IM_CHECK(c->ItemExists("##link node0 network out"));
    c->MouseMove("##link node0 network out");
  });
  driven.picture("timeline-links");
}

TEST(TimelineWindow, DevicesUnfoldAndAMeasuredTraceStandsBelow) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  // A measurement that is a tenth slower, and on device 3 twice as slow.
  ASSERT_NE(work->shown(), nullptr);
  auto measured = work->shown()->trace;
  measured.origin = core::TraceOrigin::kMeasured;
  auto& s = measured.spans;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const std::int64_t factor = measured.lanes[s.lane[i]].device.value == 3 ? 20 : 11;
    s.start[i].value = s.start[i].value * factor / 10;
    s.end[i].value = s.end[i].value * factor / 10;
    s.waiting[i].value = s.waiting[i].value * factor / 10;
    measured.step_time = std::max(measured.step_time, s.end[i]);
  }
  const auto file = work.folder.path() / "measured.json";
  ASSERT_TRUE(core::save_document(file, measured));
  Driven driven(work);
  work->open(file.string());
  driven.settle();
  driven.picture("timeline-measured");
  driven.drive([](ImGuiTestContext* c) {
    c->ItemClick("//Timeline/**/unfold node0.device0");
    c->Yield(2);
  });
  driven.picture("timeline-unfolded");
  work->settings().theme = Theme::kLight;
  driven.picture("timeline-light");
}

TEST(TimelineWindow, APipelineShowsItsStagesOnce) {
  SOAPSTONE_WINDOW();
  Work work("gpt2", 1024, "a100-128x8", {"dp=128,tp=2,pp=4,schedule=1f1b,micro_batch=1"});
  Driven driven(work);
  driven.picture("timeline-pipeline");
  EXPECT_NE(work->shown(), nullptr);
}

}  // namespace
}  // namespace soapstone::explorer
