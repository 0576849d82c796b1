// Which boxes and edges of a graph are shown, and where: a picture of an open fold tree.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "explorer_gui/model/graph_folds.hpp"
#include "reports/graph_layout.hpp"

namespace soapstone::explorer {

using reports::Point;

// In points of the picture, y downwards.
struct Rect {
  Point low, high;

  double width() const { return high.x - low.x; }
  double height() const { return high.y - low.y; }
  Point centre() const { return {(low.x + high.x) / 2, (low.y + high.y) / 2}; }
  bool contains(Point p) const {
    return p.x >= low.x && p.x <= high.x && p.y >= low.y && p.y <= high.y;
  }
  bool meets(const Rect& b) const {
    return low.x <= b.high.x && b.low.x <= high.x && low.y <= b.high.y && b.low.y <= high.y;
  }
  void include(Point p);
  friend bool operator==(const Rect&, const Rect&) = default;
};

// An operator, a source or a closed fold; in a repeat that is shown once, those of all its blocks.
struct GraphNode {
  std::string name;   // "fc1", "layer0…11_fc1", "layer0…11"
  std::string label;  // without what its frame is called already: "fc1" in layer0…11
  std::string kind;   // "linear", "12 × 14 operators"; empty: sources
  std::string shape;  // of the first output; empty for folds
  std::uint32_t fold = 0;
  std::uint32_t frame = 0;         // in which it lies
  std::vector<std::uint32_t> ops;  // ascending; empty: sources
  std::uint32_t times = 1;         // blocks that it stands for
  bool opens = false;
  Rect box;
};

// An open fold around its content. frames[0] is the whole picture.
struct GraphFrame {
  std::string name, label;  // as of a node
  std::uint32_t fold = 0;
  std::uint32_t parent = kNoFold;  // frame
  std::uint32_t depth = 0;
  Shown shown = Shown::kEach;
  std::uint32_t count = 1;  // blocks of a repeat
  std::uint32_t ops = 0;    // operators inside, of all blocks
  Rect box;
};

// All tensors that go from one node to another.
struct GraphEdge {
  std::uint32_t from = 0, to = 0;  // nodes
  bool to_next_block = false;      // of a repeat that is shown once: drawn back up
  std::vector<std::pair<std::uint32_t, std::uint32_t>> uses;  // tensor and the operator that reads
  std::vector<Point> curve;                                   // cubic Bézier curves: 3n + 1 points
  Rect box;
};

struct GraphScene {
  std::vector<GraphNode> nodes;  // in the graph's order, sources first
  std::vector<GraphFrame> frames;
  std::vector<GraphEdge> edges;
  std::vector<std::uint32_t> node_of_op;            // that shows it
  std::vector<std::vector<std::uint32_t>> out, in;  // per node: edges
  Rect box;
};

// Layouts that were made before, by what they were made of: opening a block lays out that block,
// and equal blocks share one. Used by several threads.
class LayoutCache {
 public:
  core::Result<std::shared_ptr<const reports::GraphLayout>> layout(
      const reports::LayoutInput& input);
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<
      std::uint64_t,
      std::vector<std::pair<reports::LayoutInput, std::shared_ptr<const reports::GraphLayout>>>>
      known_;
};

inline constexpr double kNodeWidth = 172, kNodeHeight = 56, kSourceHeight = 32;

// Nodes do not overlap, lie inside their frames, and edges run downwards but for those to the next
// block.
core::Result<GraphScene> graph_scene(const core::Graph& graph, const FoldTree& tree,
                                     const std::vector<Shown>& open, LayoutCache& cache);

}  // namespace soapstone::explorer
