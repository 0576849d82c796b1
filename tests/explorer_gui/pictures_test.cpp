// Ten states of the window that docs/explorer.md shows; scripts/screenshots.sh writes them.
#include <gtest/gtest.h>

#include "core/units.hpp"
#include "explorer_gui/model/examples.hpp"
#include "tests/explorer_gui/display.hpp"
#include "tests/explorer_gui/driven.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

// The window with the panels in front that the picture is of, the mouse out of the way.
struct Scene {
  Work work;
  Driven driven;

  Scene() : driven(work) {
    driven.drive([](ImGuiTestContext* c) { c->MouseMoveToPos({2, 2}); });
  }
  void open(std::string_view example) {
    for (const Example& e : examples())
      if (e.title == example) work->begin(e.beginning);
    ready();
  }
  void ready() {
    for (int i = 0; i < 4; ++i) driven.settle();
  }
  void front(std::initializer_list<const char*> panels) {
    for (const char* panel : panels)
      EXPECT_EQ(driven.app().act("panel." + std::string(panel)), "") << panel;
    ready();
  }
  std::uint32_t op(std::string_view name) {
    return work->design().graph->find_op(name).value().value;
  }
  void select(std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) work->selection().ops.insert(op(name));
    work->changed();
    ready();
  }
  void show(std::string_view name) {
    for (const NamedStrategy& s : work->design().strategies)
      if (s.name == name) return work->show(s.id), ready();
    FAIL() << "no strategy " << name;
  }
};

TEST(Pictures, Start) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.driven.picture("start");
}

TEST(Pictures, WhyAStepIsSlow) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.work->open("sample:straggler");
  s.ready();
  s.driven.picture("why");
}

TEST(Pictures, Graph) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.work->settings().theme = Theme::kLight;
  s.open("Inception-v3 on 64 GPUs");
  s.show("expert");
  EXPECT_EQ(s.driven.app().act("graph.fit"), "");
  s.ready();
  s.driven.picture("graph");
}

TEST(Pictures, InspectorAfterAnEdit) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.open("AlexNet on 16 GPUs");
  s.show("data-parallel");
  s.select({"fc6"});
  const std::uint32_t fc6 = s.op("fc6");
  ASSERT_TRUE(s.work->edit("fc6: c_out in 4, n in 4", [&](core::Strategy& now) -> core::Status {
    core::OpStrategy& op = now.ops[fc6];
    const auto& axes = s.work->design().graph->ops()[fc6].definition.axes;
    for (std::size_t a = 0; a < axes.size(); ++a)
      op.degrees[a] = axes[a].name == "n" || axes[a].name == "o" ? 4 : 1;
    return {};
  }));
  s.front({"Inspector"});
  s.driven.picture("inspector");
}

TEST(Pictures, PipelineAndItsSchedule) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.open("GPT-2 as a pipeline");
  s.front({"Step"});
  s.driven.picture("pipeline");
}

TEST(Pictures, Cluster) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.open("AlexNet on 16 GPUs");
  s.show("data-parallel");
  s.work->selection().device = core::DeviceId(5);
  s.work->selection().cursor = core::Nanoseconds(s.work->shown()->step_time.value / 3);
  s.work->changed();
  s.front({"Cluster"});
  s.driven.picture("cluster");
}

TEST(Pictures, StrategiesAfterASearch) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.open("AlexNet on 16 GPUs");
  s.work->next_search().budget = "400";
  s.work->search();
  s.front({"Strategies"});
  s.driven.picture("strategies");
  EXPECT_GT(s.work->design().strategies.size(), 2u);
}

TEST(Pictures, TwoStrategiesCompared) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.work->settings().theme = Theme::kLight;
  s.open("AlexNet on 16 GPUs");
  s.front({"Compare"});
  s.driven.picture("compare");
}

TEST(Pictures, Timeline) {
  SOAPSTONE_WINDOW();
  Scene s;
  s.open("A small Llama on 16 GPUs, four ways");
  s.show("dp=4,tp=4,sp=1");
  s.select({"layer2_down"});
  s.driven.picture("timeline");
}

}  // namespace
}  // namespace soapstone::explorer
