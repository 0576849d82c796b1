#include "explorer_gui/model/graph_view.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/core.h>

#include "core/file.hpp"
#include "explorer_gui/model/exports.hpp"
#include "reports/dot.hpp"
#include "reports/svg.hpp"

namespace soapstone::explorer {

using namespace core;

namespace {

constexpr double kLeastZoom = 0.002, kMostZoom = 4;
constexpr double kMostFit = 1.25;  // a picture of few nodes is not blown up
constexpr double kMargin = 16;     // points around what is fitted

Point on_curve(const Point* p, double t) {
  const double s = 1 - t;
  const double a = s * s * s, b = 3 * s * s * t, c = 3 * s * t * t, d = t * t * t;
  return {a * p[0].x + b * p[1].x + c * p[2].x + d * p[3].x,
          a * p[0].y + b * p[1].y + c * p[2].y + d * p[3].y};
}

double distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double length = dx * dx + dy * dy;
  const double t =
      length == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0.0, 1.0);
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool has(std::string_view name, std::string_view text) {
  return std::search(name.begin(), name.end(), text.begin(), text.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != name.end();
}

}  // namespace

// --- camera --------------------------------------------------------------------------------------

void Camera::zoom_at(Point pixel, double factor, double scale) {
  const Point fixed = to_picture(pixel);
  zoom = std::clamp(zoom * factor, kLeastZoom * scale, kMostZoom * scale);
  const Point moved = to_picture(pixel);
  at = {at.x + fixed.x - moved.x, at.y + fixed.y - moved.y};
}

void Camera::fit(const Rect& box, double scale) {
  const double margin = 2 * kMargin * scale;
  const double wide = std::max(1.0, width - margin) / std::max(1.0, box.width());
  const double high = std::max(1.0, height - margin) / std::max(1.0, box.height());
  zoom = std::clamp(std::min(wide, high), kLeastZoom * scale, kMostFit * scale);
  at = box.centre();
}

Detail detail_at(double height) {
  return height < 11 ? Detail::kBox : height < 42 ? Detail::kName : Detail::kFull;
}

// --- what is where -------------------------------------------------------------------------------

std::uint32_t node_at(const GraphScene& scene, Point p) {
  for (std::uint32_t n = 0; n < scene.nodes.size(); ++n)
    if (scene.nodes[n].box.contains(p)) return n;
  return kNoFold;
}

std::uint32_t frame_at(const GraphScene& scene, Point p) {
  std::uint32_t best = kNoFold;
  for (std::uint32_t f = 1; f < scene.frames.size(); ++f)
    if (scene.frames[f].box.contains(p) &&
        (best == kNoFold || scene.frames[f].depth > scene.frames[best].depth))
      best = f;
  return best;
}

std::uint32_t edge_at(const GraphScene& scene, Point p, double reach) {
  constexpr int kPieces = 12;
  std::uint32_t best = kNoFold;
  double nearest = reach;
  for (std::uint32_t e = 0; e < scene.edges.size(); ++e) {
    const GraphEdge& edge = scene.edges[e];
    const Rect wide{{edge.box.low.x - reach, edge.box.low.y - reach},
                    {edge.box.high.x + reach, edge.box.high.y + reach}};
    if (!wide.contains(p)) continue;
    for (std::size_t i = 0; i + 3 < edge.curve.size(); i += 3) {
      Point a = edge.curve[i];
      for (int k = 1; k <= kPieces; ++k) {
        const Point b = on_curve(&edge.curve[i], static_cast<double>(k) / kPieces);
        if (const double d = distance(p, a, b); d <= nearest) {
          nearest = d;
          best = e;
        }
        a = b;
      }
    }
  }
  return best;
}

std::vector<std::uint32_t> nodes_in(const GraphScene& scene, const Rect& box) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t n = 0; n < scene.nodes.size(); ++n)
    if (scene.nodes[n].box.meets(box)) out.push_back(n);
  return out;
}

std::uint32_t neighbour(const GraphScene& scene, std::uint32_t node, Way way) {
  const Rect& here = scene.nodes[node].box;
  std::uint32_t best = node;
  double least = std::numeric_limits<double>::max();
  const auto consider = [&](std::uint32_t other, double cost) {
    if (other == node || cost >= least) return;
    least = cost;
    best = other;
  };
  if (way == Way::kUp || way == Way::kDown) {
    for (const std::uint32_t e : way == Way::kUp ? scene.in[node] : scene.out[node]) {
      if (scene.edges[e].to_next_block) continue;
      const std::uint32_t other = way == Way::kUp ? scene.edges[e].from : scene.edges[e].to;
      const Point c = scene.nodes[other].box.centre();
      consider(other, std::hypot(c.x - here.centre().x, c.y - here.centre().y));
    }
    return best;
  }
  for (std::uint32_t n = 0; n < scene.nodes.size(); ++n) {
    const Rect& box = scene.nodes[n].box;
    const double dx = (box.centre().x - here.centre().x) * (way == Way::kLeft ? -1 : 1);
    if (dx <= 0 || box.low.y >= here.high.y || box.high.y <= here.low.y) continue;
    consider(n, dx);
  }
  return best;
}

std::vector<std::uint32_t> find_ops(const Graph& graph, const std::string& text) {
  std::vector<std::uint32_t> out;
  if (text.empty()) return out;
  for (std::uint32_t op = 0; op < graph.ops().size(); ++op)
    if (has(graph.ops()[op].name, text) || has(graph.ops()[op].op.name(), text)) out.push_back(op);
  return out;
}

// --- the view ------------------------------------------------------------------------------------

namespace {

// What a paint was made of.
struct PaintKey {
  std::shared_ptr<const GraphScene> scene;
  std::shared_ptr<const GraphFigures> figures, baseline;
  NodeColour colour = NodeColour::kDevices;
  bool dark = true, side_by_side = false;
  std::set<std::string> pinned;
  friend bool operator==(const PaintKey&, const PaintKey&) = default;
};

// Of one of the two strategies.
struct Side {
  std::shared_ptr<const Evaluation> wanted;  // figures are of this one, or being made
  std::shared_ptr<const GraphFigures> figures;
};

}  // namespace

struct GraphView::State {
  std::shared_ptr<const Graph> graph;  // that is wanted
  std::shared_ptr<const Graph> graph_of_scene;
  std::shared_ptr<const FoldTree> tree;  // of `graph`; null: in the making
  std::vector<Shown> open;
  std::shared_ptr<LayoutCache> cache = std::make_shared<LayoutCache>();
  std::shared_ptr<const GraphScene> scene;
  std::string error;
  bool scene_wanted = false;
  int scenes_asked = 0, scenes_made = 0;
  Side shown, compared;
  PaintKey wanted;
  // Of `scene_of_paint`, which is drawn together with it.
  std::shared_ptr<const GraphScene> scene_of_paint;
  std::shared_ptr<const GraphPaint> paint, baseline_paint;
};

GraphView::GraphView(Session& session) : session_(session), state_(std::make_shared<State>()) {}
GraphView::~GraphView() = default;

std::shared_ptr<const GraphScene> GraphView::scene() const { return state_->scene_of_paint; }
std::shared_ptr<const GraphPaint> GraphView::paint() const { return state_->paint; }
std::shared_ptr<const GraphPaint> GraphView::baseline_paint() const {
  return state_->baseline_paint;
}
std::shared_ptr<const GraphFigures> GraphView::figures() const { return state_->shown.figures; }
const Graph* GraphView::graph() const { return state_->graph_of_scene.get(); }
const std::string& GraphView::error() const { return state_->error; }
const FoldTree* GraphView::tree() const { return state_->tree.get(); }
bool GraphView::working() const {
  return state_->scenes_asked != state_->scenes_made || (state_->graph && !state_->tree) ||
         state_->wanted.scene != state_->scene_of_paint;
}

void GraphView::update(bool dark) {
  State& s = *state_;
  Jobs& jobs = session_.jobs();
  const Design& design = session_.design();
  const std::weak_ptr<State> weak = state_;

  if (s.graph != design.graph) {
    const bool same = s.graph && design.graph && *s.graph == *design.graph;
    s.graph = design.graph;
    if (!same) {
      s.tree = nullptr;
      s.scene = nullptr;
      s.error.clear();
      s.shown = s.compared = {};
      searched_.clear();
      matches_.clear();
      if (!s.graph) s = State{};
    }
    if (s.graph && !s.tree)
      jobs.start(
          "graph: folding",
          [weak, graph = s.graph](JobContext&) -> Jobs::Finish {
            auto tree = std::make_shared<const FoldTree>(fold_tree(*graph));
            auto open = explorer::first_sight(*tree);
            return [weak, graph, tree, open] {
              const auto state = weak.lock();
              if (!state || state->graph != graph) return;
              state->tree = tree;
              state->open = open;
              state->scene_wanted = true;
            };
          },
          "graph.tree");
  }
  if (s.tree && std::exchange(s.scene_wanted, false)) stage();

  // Figures of the strategies that are shown and compared.
  const auto figures = [&](Side& side, std::shared_ptr<const Evaluation> now,
                           const NamedStrategy* named, Side State::*member, const char* key) {
    if (!now || !named || !s.graph || now == side.wanted) return;
    side.wanted = now;
    jobs.start(
        "graph: figures",
        [weak, graph = s.graph, now, strategy = named->strategy,
         member](JobContext&) -> Jobs::Finish {
          auto made = std::make_shared<const GraphFigures>(
              graph_figures(*graph, *strategy, now->plan, now->trace));
          return [weak, graph, now, made, member] {
            const auto state = weak.lock();
            if (state && state->graph == graph && ((*state).*member).wanted == now)
              ((*state).*member).figures = made;
          };
        },
        key);
  };
  if (design.complete()) {
    figures(s.shown, session_.shown(), design.shown(), &State::shown, "graph.figures");
    if (design.compared())
      figures(s.compared, session_.compared(), design.compared(), &State::compared,
              "graph.baseline");
    else
      s.compared = {};
  }

  // Colours.
  PaintKey key{s.scene, s.shown.figures, s.compared.figures, colour,
               dark,    side_by_side,    design.pinned};
  if (s.scene && !(key == s.wanted)) {
    s.wanted = key;
    jobs.start(
        "graph: colours",
        [weak, key, graph = s.graph](JobContext&) -> Jobs::Finish {
          PaintRequest request;
          request.by = key.colour;
          request.dark = key.dark;
          request.figures = key.figures.get();
          request.baseline = key.baseline.get();
          request.pinned = &key.pinned;
          const bool beside = key.side_by_side && key.baseline;
          if (beside) request.beside = key.baseline.get();
          auto paint = std::make_shared<const GraphPaint>(graph_paint(*graph, *key.scene, request));
          std::shared_ptr<const GraphPaint> other;
          if (beside) {
            request.figures = key.baseline.get();
            request.beside = key.figures.get();
            other = std::make_shared<const GraphPaint>(graph_paint(*graph, *key.scene, request));
          }
          return [weak, key, graph, paint, other] {
            const auto state = weak.lock();
            if (!state || !(state->wanted == key)) return;
            state->paint = paint;
            state->baseline_paint = other;
            state->scene_of_paint = key.scene;
            state->graph_of_scene = graph;
          };
        },
        "graph.paint");
  }
}

void GraphView::stage() {
  State& s = *state_;
  if (!s.tree || !s.graph) return;
  const int number = ++s.scenes_asked;
  if (!s.scene) fit_asked = true;
  session_.jobs().start(
      "graph: layout",
      [weak = std::weak_ptr<State>(state_), graph = s.graph, tree = s.tree, open = s.open,
       cache = s.cache, number](JobContext&) -> Jobs::Finish {
        auto made = graph_scene(*graph, *tree, open, *cache);
        std::shared_ptr<const GraphScene> scene;
        if (made) scene = std::make_shared<const GraphScene>(std::move(*made));
        return [weak, graph, scene, number, error = scene ? std::string() : made.error().message] {
          const auto state = weak.lock();
          if (!state || state->graph != graph) return;
          state->scenes_made = number;
          state->error = error;
          if (scene) state->scene = scene;
        };
      },
      "graph.layout");
}

// --- folds ---------------------------------------------------------------------------------------

void GraphView::open(std::uint32_t fold) {
  State& s = *state_;
  if (!s.tree || fold >= s.open.size() || !s.tree->folds[fold].opens()) return;
  s.open[fold] = opened(*s.tree, fold);
  stage();
}

void GraphView::close(std::uint32_t fold) {
  State& s = *state_;
  if (!s.tree || fold == 0 || fold >= s.open.size()) return;
  s.open[fold] = Shown::kClosed;
  stage();
}

void GraphView::show_each(std::uint32_t fold, bool each) {
  State& s = *state_;
  if (!s.tree || fold >= s.open.size() || !s.tree->folds[fold].opens()) return;
  s.open[fold] = each ? Shown::kEach : opened(*s.tree, fold);
  stage();
}

void GraphView::open_all() {
  State& s = *state_;
  if (!s.tree) return;
  for (std::uint32_t f = 0; f < s.open.size(); ++f)
    if (s.tree->folds[f].opens()) s.open[f] = Shown::kEach;
  fit_asked = true;
  stage();
}

void GraphView::close_all() {
  State& s = *state_;
  if (!s.tree) return;
  std::fill(s.open.begin() + 1, s.open.end(), Shown::kClosed);
  fit_asked = true;
  stage();
}

void GraphView::first_sight() {
  State& s = *state_;
  if (!s.tree) return;
  s.open = explorer::first_sight(*s.tree);
  fit_asked = true;
  stage();
}

void GraphView::reveal(std::uint32_t op) {
  State& s = *state_;
  if (!s.tree) return;
  const std::vector<Shown> before = s.open;
  explorer::reveal(*s.tree, op, s.open);
  if (s.open != before) stage();
}

// --- search --------------------------------------------------------------------------------------

bool GraphView::find(const std::string& text, bool backwards) {
  if (!state_->graph) return false;
  if (text != searched_) {
    searched_ = text;
    matches_ = find_ops(*state_->graph, text);
    match_ = 0;
  } else if (!matches_.empty()) {
    match_ = (match_ + (backwards ? matches_.size() - 1 : 1)) % matches_.size();
  }
  if (matches_.empty()) return false;
  const std::uint32_t op = matches_[match_];
  reveal(op);
  session_.selection().ops = {op};
  session_.changed();
  centre_asked = op;
  return true;
}

// --- selection -----------------------------------------------------------------------------------

bool GraphView::selected(const GraphNode& node) const {
  const auto& ops = session_.selection().ops;
  if (ops.empty()) return false;
  return std::any_of(node.ops.begin(), node.ops.end(),
                     [&](std::uint32_t op) { return ops.contains(op); });
}

void GraphView::select(const std::vector<std::uint32_t>& nodes, bool add) {
  const auto scene_now = scene();
  if (!scene_now) return;
  auto& ops = session_.selection().ops;
  std::set<std::uint32_t> chosen;
  for (const std::uint32_t n : nodes)
    chosen.insert(scene_now->nodes[n].ops.begin(), scene_now->nodes[n].ops.end());
  if (!add) {
    ops = std::move(chosen);
  } else if (std::includes(ops.begin(), ops.end(), chosen.begin(), chosen.end())) {
    for (const std::uint32_t op : chosen) ops.erase(op);
  } else {
    ops.insert(chosen.begin(), chosen.end());
  }
  session_.changed();
}

void GraphView::move(Way way) {
  const auto scene_now = scene();
  if (!scene_now || scene_now->nodes.empty()) return;
  const auto& ops = session_.selection().ops;
  const std::uint32_t from = ops.empty() || *ops.begin() >= scene_now->node_of_op.size()
                                 ? kNoFold
                                 : scene_now->node_of_op[*ops.begin()];
  const std::uint32_t to = from == kNoFold ? 0 : neighbour(*scene_now, from, way);
  if (scene_now->nodes[to].ops.empty() && from != kNoFold) return;  // a source
  select({to}, false);
  if (!scene_now->nodes[to].ops.empty()) centre_asked = scene_now->nodes[to].ops.front();
}

// --- files ---------------------------------------------------------------------------------------

void GraphView::save(const std::string& file, const std::string& format) {
  const State& s = *state_;
  if (!s.scene_of_paint || !s.graph_of_scene || !s.shown.figures)
    return session_.complain("there is no graph with a strategy to save yet");
  const auto write = [graph = s.graph_of_scene, scene = s.scene_of_paint, figures = s.shown.figures,
                      baseline = s.compared.figures, by = colour, file, format]() -> Status {
    PaintRequest request;
    request.by = by;
    request.dark = false;
    request.figures = figures.get();
    request.baseline = baseline.get();
    const GraphPaint paint = graph_paint(*graph, *scene, request);
    std::string text = reports::dot(picture_of(graph->name(), *scene, paint), colouring_of(paint),
                                    std::string(name_of(by)));
    if (format == "svg") {
      SOAPSTONE_ASSIGN(text, reports::svg(text));
    } else if (format == "pdf") {
      SOAPSTONE_ASSIGN(text, reports::pdf(text));
    }
    return write_file_atomically(file, text);
  };
  write_by_job(session_, file, [write, file]() -> core::Result<std::string> {
    const Status status = write();
    if (status) return std::string();
    core::Error error = status.error();
    error.message.insert(0, file + ": ");
    return tl::unexpected(std::move(error));
  });
}

}  // namespace soapstone::explorer
