// Folds, places and colours of the graph view.
#include <cmath>

#include <gtest/gtest.h>

#include "core/cluster.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/add.hpp"
#include "core/ops/linear.hpp"
#include "core/ops/relu.hpp"
#include "core/units.hpp"
#include "explorer_gui/model/graph_view.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::explorer {
namespace {

using core::Graph;
using core::GraphBuilder;
using core::TensorId;

// Six layers of norm, a, b and sum behind an embedding, then a head: names as the zoo gives them.
Graph layers(int count) {
  GraphBuilder g("layers");
  auto x = g.source("x", {{8, 16}, core::DType::kF32, {}});
  const auto labels = g.source("labels", {{8}, core::DType::kI32, {}}, 4);
  x = g.add("embed", core::Linear{.out_features = {16}}, {x});
  for (int l = 0; l < count; ++l) {
    const std::string layer = "layer" + std::to_string(l) + "_";
    const auto a = g.add(layer + "a", core::Linear{.out_features = {16}}, {x});
    const auto b = g.add(layer + "b", core::Relu{}, {a});
    x = g.add(layer + "sum", core::Add{}, {b, x});
  }
  x = g.add("head", core::Linear{.out_features = {4}}, {x});
  return g.build_with_loss(x, labels).value();
}

const Fold* find(const FoldTree& tree, const std::string& name) {
  for (const Fold& f : tree.folds)
    if (f.name == name) return &f;
  return nullptr;
}

std::uint32_t id(const FoldTree& tree, const std::string& name) {
  for (std::uint32_t f = 0; f < tree.folds.size(); ++f)
    if (tree.folds[f].name == name) return f;
  return kNoFold;
}

std::uint32_t node(const GraphScene& scene, const std::string& name) {
  for (std::uint32_t n = 0; n < scene.nodes.size(); ++n)
    if (scene.nodes[n].name == name) return n;
  return kNoFold;
}

std::vector<std::string> names(const GraphScene& scene) {
  std::vector<std::string> out;
  for (const GraphNode& n : scene.nodes) out.push_back(n.name);
  return out;
}

std::vector<Shown> everything(const FoldTree& tree) {
  std::vector<Shown> open(tree.folds.size(), Shown::kClosed);
  for (std::size_t f = 0; f < open.size(); ++f)
    if (tree.folds[f].opens()) open[f] = Shown::kEach;
  return open;
}

GraphScene scene_of(const Graph& graph, const FoldTree& tree, const std::vector<Shown>& open) {
  LayoutCache cache;
  auto scene = graph_scene(graph, tree, open, cache);
  EXPECT_TRUE(scene) << scene.error().message;
  return scene ? std::move(*scene) : GraphScene{};
}

// --- folds ---------------------------------------------------------------------------------------

TEST(GraphFolds, EqualLayersAreOneRepeatOfBlocks) {
  const Graph graph = layers(6);
  const FoldTree tree = fold_tree(graph);
  const Fold* repeat = find(tree, "layer0…5");
  ASSERT_NE(repeat, nullptr);
  EXPECT_EQ(repeat->kind, Fold::Kind::kRepeat);
  EXPECT_EQ(repeat->first, 1u);  // behind embed
  EXPECT_EQ(repeat->length, 18u);
  ASSERT_EQ(repeat->children.size(), 6u);
  EXPECT_EQ(tree.folds[repeat->children[2]].name, "layer2");
  EXPECT_EQ(tree.folds[repeat->children[2]].length, 3u);
  // Two sources, embed, the repeat, head and loss.
  EXPECT_EQ(tree.folds[0].children.size(), 6u);
}

TEST(GraphFolds, BlocksWithOtherShapesOrConnectionsAreNoRepeat) {
  GraphBuilder g("two");
  auto x = g.source("x", {{8, 16}, core::DType::kF32, {}});
  const auto labels = g.source("labels", {{8}, core::DType::kI32, {}}, 4);
  const auto block = [&](const std::string& name, TensorId in, bool skips) {
    const auto a = g.add(name + "_a", core::Relu{}, {in});
    const auto b = g.add(name + "_b", core::Relu{}, {a});
    return g.add(name + "_c", core::Add{}, {b, skips ? a : b});
  };
  x = block("one", x, true);
  x = block("two", x, false);
  x = g.add("head", core::Linear{.out_features = {4}}, {x});
  const Graph graph = g.build_with_loss(x, labels).value();
  const FoldTree tree = fold_tree(graph);
  for (const Fold& f : tree.folds) EXPECT_NE(f.kind, Fold::Kind::kRepeat) << f.name;
  EXPECT_NE(find(tree, "one"), nullptr);
  EXPECT_NE(find(tree, "two"), nullptr);
}

TEST(GraphFolds, EveryOperatorLiesInTheTreeOnceAndLevelsAreShort) {
  for (const core::ModelInfo& info : core::models()) {
    const auto graph = core::build_model(info.name);
    ASSERT_TRUE(graph) << info.name;
    const FoldTree tree = fold_tree(*graph);
    std::vector<int> seen(graph->ops().size(), 0);
    for (std::uint32_t f = 0; f < tree.folds.size(); ++f) {
      const Fold& fold = tree.folds[f];
      if (fold.kind == Fold::Kind::kOp) {
        ++seen[fold.first];
        EXPECT_EQ(tree.fold_of_op[fold.first], f);
      }
      EXPECT_LE(fold.kind == Fold::Kind::kRepeat || f == 0 ? 0 : fold.children.size(), 40u)
          << info.name << " " << fold.name;
      std::uint32_t next = fold.first;
      for (const std::uint32_t c : fold.children) {
        const Fold& child = tree.folds[c];
        EXPECT_EQ(child.parent, f);
        EXPECT_GT(c, f);
        if (child.kind == Fold::Kind::kSource || child.kind == Fold::Kind::kSources) continue;
        EXPECT_EQ(child.first, next) << info.name << " " << child.name;
        next += child.length;
      }
    }
    for (std::size_t op = 0; op < seen.size(); ++op)
      EXPECT_EQ(seen[op], 1) << info.name << " " << graph->ops()[op].name;
  }
}

TEST(GraphFolds, AtFirstSightThereAreFortyBoxesAtMost) {
  for (const core::ModelInfo& info : core::models()) {
    const Graph graph = core::build_model(info.name).value();
    const FoldTree tree = fold_tree(graph);
    const GraphScene scene = scene_of(graph, tree, first_sight(tree));
    EXPECT_LE(scene.nodes.size(), 46u) << info.name;  // with sources
    EXPECT_GE(scene.nodes.size(), std::min<std::size_t>(graph.ops().size(), 6)) << info.name;
  }
}

TEST(GraphFolds, ARepeatIsShownOnceForAllOfItsBlocks) {
  const Graph graph = layers(60);  // 180 operators: too many for each
  const FoldTree tree = fold_tree(graph);
  const GraphScene scene = scene_of(graph, tree, first_sight(tree));
  EXPECT_EQ(names(scene),
            (std::vector<std::string>{"x", "labels", "embed", "layer0…59_a", "layer0…59_b",
                                      "layer0…59_sum", "head", "loss"}));
  const GraphNode& b = scene.nodes[node(scene, "layer0…59_b")];
  EXPECT_EQ(b.label, "b");
  EXPECT_EQ(b.times, 60u);
  ASSERT_EQ(b.ops.size(), 60u);
  EXPECT_EQ(b.ops[0], graph.find_op("layer0_b")->value);
  EXPECT_EQ(b.ops[59], graph.find_op("layer59_b")->value);
  // What goes from one layer to the next leads back up: from sum to a, and to sum itself.
  int back = 0;
  for (const GraphEdge& e : scene.edges) {
    back += e.to_next_block ? 1 : 0;
    if (e.to_next_block) {
      EXPECT_EQ(e.from, node(scene, "layer0…59_sum"));
      EXPECT_EQ(e.to, node(scene, "layer0…59_a"));
      EXPECT_EQ(e.uses.size(), 59u);
    }
  }
  EXPECT_EQ(back, 1);
}

TEST(GraphFolds, AnOperatorIsRevealedByOpeningWhatItLiesIn) {
  const Graph graph = layers(60);
  const FoldTree tree = fold_tree(graph);
  std::vector<Shown> open(tree.folds.size(), Shown::kClosed);
  open[0] = Shown::kEach;
  const std::uint32_t op = graph.find_op("layer7_b")->value;
  reveal(tree, op, open);
  GraphScene scene = scene_of(graph, tree, open);
  EXPECT_EQ(scene.nodes[scene.node_of_op[op]].name, "layer0…59_b");
  // Where each layer is shown, its own one opens.
  open[id(tree, "layer0…59")] = Shown::kEach;
  reveal(tree, op, open);
  scene = scene_of(graph, tree, open);
  EXPECT_EQ(scene.nodes[scene.node_of_op[op]].name, "layer7_b");
  EXPECT_EQ(scene.nodes[scene.node_of_op[graph.find_op("layer8_b")->value]].name, "layer8");
}

TEST(GraphFolds, ALongRowWithoutNamesIsCutIntoParts) {
  GraphBuilder g("row");
  auto x = g.source("x", {{8, 16}, core::DType::kF32, {}});
  const auto labels = g.source("labels", {{8}, core::DType::kI32, {}}, 16);
  for (int i = 0; i < 200; ++i) {
    const std::string name = "op" + std::to_string(i);
    x = i % 3 == 0 ? g.add(name, core::Linear{.out_features = {8 + i}}, {x})
                   : g.add(name, core::Relu{}, {x});
  }
  x = g.add("head", core::Linear{.out_features = {16}}, {x});
  const Graph graph = g.build_with_loss(x, labels).value();
  const FoldTree tree = fold_tree(graph);
  EXPECT_LE(tree.folds[0].children.size(), 42u);  // with two sources
  EXPECT_GE(tree.folds[0].children.size(), 8u);
}

// --- places --------------------------------------------------------------------------------------

double from_border(Point p, const Rect& box) {
  const double x = std::abs(p.x - box.centre().x) - box.width() / 2;
  const double y = std::abs(p.y - box.centre().y) - box.height() / 2;
  return x <= 0 && y <= 0 ? std::min(-x, -y) : std::hypot(std::max(0.0, x), std::max(0.0, y));
}

// No two nodes overlap, nodes lie in their frames, edges run from the lower border of a node down
// to the upper border of another; what leads to the next block leads up.
void expect_sound(const Graph& graph, const GraphScene& scene) {
  constexpr double kRounding = 0.6;  // Graphviz counts in whole points
  for (std::size_t a = 0; a < scene.nodes.size(); ++a) {
    const Rect& box = scene.nodes[a].box;
    const Rect& frame = scene.frames[scene.nodes[a].frame].box;
    EXPECT_GE(box.low.x, frame.low.x - kRounding) << graph.name() << scene.nodes[a].name;
    EXPECT_LE(box.high.x, frame.high.x + kRounding) << graph.name() << scene.nodes[a].name;
    EXPECT_GE(box.low.y, frame.low.y - kRounding) << graph.name() << scene.nodes[a].name;
    EXPECT_LE(box.high.y, frame.high.y + kRounding) << graph.name() << scene.nodes[a].name;
    for (std::size_t b = a + 1; b < scene.nodes.size(); ++b) {
      const Rect& other = scene.nodes[b].box;
      const double x = std::min(box.high.x, other.high.x) - std::max(box.low.x, other.low.x);
      const double y = std::min(box.high.y, other.high.y) - std::max(box.low.y, other.low.y);
      EXPECT_FALSE(x > kRounding && y > kRounding)
          << graph.name() << ": " << scene.nodes[a].name << " on " << scene.nodes[b].name;
    }
  }
  for (const GraphEdge& e : scene.edges) {
    const Rect &from = scene.nodes[e.from].box, &to = scene.nodes[e.to].box;
    const std::string what =
        graph.name() + ": " + scene.nodes[e.from].name + " to " + scene.nodes[e.to].name;
    ASSERT_EQ(e.curve.size() % 3, 1u) << what;
    if (e.to_next_block) {
      EXPECT_GE(from.low.y, to.low.y) << what;
      continue;
    }
    EXPECT_LE(from.high.y, to.low.y + kRounding) << what;
    EXPECT_LE(from_border(e.curve.front(), from), 2) << what;
    EXPECT_LE(from_border(e.curve.back(), to), 2) << what;
  }
}

TEST(GraphScene, NodesLieApartAndEdgesRunDownForEveryModel) {
  for (const core::ModelInfo& info : core::models()) {
    const Graph graph = core::build_model(info.name).value();
    const FoldTree tree = fold_tree(graph);
    expect_sound(graph, scene_of(graph, tree, first_sight(tree)));
    if (graph.ops().size() < 400) expect_sound(graph, scene_of(graph, tree, everything(tree)));
  }
}

TEST(GraphScene, EqualBlocksAreLaidOutOnce) {
  const Graph graph = layers(30);
  const FoldTree tree = fold_tree(graph);
  LayoutCache cache;
  ASSERT_TRUE(graph_scene(graph, tree, everything(tree), cache));
  // The whole, the repeat, its first layer (whose input comes once), all layers between.
  EXPECT_LE(cache.size(), 5u);
}

TEST(GraphScene, EveryUseOfATensorIsOnOneEdge) {
  const Graph graph = core::build_model("inception-v3").value();
  const FoldTree tree = fold_tree(graph);
  const GraphScene scene = scene_of(graph, tree, everything(tree));
  std::size_t uses = 0, expected = 0;
  for (const GraphEdge& e : scene.edges) uses += e.uses.size();
  for (const core::Tensor& t : graph.tensors()) {
    if (t.role == core::TensorRole::kWeight) continue;
    std::set<std::uint32_t> readers;
    for (const core::OperandRef& use : t.uses) readers.insert(use.op.value);
    expected += readers.size();
  }
  EXPECT_EQ(uses, expected);
}

// --- hits ----------------------------------------------------------------------------------------

TEST(GraphHits, APointIsInANodeAFrameOrNearAnEdge) {
  const Graph graph = layers(3);
  const FoldTree tree = fold_tree(graph);
  const GraphScene scene = scene_of(graph, tree, everything(tree));
  const std::uint32_t b = node(scene, "layer1_b");
  EXPECT_EQ(node_at(scene, scene.nodes[b].box.centre()), b);
  const Rect& box = scene.nodes[b].box;
  const std::uint32_t frame = frame_at(scene, {box.centre().x, box.low.y - 1});
  ASSERT_NE(frame, kNoFold);
  EXPECT_EQ(scene.frames[frame].name, "layer1");
  const GraphEdge& e = scene.edges[scene.out[b].front()];
  EXPECT_EQ(edge_at(scene, e.curve.front(), 1), scene.out[b].front());
  EXPECT_EQ(edge_at(scene, {scene.box.high.x + 50, 0}, 10), kNoFold);
  EXPECT_EQ(nodes_in(scene, scene.box).size(), scene.nodes.size());
  EXPECT_EQ(nodes_in(scene, box), (std::vector{b}));
}

TEST(GraphHits, ArrowsFollowEdges) {
  const Graph graph = layers(3);
  const FoldTree tree = fold_tree(graph);
  const GraphScene scene = scene_of(graph, tree, everything(tree));
  const std::uint32_t a = node(scene, "layer1_a"), b = node(scene, "layer1_b");
  EXPECT_EQ(neighbour(scene, a, Way::kDown), b);
  EXPECT_EQ(neighbour(scene, b, Way::kUp), a);
  EXPECT_EQ(neighbour(scene, node(scene, "loss"), Way::kDown), node(scene, "loss"));
}

TEST(GraphCamera, APointStaysUnderTheMouse) {
  Camera camera;
  camera.width = 800;
  camera.height = 600;
  camera.fit({{0, 0}, {2000, 1000}});
  // 32 points of margin: 768 / 2000.
  EXPECT_DOUBLE_EQ(camera.zoom, 0.384);
  EXPECT_EQ(camera.to_picture({400, 300}), (Point{1000, 500}));
  const Point before = camera.to_picture({100, 50});
  camera.zoom_at({100, 50}, 2);
  EXPECT_DOUBLE_EQ(camera.zoom, 0.768);
  EXPECT_NEAR(camera.to_picture({100, 50}).x, before.x, 1e-9);
  EXPECT_NEAR(camera.to_picture({100, 50}).y, before.y, 1e-9);
}

TEST(GraphCamera, FarAwayNodesAreBoxesThenNamesThenEverything) {
  EXPECT_EQ(detail_at(5), Detail::kBox);
  EXPECT_EQ(detail_at(20), Detail::kName);
  EXPECT_EQ(detail_at(56), Detail::kFull);
}

// --- colours -------------------------------------------------------------------------------------

struct Figured {
  Graph graph = layers(3);
  core::Cluster cluster = core::load_cluster("p100-4x4").value();
  FoldTree tree = fold_tree(graph);
  GraphScene scene = scene_of(graph, tree, everything(tree));

  GraphFigures figures(const core::Strategy& strategy) const {
    const core::NominalCatalog catalog;
    const simulator::RooflineModel costs;
    core::Lowering lowering(graph, cluster, catalog, {});
    const core::Plan plan = lowering.lower(strategy).value();
    simulator::Simulator simulator(graph, cluster, costs);
    return graph_figures(graph, strategy, plan, simulator.trace(plan).value());
  }
  core::Strategy data_parallel(std::uint32_t devices) const {
    std::vector<core::DeviceId> ids;
    for (std::uint32_t d = 0; d < devices; ++d) ids.push_back(core::DeviceId(d));
    return core::data_parallel(graph, ids);
  }
};

TEST(GraphPaint, ByTimeTheSlowestIsTheDarkest) {
  const Figured f;
  const GraphFigures figures = f.figures(f.data_parallel(4));
  PaintRequest request;
  request.by = NodeColour::kTime;
  request.figures = &figures;
  const GraphPaint paint = graph_paint(f.graph, f.scene, request);
  double most = 0;
  core::Nanoseconds longest;
  for (std::size_t n = 0; n < f.scene.nodes.size(); ++n) {
    most = std::max(most, paint.nodes[n].share);
    longest = std::max(longest, paint.nodes[n].time);
  }
  EXPECT_DOUBLE_EQ(most, 1);
  const NodePaint& head = paint.nodes[node(f.scene, "head")];
  EXPECT_DOUBLE_EQ(head.share,
                   static_cast<double>(head.time.value) / static_cast<double>(longest.value));
  EXPECT_EQ(head.inks.front().colour, heat(head.share, true));
  EXPECT_EQ(paint.legend.size(), 5u);
  EXPECT_EQ(paint.legend.front().text, core::human_text(core::Nanoseconds(0)));
  EXPECT_EQ(paint.legend.back().text, core::human_text(longest));
}

TEST(GraphPaint, AFoldHasTheSumOfItsOperators) {
  const Figured f;
  const GraphFigures figures = f.figures(f.data_parallel(4));
  PaintRequest request;
  request.by = NodeColour::kTime;
  request.figures = &figures;
  const GraphPaint open = graph_paint(f.graph, f.scene, request);
  std::vector<Shown> closed(f.tree.folds.size(), Shown::kClosed);
  closed[0] = Shown::kEach;
  const GraphScene small = scene_of(f.graph, f.tree, closed);
  const GraphPaint folded = graph_paint(f.graph, small, request);
  core::Nanoseconds all_open, all_folded;
  for (const NodePaint& n : open.nodes) all_open += n.time;
  for (const NodePaint& n : folded.nodes) all_folded += n.time;
  EXPECT_EQ(all_open, all_folded);
  EXPECT_LT(small.nodes.size(), f.scene.nodes.size());
}

TEST(GraphPaint, DeviceSetsHaveColoursAndAFoldOfSeveralHasAllOfThem) {
  const Figured f;
  core::Strategy strategy = f.data_parallel(2);
  const auto b = f.graph.find_op("layer1_b")->value;
  strategy.ops[b].devices = {core::DeviceId(2), core::DeviceId(3)};
  const GraphFigures figures = f.figures(strategy);
  PaintRequest request;
  request.figures = &figures;
  const GraphPaint paint = graph_paint(f.graph, f.scene, request);
  ASSERT_EQ(paint.legend.size(), 2u);
  EXPECT_EQ(paint.legend[0].text, "devices 0-1");
  EXPECT_EQ(paint.legend[1].text, "devices 2-3");
  EXPECT_EQ(paint.nodes[node(f.scene, "layer1_b")].inks, (std::vector{ink_of_index(1)}));
  EXPECT_EQ(paint.nodes[node(f.scene, "head")].inks, (std::vector{ink_of_index(0)}));
  EXPECT_EQ(paint.nodes[node(f.scene, "head")].split, "n=2");
  std::vector<Shown> closed(f.tree.folds.size(), Shown::kClosed);
  closed[0] = Shown::kEach;
  const GraphScene small = scene_of(f.graph, f.tree, closed);
  const GraphPaint folded = graph_paint(f.graph, small, request);
  const NodePaint& fold = folded.nodes[small.node_of_op[b]];
  EXPECT_EQ(fold.inks, (std::vector{ink_of_index(0), ink_of_index(1)}));
  EXPECT_EQ(fold.devices, "2 sets of devices");
  // Two devices send to the other two, which have other halves of nothing: 8 × 16 floats each way.
  for (const std::uint32_t e : f.scene.in[node(f.scene, "layer1_b")]) {
    EXPECT_EQ(paint.edges[e].values.all(), core::Bytes(8 * 16 * 4));
    EXPECT_EQ(paint.edges[e].gradients.all(), core::Bytes(8 * 16 * 4));
    EXPECT_GE(paint.edges[e].forward, 1.5);
    EXPECT_LE(paint.edges[e].forward, 8);
    EXPECT_EQ(edge_label(paint.edges[e]).size(), 2u);
  }
}

TEST(GraphPaint, DegreesAreAsFarApartAsTheyDouble) {
  const Figured f;
  core::Strategy strategy = f.data_parallel(8);
  const auto b = f.graph.find_op("layer1_b")->value;
  strategy.ops[b] = f.data_parallel(2).ops[b];
  const auto head = f.graph.find_op("head")->value;
  strategy.ops[head] = f.data_parallel(1).ops[head];
  const GraphFigures figures = f.figures(strategy);
  PaintRequest request;
  request.by = NodeColour::kDegree;
  request.figures = &figures;
  const GraphPaint paint = graph_paint(f.graph, f.scene, request);
  EXPECT_DOUBLE_EQ(paint.nodes[node(f.scene, "layer1_a")].share, 1);
  EXPECT_DOUBLE_EQ(paint.nodes[node(f.scene, "layer1_b")].share, 1.0 / 3);
  EXPECT_DOUBLE_EQ(paint.nodes[node(f.scene, "head")].share, 0);
  EXPECT_EQ(paint.nodes[node(f.scene, "layer1_b")].amount, "2");
}

TEST(GraphPaint, ChangeIsTheDifferenceOfTimesAgainstTheBaseline) {
  const Figured f;
  const GraphFigures four = f.figures(f.data_parallel(4)), one = f.figures(f.data_parallel(1));
  PaintRequest request;
  request.by = NodeColour::kChange;
  request.figures = &four;
  request.baseline = &one;
  const GraphPaint paint = graph_paint(f.graph, f.scene, request);
  double largest = 0;
  for (std::size_t n = 0; n < f.scene.nodes.size(); ++n) {
    if (f.scene.nodes[n].ops.empty()) continue;
    const std::uint32_t op = f.scene.nodes[n].ops.front();
    const auto difference = (four.ops[op].longest - one.ops[op].longest).value;
    EXPECT_EQ(paint.nodes[n].share < 0, difference < 0);
    EXPECT_EQ(paint.nodes[n].share > 0, difference > 0);
    largest = std::max(largest, std::abs(paint.nodes[n].share));
  }
  EXPECT_DOUBLE_EQ(largest, 1);
  // Against itself nothing changes.
  request.baseline = &four;
  for (const NodePaint& n : graph_paint(f.graph, f.scene, request).nodes) EXPECT_EQ(n.share, 0);
}

TEST(GraphPaint, EdgesAreAsWideAsTheRootOfWhatMoves) {
  EXPECT_DOUBLE_EQ(edge_width(0, 100), 0);
  EXPECT_DOUBLE_EQ(edge_width(100, 100), 8);
  EXPECT_DOUBLE_EQ(edge_width(25, 100), 1.5 + 6.5 / 2);
}

TEST(GraphPaint, WhatDevicesWaitForLongestIsTheThickest) {
  const Figured f;
  core::Strategy strategy = f.data_parallel(2);
  const auto b = f.graph.find_op("layer1_b")->value;
  strategy.ops[b].devices = {core::DeviceId(2), core::DeviceId(3)};
  const GraphFigures figures = f.figures(strategy);
  ASSERT_TRUE(figures.exposure_known);
  PaintRequest request;
  request.figures = &figures;
  const GraphPaint paint = graph_paint(f.graph, f.scene, request);
  core::Nanoseconds longest;
  for (const EdgePaint& e : paint.edges)
    longest = std::max({longest, e.values_exposed, e.gradients_exposed});
  ASSERT_GT(longest.value, 0);
  for (const EdgePaint& e : paint.edges) {
    EXPECT_EQ(e.forward > 0, e.values.all().value > 0);
    EXPECT_EQ(e.backward > 0, e.gradients.all().value > 0);
    if (e.forward == 0) continue;
    EXPECT_DOUBLE_EQ(e.forward, 1.5 + 6.5 * std::sqrt(static_cast<double>(e.values_exposed.value) /
                                                      static_cast<double>(longest.value)));
  }
}

TEST(GraphPaint, FilesShowWhatTheScreenShows) {
  const Figured f;
  const GraphFigures figures = f.figures(f.data_parallel(4));
  PaintRequest request;
  request.by = NodeColour::kMemory;
  request.dark = false;
  request.figures = &figures;
  std::vector<Shown> open(f.tree.folds.size(), Shown::kClosed);
  open[0] = Shown::kEach;
  open[id(f.tree, "layer0…2")] = Shown::kOnce;
  const GraphScene scene = scene_of(f.graph, f.tree, open);
  const GraphPaint paint = graph_paint(f.graph, scene, request);
  const reports::Picture picture = picture_of("layers", scene, paint);
  EXPECT_EQ(picture.nodes.size(), scene.nodes.size());
  EXPECT_EQ(picture.edges.size(), scene.edges.size());
  ASSERT_EQ(picture.blocks.size(), 1u);
  EXPECT_EQ(picture.blocks[0].count, 3u);
  EXPECT_EQ(picture.blocks[0].length, 3u);
  EXPECT_EQ(picture.nodes[picture.blocks[0].first].name, "layer0…2_a");
  EXPECT_EQ(colouring_of(paint).nodes.size(), scene.nodes.size());
}

}  // namespace
}  // namespace soapstone::explorer
