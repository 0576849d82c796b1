// The graph view without its window: what is open, in which colours, what the camera sees.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "explorer_gui/model/graph_paint.hpp"
#include "explorer_gui/model/graph_scene.hpp"
#include "explorer_gui/model/session.hpp"

namespace soapstone::explorer {

// Pixels of a canvas and points of a picture. `at` is the picture's point in the middle.
struct Camera {
  double zoom = 1;  // pixels per point
  Point at;
  double width = 1, height = 1;  // pixels

  Point to_screen(Point p) const {
    return {(p.x - at.x) * zoom + width / 2, (p.y - at.y) * zoom + height / 2};
  }
  Point to_picture(Point p) const {
    return {(p.x - width / 2) / zoom + at.x, (p.y - height / 2) / zoom + at.y};
  }
  Rect seen() const { return {to_picture({0, 0}), to_picture({width, height})}; }
  // The point under the pixel stays there.
  void zoom_at(Point pixel, double factor, double scale = 1);
  void pan(double dx, double dy) { at = {at.x - dx / zoom, at.y - dy / zoom}; }
  // All of the box, at most twice as large as it is; `scale`: pixels per point of the screen.
  void fit(const Rect& box, double scale = 1);

  friend bool operator==(const Camera&, const Camera&) = default;
};

// How much of a node is drawn, by its height in points of the screen.
enum class Detail : std::uint8_t { kBox, kName, kFull };
Detail detail_at(double height);

// The topmost node, frame or edge at a point of the picture; none: kNoFold.
std::uint32_t node_at(const GraphScene& scene, Point p);
// The innermost frame but the whole.
std::uint32_t frame_at(const GraphScene& scene, Point p);
// The nearest edge not further than `reach` points.
std::uint32_t edge_at(const GraphScene& scene, Point p, double reach);
// Nodes that the box meets.
std::vector<std::uint32_t> nodes_in(const GraphScene& scene, const Rect& box);

enum class Way : std::uint8_t { kUp, kDown, kLeft, kRight };
// The neighbour that the arrow key goes to: up and down along edges, to the one that lies nearest;
// left and right to the next node of about the same height. Itself where there is none.
std::uint32_t neighbour(const GraphScene& scene, std::uint32_t node, Way way);

// Operators whose name or kind has the text in it, without case, in the graph's order.
std::vector<std::uint32_t> find_ops(const core::Graph& graph, const std::string& text);

class GraphView {
 public:
  explicit GraphView(Session& session);
  ~GraphView();

  // Once per frame: starts what is to be computed anew. Nothing here takes long.
  void update(bool dark);

  // Null before anything is laid out. The old scene stays until the new one is there; the paint is
  // of this scene.
  std::shared_ptr<const GraphScene> scene() const;
  std::shared_ptr<const GraphPaint> paint() const;
  std::shared_ptr<const GraphPaint> baseline_paint() const;  // null: nothing to compare with
  std::shared_ptr<const GraphFigures> figures() const;
  const core::Graph* graph() const;  // of the scene
  const std::string& error() const;  // of the layout
  bool working() const;

  // --- folds ------------------------------------------------------------------------------------
  void open(std::uint32_t fold);
  void close(std::uint32_t fold);
  // A repeat: its first block for all of them, or each block.
  void show_each(std::uint32_t fold, bool each);
  void open_all();
  void close_all();
  void first_sight();
  // So that the operator's node is there.
  void reveal(std::uint32_t op);
  // What an open frame or a closed node's fold is called, by its fold.
  const FoldTree* tree() const;

  // --- looks ------------------------------------------------------------------------------------
  NodeColour colour = NodeColour::kDevices;
  bool side_by_side = false;
  Camera camera;
  bool fit_asked = false;                     // in the next frame that has a scene
  std::optional<std::uint32_t> centre_asked;  // operator

  // --- search -----------------------------------------------------------------------------------
  // Goes to the next match behind the last one; a new text begins anew. Selects it and asks for the
  // centre. False: there is none.
  bool find(const std::string& text, bool backwards = false);
  std::size_t matches() const { return matches_.size(); }
  std::size_t match() const { return match_; }  // from 0

  // --- selection --------------------------------------------------------------------------------
  // The operators of the nodes; `add`: with those that are selected already, or, if all of them
  // are, without them.
  void select(const std::vector<std::uint32_t>& nodes, bool add);
  bool selected(const GraphNode& node) const;
  void move(Way way);

  // --- files ------------------------------------------------------------------------------------
  // Writes what is shown as dot, svg or pdf in a job, light whatever the theme, and says so.
  void save(const std::string& file, const std::string& format);

 private:
  struct State;
  void stage();  // starts the job for the scene

  Session& session_;
  std::shared_ptr<State> state_;
  std::string searched_;
  std::vector<std::uint32_t> matches_;
  std::size_t match_ = 0;
};

}  // namespace soapstone::explorer
