// The table of strategies in the real window.
#include <algorithm>

#include <gtest/gtest.h>
#include <imgui.h>

#include "core/document.hpp"
#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"

namespace soapstone::explorer {
namespace {

const NamedStrategy& strategy(Work& work, const std::string& origin) {
  for (const NamedStrategy& s : work->design().strategies)
    if (s.origin == origin) return s;
  throw std::runtime_error("there is no " + origin);
}

// The path of a row's item.
std::string row(const NamedStrategy& s) { return "**/$$" + std::to_string(s.id) + "/###row"; }

TEST(StrategiesWindow, ARowIsShownStarredRenamedAndMadeTheBaseline) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4", {"data-parallel", "expert", "single"});
  Driven driven(work);
  EXPECT_EQ(driven.app().act("panel.Strategies"), "");
  const StrategyId first = strategy(work, "data-parallel").id;
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Strategies");
    c->WindowFocus("");
    c->ItemClick((row(strategy(work, "data-parallel"))).c_str());
    c->ItemClick(("**/star##" + std::to_string(first)).c_str());
  });
  EXPECT_EQ(work->design().current, first);
  EXPECT_TRUE(work->design().find(first)->starred);
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Strategies");
    c->WindowFocus("");
    c->ItemClick(row(strategy(work, "single")).c_str(), ImGuiMouseButton_Right);
    c->ItemClick("//$FOCUSED/Set as baseline");
  });
  EXPECT_EQ(work->design().baseline, strategy(work, "single").id);
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Strategies");
    c->WindowFocus("");
    c->ItemDoubleClick(row(strategy(work, "data-parallel")).c_str());
    c->Yield(2);
    c->KeyCharsReplaceEnter("mine");
  });
  EXPECT_EQ(strategy(work, "data-parallel").name, "mine");
}

TEST(StrategiesWindow, AfterASearchTheTableIsSortedAndFiltered) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  work->next_search().budget = "300";
  work->search();
  work->finish_jobs();
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) { c->WindowFocus("//Strategies"); });
  // Every row has its shares in the end.
  for (int i = 0; i < 20; ++i) driven.settle();
  for (const NamedStrategy& s : work->design().strategies) {
    ASSERT_NE(work->known(s.id), nullptr);
    EXPECT_TRUE(work->known(s.id)->figures->is_complete()) << s.name;
  }
  driven.picture("strategies-dark");
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Strategies");
    c->WindowFocus("");
    c->ItemInputValue("##filter", "expert");
  });
  driven.picture("strategies-filtered");
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Strategies");
    c->WindowFocus("");
    c->ItemInputValue("##filter", "");
    c->ItemClick("**/Search");
  });
  work->settings().theme = Theme::kLight;
  driven.picture("strategies-light-search");
}

TEST(StrategiesWindow, ANumberOpensToWhereItComesFrom) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  EXPECT_EQ(driven.app().act("panel.Strategies"), "");
  std::string copied;
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Strategies");
    c->WindowFocus("");
    c->ItemClick(row(strategy(work, "data-parallel")).c_str(), ImGuiMouseButton_Right);
    c->ItemClick("//$FOCUSED/###where");
    c->Yield(2);
    c->ItemClick("//$FOCUSED/Copy the command");
    copied = ImGui::GetClipboardText();
  });
  EXPECT_EQ(copied,
            "soapstone simulate alexnet --batch 64 --cluster p100-4x4 --strategy data-parallel");
  driven.picture("provenance");
}

TEST(StrategiesWindow, TheSummaryForAPullRequestTellsWhy) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  work->add_strategy("expert");
  work->finish_jobs();
  Driven driven(work);
  EXPECT_EQ(driven.app().act("export.summary_markdown"), "");
  work->finish_jobs();
  const std::string copied = ImGui::GetClipboardText();
  EXPECT_NE(copied.find("expert takes "), std::string::npos) << copied;
  EXPECT_NE(copied.find("| **expert** | "), std::string::npos) << copied;
}

TEST(CompareWindow, ABarOfTheWaterfallSelectsItsOperators) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4", {"data-parallel", "expert"});
  work->compare_with(strategy(work, "data-parallel").id);
  work->show(strategy(work, "expert").id);
  Driven driven(work);
  EXPECT_EQ(driven.app().act("panel.Compare"), "");
  for (int i = 0; i < 4; ++i) driven.settle();
  driven.picture("compare-dark");
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Compare");
    c->WindowFocus("");
    c->ItemClick("**/bar##all-reduce of gradients");
  });
  const auto fc6 = work->design().graph->find_op("fc6")->value;
  EXPECT_TRUE(work->selection().has(fc6)) << work->selection().ops.size();
  EXPECT_EQ(work->selection().marked.size(), 2u) << "in both traces";
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Compare");
    c->WindowFocus("");
    c->ItemClick("**/By meaning");
  });
  work->settings().theme = Theme::kLight;
  driven.picture("compare-light-meaning");
}

TEST(CompareWindow, PredictionAndMeasurementAreCompared) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  core::Trace trace = work->shown()->trace;
  trace.origin = core::TraceOrigin::kMeasured;
  trace.steps = 50;
  core::Nanoseconds late(0);
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    trace.spans.start[i] = core::Nanoseconds(trace.spans.start[i].value * 23 / 20);
    trace.spans.end[i] = core::Nanoseconds(trace.spans.end[i].value * 23 / 20);
    late = std::max(late, trace.spans.end[i]);
  }
  trace.step_time = late;
  const auto file = work.folder.path() / "measured.json";
  ASSERT_TRUE(core::save_document(file, trace));
  work->open(file.string());
  work->finish_jobs();
  Driven driven(work);
  EXPECT_EQ(driven.app().act("panel.Compare"), "");
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Compare");
    c->WindowFocus("");
    c->ComboClick("##against/prediction and measurement");
  });
  for (int i = 0; i < 3; ++i) driven.settle();
  driven.picture("measured-dark");
}

TEST(WhyWindow, AFactSelectsItsSpansAndAHintIsApplied) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  EXPECT_EQ(driven.app().act("panel.Why"), "");
  for (int i = 0; i < 3; ++i) driven.settle();
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Why");
    c->WindowFocus("");
    c->ItemClick("**/$$0/###card");
  });
  EXPECT_FALSE(work->selection().ops.empty());
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Why");
    c->WindowFocus("");
    c->ItemInputValue("##change", "link:network*2");
    c->ItemClick("Try");
  });
  driven.picture("why-dark");
  const std::size_t strategies = work->design().strategies.size();
  driven.drive([&](ImGuiTestContext* c) {
    c->SetRef("//Why");
    c->WindowFocus("");
    c->ItemClick("**/expert");
  });
  EXPECT_EQ(work->design().strategies.size(), strategies + 1);
  work->settings().theme = Theme::kLight;
  driven.picture("why-light");
}

}  // namespace
}  // namespace soapstone::explorer
