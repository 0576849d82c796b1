#include "reports/graph_layout.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "reports/svg.hpp"

namespace soapstone::reports {
namespace {

// Edges lead from lower to higher numbers; about two from each node.
LayoutInput random_graph(std::uint32_t nodes, std::uint64_t seed) {
  LayoutInput input;
  std::uint64_t state = seed;
  const auto below = [&](std::uint64_t n) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>((state >> 33) % n);
  };
  for (std::uint32_t v = 0; v < nodes; ++v) {
    input.nodes.push_back({20.0 + below(150), 20.0 + below(60)});
    for (int k = 0; k < 2 && v > 0; ++k) {
      const LayoutEdge e{v - 1 - below(std::min(v, 9U)), v};
      if (input.edges.empty() || input.edges.back() != e) input.edges.push_back(e);
    }
  }
  return input;
}

// How far a point is from the border of a box.
double from_border(Point p, Point centre, Point half) {
  const double x = std::abs(p.x - centre.x) - half.x, y = std::abs(p.y - centre.y) - half.y;
  return x <= 0 && y <= 0 ? std::min(-x, -y) : std::hypot(std::max(0.0, x), std::max(0.0, y));
}

void expect_sound(const LayoutInput& input, const GraphLayout& layout) {
  constexpr double kRounding = 0.6;  // Graphviz counts in whole points
  ASSERT_EQ(layout.nodes.size(), input.nodes.size());
  ASSERT_EQ(layout.edges.size(), input.edges.size());
  const auto half = [&](std::size_t v) {
    return Point{input.nodes[v].width / 2, input.nodes[v].height / 2};
  };
  for (std::size_t a = 0; a < layout.nodes.size(); ++a) {
    EXPECT_GE(layout.nodes[a].x - half(a).x, -kRounding);
    EXPECT_GE(layout.nodes[a].y - half(a).y, -kRounding);
    EXPECT_LE(layout.nodes[a].x + half(a).x, layout.width + kRounding);
    EXPECT_LE(layout.nodes[a].y + half(a).y, layout.height + kRounding);
    for (std::size_t b = a + 1; b < layout.nodes.size(); ++b) {
      const double x = half(a).x + half(b).x - std::abs(layout.nodes[a].x - layout.nodes[b].x);
      const double y = half(a).y + half(b).y - std::abs(layout.nodes[a].y - layout.nodes[b].y);
      EXPECT_FALSE(x > kRounding && y > kRounding) << a << " lies on " << b;
    }
  }
  for (std::size_t e = 0; e < layout.edges.size(); ++e) {
    const auto [from, to] = input.edges[e];
    const auto& curve = layout.edges[e];
    ASSERT_EQ(curve.size() % 3, 1u);
    ASSERT_GE(curve.size(), 4u);
    EXPECT_LE(layout.nodes[from].y + half(from).y, layout.nodes[to].y - half(to).y + kRounding);
    EXPECT_LE(from_border(curve.front(), layout.nodes[from], half(from)), 2);
    EXPECT_LE(from_border(curve.back(), layout.nodes[to], half(to)), 2);
  }
}

TEST(GraphLayout, NodesLieApartAndEdgesRunDown) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const LayoutInput input = random_graph(static_cast<std::uint32_t>(3 * seed), seed);
    for (const auto layout : {graph_layout, layered_layout}) {
      const auto made = layout(input);
      ASSERT_TRUE(made) << made.error().message;
      expect_sound(input, *made);
      EXPECT_EQ(layout(input).value(), *made);
    }
  }
}

TEST(GraphLayout, AChainIsAStraightColumn) {
  LayoutInput input;
  input.nodes = {{100, 20}, {60, 20}, {80, 20}};
  input.edges = {{0, 1}, {1, 2}};
  input.layer_gap = 30;
  for (const auto layout : {graph_layout, layered_layout}) {
    const GraphLayout made = layout(input).value();
    EXPECT_NEAR(made.width, 100, 1);
    EXPECT_NEAR(made.height, 3 * 20 + 2 * 30, 2);
    for (const Point& p : made.nodes) EXPECT_NEAR(p.x, 50, 1);
    EXPECT_NEAR(made.nodes[2].y - made.nodes[0].y, 100, 2);
  }
}

TEST(GraphLayout, PortsStandBeforeAndBehindAllOthers) {
  LayoutInput input;
  input.nodes = {{50, 20}, {50, 20}, {50, 20}, {2, 2, Layer::kFirst}, {2, 2, Layer::kLast}};
  // The port of the last node alone is first all the same; so is that behind the first alone last.
  input.edges = {{0, 1}, {1, 2}, {3, 2}, {0, 4}};
  for (const auto layout : {graph_layout, layered_layout}) {
    const GraphLayout made = layout(input).value();
    for (std::size_t v = 0; v < 3; ++v) {
      EXPECT_LT(made.nodes[3].y, made.nodes[v].y);
      EXPECT_GT(made.nodes[4].y, made.nodes[v].y);
    }
  }
}

TEST(GraphLayout, ACycleAndAnUnknownNodeAreRefused) {
  LayoutInput input;
  input.nodes = {{10, 10}, {10, 10}};
  input.edges = {{0, 1}, {1, 0}};
  for (const auto layout : {graph_layout, layered_layout}) {
    const auto made = layout(input);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message, "the edges form a cycle");
  }
  input.edges = {{0, 2}};
  const auto made = graph_layout(input);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "an edge from node 0 to node 2; accepted: below 2");
}

TEST(GraphLayout, NothingIsAnEmptyPicture) {
  for (const auto layout : {graph_layout, layered_layout}) {
    const GraphLayout made = layout({}).value();
    EXPECT_EQ(made.width, 0);
    EXPECT_EQ(made.height, 0);
  }
}

TEST(GraphLayout, APictureBecomesAPdfFileOrSaysWhyNot) {
  const auto made = pdf("digraph { a -> b }");
  if (made)
    EXPECT_TRUE(made->starts_with("%PDF-"));
  else
    EXPECT_NE(made.error().message.find("Graphviz"), std::string::npos) << made.error().message;
}

}  // namespace
}  // namespace soapstone::reports
