#include "explorer_gui/model/graph_scene.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <tuple>

#include <fmt/core.h>

#include "core/reflect.hpp"

namespace soapstone::explorer {

using namespace core;

namespace {

constexpr double kSide = 14, kHeader = 26, kFoot = 14;  // of a frame, around its content
constexpr double kLoop = 22;                            // beside it, for edges to the next block
constexpr std::size_t kMostKept = 4096;                 // layouts

std::uint64_t hash(const reports::LayoutInput& input) {
  Hasher h;
  h.word(input.nodes.size());
  for (const reports::LayoutNode& n : input.nodes) {
    append_hash(h, n.width);
    append_hash(h, n.height);
    h.word(static_cast<std::uint64_t>(n.layer));
  }
  for (const reports::LayoutEdge& e : input.edges)
    h.word((static_cast<std::uint64_t>(e.from) << 32) | e.to);
  return h.finish();
}

// "layer0…11_fc1" of layer0_fc1 in repeat layer0…11, whose first block is layer0.
std::string name_of_all(const std::string& name, const Fold& repeat, const Fold& block) {
  if (name.starts_with(block.name)) return repeat.name + name.substr(block.name.size());
  return fmt::format("{} ×{}", name, repeat.children.size());
}

class Stage {
 public:
  Stage(const Graph& graph, const FoldTree& tree, const std::vector<Shown>& open,
        LayoutCache& cache)
      : graph_(graph), tree_(tree), open_(open), cache_(cache) {}

  Result<GraphScene> set() {
    out_.node_of_op.assign(graph_.ops().size(), 0);
    node_of_source_.assign(graph_.tensors().size(), kNoFold);
    add_frame(0, kNoFold, {});
    connect();
    for (std::size_t f = out_.frames.size(); f-- > 0;)
      SOAPSTONE_TRY(lay_out(static_cast<std::uint32_t>(f)));
    place(0, {0, 0});
    draw();
    return std::move(out_);
  }

 private:
  // Blocks of a repeat that is shown once, for what lies in the first of them.
  struct Times {
    const Fold* repeat;
    const Fold* block;
  };
  // What stands in a frame: a node or another frame.
  struct Child {
    bool is_frame = false;
    std::uint32_t index = 0;
    friend auto operator<=>(const Child&, const Child&) = default;
  };
  struct Part {
    std::vector<Child> children;
    std::map<Child, std::uint32_t> place;            // in the layout's input
    std::map<std::uint32_t, std::uint32_t> in, out;  // by node where the edge begins: place of port
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> edges;  // by places
    std::set<std::uint32_t> loops;  // edges to the next block that run beside it
    reports::LayoutInput input;
    std::shared_ptr<const reports::GraphLayout> layout;
    Point origin;  // of the layout, in the picture
    double width = 0, height = 0;
  };

  std::vector<std::uint32_t> all_ops(const Fold& fold, const std::vector<Times>& times) const {
    std::vector<std::uint32_t> ops;
    if (fold.kind == Fold::Kind::kSource || fold.kind == Fold::Kind::kSources) return ops;
    for (std::uint32_t i = 0; i < fold.length; ++i) ops.push_back(fold.first + i);
    for (auto it = times.rbegin(); it != times.rend(); ++it) {
      const std::size_t before = ops.size();
      for (std::size_t k = 1; k < it->repeat->children.size(); ++k)
        for (std::size_t i = 0; i < before; ++i)
          ops.push_back(ops[i] + static_cast<std::uint32_t>(k) * it->block->length);
    }
    std::sort(ops.begin(), ops.end());
    return ops;
  }

  static std::uint32_t count_of(const std::vector<Times>& times) {
    std::uint32_t count = 1;
    for (const Times& t : times) count *= static_cast<std::uint32_t>(t.repeat->children.size());
    return count;
  }

  static std::string shown_name(std::string name, const std::vector<Times>& times) {
    for (auto it = times.rbegin(); it != times.rend(); ++it)
      name = name_of_all(name, *it->repeat, *it->block);
    return name;
  }

  std::uint32_t add_frame(std::uint32_t fold, std::uint32_t parent, std::vector<Times> times) {
    const Fold& f = tree_.folds[fold];
    const auto id = static_cast<std::uint32_t>(out_.frames.size());
    GraphFrame frame;
    frame.name = shown_name(f.name, times);
    frame.label = parent == kNoFold ? frame.name : label_of(frame.name, parent);
    frame.fold = fold;
    frame.parent = parent;
    frame.depth = parent == kNoFold ? 0 : out_.frames[parent].depth + 1;
    frame.shown = open_[fold];
    if (f.kind == Fold::Kind::kRepeat) frame.count = static_cast<std::uint32_t>(f.children.size());
    frame.ops = f.length * count_of(times);
    out_.frames.push_back(frame);
    parts_.emplace_back();
    if (f.kind == Fold::Kind::kRepeat && open_[fold] == Shown::kOnce)
      times.push_back({&f, &tree_.folds[f.children.front()]});
    for (const std::uint32_t c : content(tree_, fold, open_[fold])) {
      const Fold& child = tree_.folds[c];
      Child placed;
      if (child.opens() && open_[c] != Shown::kClosed) {
        placed = {true, add_frame(c, id, times)};
      } else {
        placed = {false, add_node(c, id, times)};
      }
      Part& part = parts_[id];
      part.place[placed] = static_cast<std::uint32_t>(part.children.size());
      part.children.push_back(placed);
    }
    return id;
  }

  std::uint32_t add_node(std::uint32_t fold, std::uint32_t frame, const std::vector<Times>& times) {
    const Fold& f = tree_.folds[fold];
    const auto id = static_cast<std::uint32_t>(out_.nodes.size());
    GraphNode node;
    node.name = shown_name(f.name, times);
    node.fold = fold;
    node.label = label_of(node.name, frame);
    node.frame = frame;
    node.opens = f.opens();
    node.times = count_of(times);
    node.ops = all_ops(f, times);
    switch (f.kind) {
      case Fold::Kind::kOp: {
        const OpNode& op = graph_.ops()[f.first];
        node.kind = op.op.name();
        for (const int k : op.definition.operands_of(OperandRole::kOutput)) {
          node.shape = print(op.definition.operands[static_cast<std::size_t>(k)].desc.shape);
          break;
        }
        break;
      }
      case Fold::Kind::kSource:
        node.shape = print(graph_.tensors()[f.first].desc.shape);
        node_of_source_[f.first] = id;
        break;
      case Fold::Kind::kSources:
        for (const std::uint32_t s : f.children) node_of_source_[tree_.folds[s].first] = id;
        break;
      case Fold::Kind::kBlock:
        node.kind = fmt::format("{} operators", f.length);
        break;
      case Fold::Kind::kRepeat: {
        const std::uint32_t length = tree_.folds[f.children.front()].length;
        node.kind = length == 1 ? fmt::format("{} operators", f.children.size())
                                : fmt::format("{} × {} operators", f.children.size(), length);
        break;
      }
    }
    for (const std::uint32_t op : node.ops) out_.node_of_op[op] = id;
    out_.nodes.push_back(std::move(node));
    return id;
  }

  std::string label_of(const std::string& name, std::uint32_t frame) const {
    const std::string& known = out_.frames[frame].name;
    if (frame == 0 || name.size() <= known.size() + 1 || !name.starts_with(known) ||
        std::string_view("_./:").find(name[known.size()]) == std::string_view::npos)
      return name;
    return name.substr(known.size() + 1);
  }

  std::vector<std::uint32_t> frames_of(std::uint32_t node) const {
    std::vector<std::uint32_t> out;
    for (std::uint32_t f = out_.nodes[node].frame; f != kNoFold; f = out_.frames[f].parent)
      out.push_back(f);
    std::reverse(out.begin(), out.end());
    return out;
  }

  void connect() {
    std::map<std::tuple<std::uint32_t, std::uint32_t>, std::size_t> known;
    for (std::uint32_t t = 0; t < graph_.tensors().size(); ++t) {
      const Tensor& tensor = graph_.tensors()[t];
      if (tensor.role == TensorRole::kWeight) continue;
      std::uint32_t last = kNoFold;
      for (const OperandRef& use : tensor.uses) {
        if (use.op.value == last) continue;
        last = use.op.value;
        const std::uint32_t from = tensor.role == TensorRole::kSource
                                       ? node_of_source_[t]
                                       : out_.node_of_op[tensor.producer.op.value];
        const std::uint32_t to = out_.node_of_op[use.op.value];
        if (from == to || from == kNoFold) continue;
        const auto [it, is_new] = known.emplace(std::tuple{from, to}, out_.edges.size());
        if (is_new) {
          GraphEdge& edge = out_.edges.emplace_back();
          edge.from = from;
          edge.to = to;
          edge.to_next_block = to < from;
        }
        auto& uses = out_.edges[it->second].uses;
        if (uses.empty() || uses.back() != std::pair{t, use.op.value})
          uses.emplace_back(t, use.op.value);
      }
    }
    out_.out.resize(out_.nodes.size());
    out_.in.resize(out_.nodes.size());
    routes_.resize(out_.edges.size());
    for (std::uint32_t e = 0; e < out_.edges.size(); ++e) {
      const GraphEdge& edge = out_.edges[e];
      out_.out[edge.from].push_back(e);
      out_.in[edge.to].push_back(e);
      const auto a = frames_of(edge.from), b = frames_of(edge.to);
      std::size_t common = 0;
      while (common < a.size() && common < b.size() && a[common] == b[common]) ++common;
      if (edge.to_next_block) {
        parts_[a[common - 1]].loops.insert(e);
        continue;
      }
      for (std::size_t i = a.size(); i-- > common;)
        step(e, a[i],
             child_place(a[i], i + 1 < a.size() ? Child{true, a[i + 1]} : Child{false, edge.from}),
             port(a[i], edge.from, false));
      const std::uint32_t at = a[common - 1];
      step(e, at,
           child_place(at, common < a.size() ? Child{true, a[common]} : Child{false, edge.from}),
           child_place(at, common < b.size() ? Child{true, b[common]} : Child{false, edge.to}));
      for (std::size_t i = common; i < b.size(); ++i)
        step(e, b[i], port(b[i], edge.from, true),
             child_place(b[i], i + 1 < b.size() ? Child{true, b[i + 1]} : Child{false, edge.to}));
    }
  }

  std::uint32_t child_place(std::uint32_t frame, Child child) const {
    return parts_[frame].place.at(child);
  }

  // Where what a node sends enters or leaves a frame.
  std::uint32_t port(std::uint32_t frame, std::uint32_t node, bool enters) {
    Part& part = parts_[frame];
    auto& ports = enters ? part.in : part.out;
    const auto next =
        static_cast<std::uint32_t>(part.children.size() + part.in.size() + part.out.size());
    return ports.emplace(node, next).first->second;
  }

  void step(std::uint32_t edge, std::uint32_t frame, std::uint32_t from, std::uint32_t to) {
    Part& part = parts_[frame];
    const auto next = static_cast<std::uint32_t>(part.edges.size());
    routes_[edge].push_back({frame, part.edges.emplace(std::pair{from, to}, next).first->second});
  }

  Status lay_out(std::uint32_t frame) {
    Part& part = parts_[frame];
    part.input.nodes.resize(part.children.size() + part.in.size() + part.out.size());
    for (std::size_t i = 0; i < part.children.size(); ++i) {
      const Child& c = part.children[i];
      if (c.is_frame)
        part.input.nodes[i] = {parts_[c.index].width, parts_[c.index].height};
      else
        part.input.nodes[i] = {kNodeWidth,
                               out_.nodes[c.index].kind.empty() ? kSourceHeight : kNodeHeight};
    }
    for (const auto& [node, place] : part.in)
      part.input.nodes[place] = {2, 2, reports::Layer::kFirst};
    for (const auto& [node, place] : part.out)
      part.input.nodes[place] = {2, 2, reports::Layer::kLast};
    part.input.edges.resize(part.edges.size());
    for (const auto& [ends, index] : part.edges)
      part.input.edges[index] = {ends.first, ends.second};
    SOAPSTONE_ASSIGN(part.layout, cache_.layout(part.input));
    part.width = part.layout->width;
    part.height = part.layout->height;
    if (frame == 0) return {};
    part.width += 2 * kSide + (part.loops.empty() ? 0 : kLoop);
    part.height += kHeader + kFoot;
    return {};
  }

  void place(std::uint32_t frame, Point corner) {
    Part& part = parts_[frame];
    out_.frames[frame].box = {corner, {corner.x + part.width, corner.y + part.height}};
    part.origin = frame == 0 ? corner : Point{corner.x + kSide, corner.y + kHeader};
    for (std::size_t i = 0; i < part.children.size(); ++i) {
      const Child& c = part.children[i];
      const auto& size = part.input.nodes[i];
      const Point centre = part.layout->nodes[i];
      const Point low{part.origin.x + centre.x - size.width / 2,
                      part.origin.y + centre.y - size.height / 2};
      if (c.is_frame)
        place(c.index, low);
      else
        out_.nodes[c.index].box = {low, {low.x + size.width, low.y + size.height}};
    }
  }

  void draw() {
    for (std::uint32_t e = 0; e < out_.edges.size(); ++e) {
      GraphEdge& edge = out_.edges[e];
      if (edge.to_next_block) {
        draw_back(edge, out_.frames[frame_of_loop(e)].box);
      } else {
        for (std::size_t i = 0; i < routes_[e].size(); ++i) {
          const auto [frame, index] = routes_[e][i];
          const Part& part = parts_[frame];
          std::vector<Point> piece = part.layout->edges[index];
          for (Point& p : piece) p = {p.x + part.origin.x, p.y + part.origin.y};
          const bool leaves =
              i > 0 && out_.frames[routes_[e][i - 1].frame].depth > out_.frames[frame].depth;
          append(edge.curve, std::move(piece), leaves);
        }
      }
      edge.box = {edge.curve.front(), edge.curve.front()};
      for (const Point& p : edge.curve) edge.box.include(p);
    }
    out_.box = out_.frames[0].box;
    for (const GraphEdge& edge : out_.edges) {
      out_.box.include(edge.box.low);
      out_.box.include(edge.box.high);
    }
  }

  // Pieces on both sides of a frame's border meet at the port: the outer one is bent to the inner
  // one, which knows its place.
  static void append(std::vector<Point>& curve, std::vector<Point> piece, bool leaves) {
    if (curve.empty()) {
      curve = std::move(piece);
      return;
    }
    if (leaves) {
      const double shift = curve.back().x - piece.front().x;
      piece[0].x += shift;
      piece[1].x += shift;
    } else {
      const double shift = piece.front().x - curve.back().x;
      curve.back().x += shift;
      curve[curve.size() - 2].x += shift;
    }
    const Point a = curve.back(), b = piece.front();
    const double third = (b.y - a.y) / 3;
    curve.insert(curve.end(), {Point{a.x, a.y + third}, Point{b.x, b.y - third}});
    curve.insert(curve.end(), piece.begin(), piece.end());
  }

  std::uint32_t frame_of_loop(std::uint32_t edge) const {
    for (std::uint32_t f = 0; f < parts_.size(); ++f)
      if (parts_[f].loops.contains(edge)) return f;
    return 0;
  }

  // From the lower node around the content to the upper one: below it, up at the right, above it;
  // where another node is in the way, straight from the side or to the side.
  void draw_back(GraphEdge& edge, const Rect& frame) const {
    const Rect &a = out_.nodes[edge.from].box, &b = out_.nodes[edge.to].box;
    const double right = frame.high.x - kLoop / 2, low = frame.high.y - kFoot / 2,
                 high = frame.low.y + kHeader + 2;
    const double from_x = a.centre().x + a.width() / 4, to_x = b.centre().x + b.width() / 4;
    std::vector<Point> way;
    if (is_free({{from_x - 4, a.high.y + 1}, {from_x + 4, low}}))
      way = {{from_x, a.high.y}, {from_x, low}, {right, low}};
    else
      way = {{a.high.x, a.centre().y}, {right, a.centre().y}};
    if (is_free({{to_x - 4, high}, {to_x + 4, b.low.y - 1}}))
      way.insert(way.end(), {Point{right, high}, Point{to_x, high}, Point{to_x, b.low.y}});
    else
      way.insert(way.end(), {Point{right, b.centre().y}, Point{b.high.x, b.centre().y}});
    edge.curve = rounded(way);
  }

  bool is_free(const Rect& box) const {
    return std::none_of(out_.nodes.begin(), out_.nodes.end(),
                        [&](const GraphNode& n) { return n.box.meets(box); });
  }

  // Straight pieces with round corners.
  static std::vector<Point> rounded(const std::vector<Point>& way) {
    constexpr double kRadius = 9;
    const auto towards = [](Point a, Point b, double t) {
      return Point{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t};
    };
    const auto length = [](Point a, Point b) { return std::hypot(b.x - a.x, b.y - a.y); };
    std::vector<Point> curve{way.front()};
    const auto line_to = [&](Point p) {
      const Point a = curve.back();
      curve.insert(curve.end(), {towards(a, p, 1.0 / 3), towards(a, p, 2.0 / 3), p});
    };
    for (std::size_t i = 1; i + 1 < way.size(); ++i) {
      const Point corner = way[i];
      const double before = length(way[i - 1], corner), after = length(corner, way[i + 1]);
      const double radius = std::min({kRadius, before / 2, after / 2});
      if (radius <= 0) continue;
      line_to(towards(corner, way[i - 1], radius / before));
      const Point end = towards(corner, way[i + 1], radius / after);
      curve.insert(curve.end(), {corner, corner, end});
    }
    line_to(way.back());
    return curve;
  }

  const Graph& graph_;
  const FoldTree& tree_;
  const std::vector<Shown>& open_;
  LayoutCache& cache_;
  std::vector<Part> parts_;  // per frame
  std::vector<std::uint32_t> node_of_source_;
  struct Step {
    std::uint32_t frame, edge;
  };
  std::vector<std::vector<Step>> routes_;  // per edge, from its beginning to its end
  GraphScene out_;
};

}  // namespace

void Rect::include(Point p) {
  low = {std::min(low.x, p.x), std::min(low.y, p.y)};
  high = {std::max(high.x, p.x), std::max(high.y, p.y)};
}

Result<std::shared_ptr<const reports::GraphLayout>> LayoutCache::layout(
    const reports::LayoutInput& input) {
  const std::uint64_t key = hash(input);
  {
    const std::scoped_lock lock(mutex_);
    if (const auto it = known_.find(key); it != known_.end())
      for (const auto& [of, layout] : it->second)
        if (of == input) return layout;
  }
  SOAPSTONE_ASSIGN(auto made, reports::graph_layout(input));
  auto layout = std::make_shared<const reports::GraphLayout>(std::move(made));
  const std::scoped_lock lock(mutex_);
  if (known_.size() >= kMostKept) known_.clear();
  known_[key].emplace_back(input, layout);
  return layout;
}

std::size_t LayoutCache::size() const {
  const std::scoped_lock lock(mutex_);
  return known_.size();
}

Result<GraphScene> graph_scene(const Graph& graph, const FoldTree& tree,
                               const std::vector<Shown>& open, LayoutCache& cache) {
  return Stage(graph, tree, open, cache).set();
}

}  // namespace soapstone::explorer
