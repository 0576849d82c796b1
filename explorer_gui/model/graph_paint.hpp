// What a strategy means for the boxes and edges of a graph: colours, texts, thickness.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/graph_scene.hpp"
#include "explorer_gui/model/palette.hpp"
#include "reports/movements.hpp"
#include "reports/op_table.hpp"
#include "reports/picture.hpp"

namespace soapstone::explorer {

// What the colour of a node says.
enum class NodeColour : std::uint8_t { kDevices, kTime, kMemory, kCommunication, kDegree, kChange };
SOAPSTONE_ENUM_NAMES(NodeColour, {NodeColour::kDevices, "devices"}, {NodeColour::kTime, "time"},
                     {NodeColour::kMemory, "memory"}, {NodeColour::kCommunication, "communication"},
                     {NodeColour::kDegree, "degree"}, {NodeColour::kChange, "change"})

// Of every operator under one strategy.
struct GraphFigures {
  std::vector<reports::OpRow> ops;
  reports::Movements moves;
  std::vector<std::uint32_t> set_of_op;  // of devices
  std::vector<std::string> sets;         // "0-3", in the order in which operators meet them
  std::vector<std::int32_t> degrees;     // parts and replicas
  core::Nanoseconds step_time;
  bool exposure_known = false;
};
// Idle time that transfers are the cause of is left out of very long traces.
GraphFigures graph_figures(const core::Graph& graph, const core::Strategy& strategy,
                           const core::Plan& plan, const core::Trace& trace);

struct NodePaint {
  std::vector<Ink> inks;   // one; several device sets: beside each other, four at most
  std::string amount;      // what the colour says, "1.2 ms"; empty: by devices
  std::string split;       // "n=4 · o=2", "mixed"; empty: whole
  std::string devices;     // "0-3", "12 sets"
  core::Nanoseconds time;  // of all its operators, each on the device where it takes longest
  core::Bytes memory;      // of all, each where it takes most
  core::Bytes moved;
  reports::Moves inside, weights;
  core::Nanoseconds exposed;  // by both
  std::int32_t degree_low = 0, degree_high = 0;
  std::size_t pinned = 0;  // operators
  double share = 0;        // of the colour's scale: 0 to 1; change: -1 to 1
};

struct EdgePaint {
  reports::Moves values, gradients;  // along it
  core::Nanoseconds values_exposed, gradients_exposed;
  double forward = 0, backward = 0;  // thickness in points; 0: nothing moves that way
};

struct PaintLegend {
  std::string text;
  Ink ink;
  friend bool operator==(const PaintLegend&, const PaintLegend&) = default;
};

struct GraphPaint {
  NodeColour by = NodeColour::kDevices;
  std::vector<NodePaint> nodes;
  std::vector<EdgePaint> edges;
  std::vector<PaintLegend> legend;
};

// `figures` null: nothing is known yet, everything is grey. `baseline`: what kChange compares with;
// null: nothing has changed.
struct PaintRequest {
  NodeColour by = NodeColour::kDevices;
  bool dark = true;
  const GraphFigures* figures = nullptr;
  const GraphFigures* baseline = nullptr;
  // The greatest amount of the scale and the sets that have colours: shared by two pictures that
  // are compared. Null: those of `figures`.
  const GraphFigures* beside = nullptr;
  const std::set<std::string>* pinned = nullptr;
};
GraphPaint graph_paint(const core::Graph& graph, const GraphScene& scene,
                       const PaintRequest& request);

// Points: 1.5 for the least, 8 for the most, by the square root between; 0 for nothing. What counts
// is the idle time that transfers cause, or, where that is not known, their bytes; what moves
// without anybody waiting for it is as thin as can be.
double edge_width(double amount, double most);

// What an edge is labelled with: "values: all-reduce 12 MiB", a line per way and pattern.
std::vector<std::string> edge_label(const EdgePaint& edge);
// Everything about a node or an edge, one fact per line.
std::string node_tip(const GraphScene& scene, std::uint32_t node, const GraphPaint& paint,
                     core::Nanoseconds step_time);
std::string edge_tip(const core::Graph& graph, const GraphScene& scene, std::uint32_t edge,
                     const GraphPaint& paint);

// What is shown, for files: nodes and edges as in the scene, in the colours of the paint. Blocks
// are the innermost repeats that are shown once.
reports::Picture picture_of(const std::string& title, const GraphScene& scene,
                            const GraphPaint& paint);
reports::Colouring colouring_of(const GraphPaint& paint);

}  // namespace soapstone::explorer
