#include <algorithm>

#include <gtest/gtest.h>

#include "explorer_gui/model/graph_folds.hpp"
#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"

namespace soapstone::explorer {
namespace {

std::uint32_t op(Work& work, const std::string& name) {
  return work->design().graph->find_op(name)->value;
}

void in_both_themes(Driven& driven, Work& work, const std::string& name) {
  for (const Theme theme : {Theme::kDark, Theme::kLight}) {
    work->settings().theme = theme;
    driven.settle();
    driven.picture(name + (theme == Theme::kDark ? "-dark" : "-light"));
  }
  work->settings().theme = Theme::kDark;
  driven.settle();
}

TEST(GraphWindow, ANodeIsSelectedByAClickAndMoreWithControl) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4", {"expert"});
  Driven driven(work);
  in_both_themes(driven, work, "graph-alexnet");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ItemClick("**/node:conv1");
  });
  EXPECT_EQ(work->selection().ops, (std::set{op(work, "conv1")}));
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->KeyDown(ImGuiMod_Ctrl);
    c->ItemClick("**/node:conv2");
    c->KeyUp(ImGuiMod_Ctrl);
  });
  EXPECT_EQ(work->selection().ops, (std::set{op(work, "conv1"), op(work, "conv2")}));
}

TEST(GraphWindow, ArrowKeysFollowEdges) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4");
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ItemClick("**/node:conv1");
    c->KeyPress(ImGuiKey_DownArrow);
  });
  const auto& graph = *work->design().graph;
  ASSERT_EQ(work->selection().ops.size(), 1u);
  const auto& below = graph.ops()[*work->selection().ops.begin()];
  EXPECT_EQ(graph.tensor(below.tensors[0]).producer.op.value, op(work, "conv1"));
}

TEST(GraphWindow, AFoldedBlockOpensAndCloses) {
  SOAPSTONE_WINDOW();
  Work work("inception-v3", 64, "p100-4x4", {"expert"});
  Driven driven(work);
  in_both_themes(driven, work, "graph-inception");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ItemDoubleClick("**/node:5b");
    c->Yield(3);
  });
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    EXPECT_FALSE(c->ItemExists("**/node:5b"));
  });
  in_both_themes(driven, work, "graph-inception-open");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ItemClick("**/close:5b");
  });
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    EXPECT_TRUE(c->ItemExists("**/node:5b"));
  });
}

TEST(GraphWindow, LayersOfATransformerAreShownOnceAndEach) {
  SOAPSTONE_WINDOW();
  Work work("gpt2", 16, "p100-4x4", {"dp=4,pp=4"});
  Driven driven(work);
  in_both_themes(driven, work, "graph-gpt2");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    EXPECT_TRUE(c->ItemExists("**/node:layer0…11_norm1"));
    c->ItemClick("**/each:layer0…11");
  });
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    EXPECT_TRUE(c->ItemExists("**/node:layer0"));
    EXPECT_TRUE(c->ItemExists("**/node:layer11"));
    EXPECT_FALSE(c->ItemExists("**/node:layer0…11_norm1"));
  });
  in_both_themes(driven, work, "graph-gpt2-each");
  EXPECT_EQ(driven.app().act("graph.close_all"), "");
  driven.settle();
  driven.picture("graph-gpt2-closed");
  EXPECT_EQ(driven.app().act("graph.open_all"), "");
  driven.settle();
  driven.picture("graph-gpt2-all");
}

TEST(GraphWindow, ColoursAreChosenByName) {
  SOAPSTONE_WINDOW();
  Work work("mixtral-8x7b", 16, "p100-4x4", {"expert"});
  Driven driven(work);
  in_both_themes(driven, work, "graph-mixtral");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ComboClick("##colour/time");
  });
  in_both_themes(driven, work, "graph-mixtral-time");
}

TEST(GraphWindow, ASearchSelectsTheNextMatchAndCentresIt) {
  SOAPSTONE_WINDOW();
  Work work("inception-v3", 64, "p100-4x4");
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ItemInputValue("##search", "6c_7x7");
  });
  EXPECT_EQ(work->selection().ops, (std::set{op(work, "6c_7x7_1")}));
  driven.picture("graph-search");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->ItemInputValue("##search", "6c_7x7");
  });
  ASSERT_EQ(work->selection().ops.size(), 1u);
  const std::uint32_t next = *work->selection().ops.begin();
  EXPECT_NE(next, op(work, "6c_7x7_1"));
  EXPECT_NE(work->design().graph->ops()[next].name.find("6c_7x7"), std::string::npos);
}

TEST(GraphWindow, TwoStrategiesStandBesideEachOther) {
  SOAPSTONE_WINDOW();
  Work work("alexnet", 64, "p100-4x4", {"data-parallel", "expert"});
  Driven driven(work);
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    c->ItemClick("both");
    c->ComboClick("##colour/change");
  });
  in_both_themes(driven, work, "graph-both");
  driven.drive([](ImGuiTestContext* c) {
    c->SetRef("Graph");
    c->WindowFocus("");
    EXPECT_TRUE(c->ItemExists("**/node:conv1"));
    EXPECT_TRUE(c->ItemExists("**/node:conv1:baseline"));
  });
}

}  // namespace
}  // namespace soapstone::explorer
