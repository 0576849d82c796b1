// Where nodes and edges of a directed graph are drawn: in layers from top to bottom, by Graphviz's
// library where this was built with it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/result.hpp"

namespace soapstone::reports {

// In points; x to the right, y downwards.
struct Point {
  double x = 0, y = 0;

  friend bool operator==(const Point&, const Point&) = default;
};

// Where a node stands if it matters: before or behind all others.
enum class Layer : std::uint8_t { kAny, kFirst, kLast };

struct LayoutNode {
  double width = 0, height = 0;
  Layer layer = Layer::kAny;

  friend bool operator==(const LayoutNode&, const LayoutNode&) = default;
};

struct LayoutEdge {
  std::uint32_t from = 0, to = 0;  // nodes

  friend bool operator==(const LayoutEdge&, const LayoutEdge&) = default;
};

struct LayoutInput {
  std::vector<LayoutNode> nodes;
  std::vector<LayoutEdge> edges;  // without cycles
  double node_gap = 18;           // between neighbours of a layer, at least
  double layer_gap = 28;          // between layers, at least

  friend bool operator==(const LayoutInput&, const LayoutInput&) = default;
};

struct GraphLayout {
  double width = 0, height = 0;
  std::vector<Point> nodes;               // their centres
  std::vector<std::vector<Point>> edges;  // cubic Bézier curves: 3n + 1 points from `from` to `to`

  friend bool operator==(const GraphLayout&, const GraphLayout&) = default;
};

// By Graphviz; by layered_layout without it, and for graphs of more nodes than Graphviz lays out
// while a person waits. Equal inputs, equal layouts. Refuses an edge that names no node and a
// cycle.
core::Result<GraphLayout> graph_layout(const LayoutInput& input);

// Our own: layers by the longest path from the top, order by barycentres (Sugiyama et al. 1981,
// doi 10.1109/TSMC.1981.4308636), places by the least squared distance to the neighbours.
core::Result<GraphLayout> layered_layout(const LayoutInput& input);

}  // namespace soapstone::reports
