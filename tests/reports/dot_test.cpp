#include "reports/dot.hpp"

#include <set>

#include <gmock/gmock.h>

#include "core/models/models.hpp"
#include "reports/svg.hpp"
#include "tests/reports/sample.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::reports {
namespace {

using namespace core;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const PictureNode& node(const Picture& p, std::string_view name) {
  for (const PictureNode& n : p.nodes)
    if (n.name == name) return n;
  throw std::runtime_error("no node");
}

const PictureEdge& edge(const Picture& p, std::string_view from, std::string_view to) {
  for (const PictureEdge& e : p.edges)
    if (p.nodes[e.from].name == from && p.nodes[e.to].name == to && !e.to_next_block) return e;
  throw std::runtime_error("no edge");
}

// fc1 by samples on both devices, fc2 by outputs, the loss by samples again.
ReportInput resharded() {
  Graph graph = build_model("mlp").value();
  const std::vector<DeviceId> both{DeviceId(0), DeviceId(1)};
  Strategy strategy = data_parallel(graph, both);
  const std::uint32_t fc2 = graph.find_op("fc2")->value;
  const int o = graph.ops()[fc2].definition.axis("o");
  strategy.ops[fc2].degrees.assign(strategy.ops[fc2].degrees.size(), 1);
  strategy.ops[fc2].degrees[static_cast<std::size_t>(o)] = 2;
  strategy.ops[graph.find_op("fc3")->value] =
      single_device(graph, DeviceId(1)).ops[graph.find_op("fc3")->value];
  return report_of(std::move(graph), strategy, tests::small_cluster(1, 2, 1));
}

TEST(Picture, ShowsEqualBlocksOnce) {
  Graph graph = layered(12);
  const Strategy strategy = single_device(graph);
  const Picture p = picture(report_of(std::move(graph), strategy, tests::small_cluster(1, 2, 1)));
  // in, one layer of three, out, loss and two sources.
  EXPECT_EQ(p.nodes.size(), 8u);
  EXPECT_THAT(p.blocks, ElementsAre(PictureBlock{1, 3, 12}));
  const PictureNode& fc = node(p, "layer0…11_fc");
  EXPECT_EQ(fc.ops.size(), 12u);
  EXPECT_EQ(fc.ops.back(), 34u);
  // Forward, two gradients and two updates of one of them.
  EXPECT_EQ(fc.time, 32_ms);
  std::size_t to_next = 0;
  for (const PictureEdge& e : p.edges) to_next += e.to_next_block;
  EXPECT_EQ(to_next, 2u);  // the block's sum goes to the next one's fc and add

  const std::string text = dot(p, ColourBy::kDevices);
  EXPECT_EQ(count(text, "label=\"×12\""), 1u);
  EXPECT_EQ(count(text, "[id=op"), 6u);
  EXPECT_EQ(count(text, "style=dashed, constraint=false"), 2u);
}

TEST(Picture, SaysWhatMovesWhere) {
  const Picture p = picture(resharded());
  // 128 x 128 floats, half of which each device lacks; all devices together send the whole.
  EXPECT_THAT(edge(p, "fc1", "fc2").values,
              ElementsAre(Move{Pattern::kAllGather, Bytes(128 * 128 * 4)}));
  EXPECT_THAT(edge(p, "fc1", "fc2").gradients, Not(testing::IsEmpty()));
  EXPECT_THAT(edge(p, "relu2", "fc3").values,
              ElementsAre(Move{Pattern::kBoxes, Bytes(128 * 128 * 2)}));
  EXPECT_THAT(edge(p, "flatten", "fc1").values, testing::IsEmpty());
  // fc1's weights are on both devices, fc2's cut, fc3's on one.
  EXPECT_EQ(node(p, "fc1").weights.size(), 1u);
  EXPECT_EQ(node(p, "fc1").weights[0].pattern, Pattern::kAllReduce);
  EXPECT_THAT(node(p, "fc2").weights, testing::IsEmpty());
  EXPECT_THAT(node(p, "fc3").weights, testing::IsEmpty());
  const std::string text = dot(p, ColourBy::kDevices);
  EXPECT_THAT(text, HasSubstr("→ all-gather 64 KiB"));
  EXPECT_THAT(text, HasSubstr("\\nweights: all-reduce "));
}

TEST(Picture, SumsNothingTwice) {
  for (const ReportInput& in : {resharded(), sample()}) {
    const Picture p = picture(in);
    Bytes drawn, sent;
    for (const PictureEdge& e : p.edges)
      for (const auto* moves : {&e.values, &e.gradients})
        for (const Move& m : *moves) drawn += m.bytes;
    for (const PictureNode& n : p.nodes)
      for (const auto* moves : {&n.inside, &n.weights})
        for (const Move& m : *moves) drawn += m.bytes;
    for (std::size_t i = 0; i < in.predicted.spans.size(); ++i)
      if (in.predicted.spans.kind[i] == TaskKind::kTransfer) sent += in.predicted.spans.bytes[i];
    EXPECT_EQ(drawn, sent);
    EXPECT_GT(sent, 0_B);
  }
}

TEST(Colouring, GivesEverySetOfDevicesItsOwn) {
  const Picture p = picture(resharded());
  const Colouring c = colouring(p, ColourBy::kDevices);
  ASSERT_EQ(c.nodes.size(), p.nodes.size());
  EXPECT_THAT(c.legend, ElementsAre(LegendEntry{"devices 0-1", "#8dd3c7"},
                                    LegendEntry{"device 1", "#ffffb3"}));
  for (std::size_t n = 0; n < p.nodes.size(); ++n)
    EXPECT_EQ(c.nodes[n], p.nodes[n].kind.empty()       ? "#ffffff"
                          : p.nodes[n].devices == "0-1" ? "#8dd3c7"
                                                        : "#ffffb3");
}

TEST(Colouring, GoesFromNothingToTheMost) {
  const Picture p = picture(sample());
  for (const ColourBy by : {ColourBy::kTime, ColourBy::kMemory, ColourBy::kBytes}) {
    const Colouring c = colouring(p, by);
    const auto amount = [&](const PictureNode& n) {
      return by == ColourBy::kTime     ? n.time.value
             : by == ColourBy::kMemory ? n.memory.value
                                       : n.moved.value;
    };
    std::int64_t most = 0;
    for (const PictureNode& n : p.nodes) most = std::max(most, amount(n));
    for (std::size_t n = 0; n < p.nodes.size(); ++n) {
      EXPECT_EQ(c.nodes[n] == "#f48e3c", amount(p.nodes[n]) == most) << p.nodes[n].name;
      if (amount(p.nodes[n]) == 0) {
        EXPECT_EQ(c.nodes[n], "#ffffff") << p.nodes[n].name;
      }
    }
    ASSERT_EQ(c.legend.size(), 5u);
    EXPECT_EQ(c.legend.front().colour, "#ffffff");
    EXPECT_EQ(c.legend.back().colour, "#f48e3c");
    EXPECT_THAT(dot(p, by), HasSubstr("label=\"" + std::string(name_of(by)) + "\""));
  }
}

TEST(Colouring, IsWhiteWhereNothingMoves) {
  Graph graph = build_model("mlp").value();
  const Strategy strategy = single_device(graph);
  const Picture p = picture(report_of(std::move(graph), strategy, tests::small_cluster(1, 2, 1)));
  const Colouring c = colouring(p, ColourBy::kBytes);
  EXPECT_THAT(c.legend, testing::IsEmpty());
  EXPECT_EQ(std::set(c.nodes.begin(), c.nodes.end()), std::set<std::string>{"#ffffff"});
}

TEST(Dot, EscapesWhatEndsAString) {
  Picture p;
  p.title = "a \"b\" \\c";
  PictureNode& x = p.nodes.emplace_back();
  x.id = "op0", x.name = "x\"\\", x.kind = "add", x.shape = "[1]", x.devices = "0";
  const std::string text = dot(p, ColourBy::kDevices, Legend::kWithout);
  EXPECT_THAT(text, HasSubstr(R"(digraph "a \"b\" \\c" {)"));
  EXPECT_THAT(text, HasSubstr(R"(label="x\"\\\nadd [1]\non 0)"));
  EXPECT_THAT(text, Not(HasSubstr("legend")));
}

TEST(Svg, IsDrawnFromThePicture) {
  const Picture p = picture(resharded());
  const auto drawing = svg(dot(p, ColourBy::kDevices));
  if (!has_graphviz()) {
    ASSERT_FALSE(drawing);
    EXPECT_EQ(drawing.error().kind, ErrorKind::kRefused);
    EXPECT_THAT(drawing.error().message, HasSubstr("without Graphviz"));
    return;
  }
  ASSERT_TRUE(drawing) << drawing.error().message;
  EXPECT_THAT(*drawing, HasSubstr("<svg "));
  EXPECT_THAT(*drawing, HasSubstr("</svg>"));
  for (const PictureNode& n : p.nodes) EXPECT_EQ(count(*drawing, "id=\"" + n.id + "\""), 1u);
  // Nodes, and the two device sets of the legend.
  EXPECT_EQ(count(*drawing, "class=\"node\""), p.nodes.size() + 2);
  EXPECT_EQ(count(*drawing, "fill=\"#ffffb3\""), 2u);
  EXPECT_THAT(*drawing, HasSubstr("gather 64 KiB"));
  // Again, with the same text as result.
  EXPECT_EQ(svg(dot(p, ColourBy::kDevices)), drawing);
}

TEST(Svg, IsRefusedForWhatIsNoGraph) {
  const auto drawing = svg("no graph");
  ASSERT_FALSE(drawing);
  if (has_graphviz()) {
    EXPECT_THAT(drawing.error().message, HasSubstr("Graphviz cannot read the graph: "));
    EXPECT_THAT(drawing.error().message, HasSubstr("syntax error"));
  }
}

}  // namespace
}  // namespace soapstone::reports
