#include "explorer_gui/model/graph_paint.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/units.hpp"
#include "simulator/analysis/exposed.hpp"

namespace soapstone::explorer {

using namespace core;

namespace {

constexpr std::size_t kMostInks = 4;
constexpr int kLegendSteps = 5;
constexpr double kLeastWidth = 1.5, kMostWidth = 8;
// Beyond so many spans who waits for whom is not looked into.
constexpr std::size_t kMostSpans = 3'000'000;

// "n=4 · o=2" for "n=4 o=2".
std::string with_dots(const std::string& split) {
  std::string out;
  for (const char c : split) c == ' ' ? out += " · " : out += c;
  return out;
}

std::int64_t amount(const NodePaint& node, NodeColour by) {
  switch (by) {
    case NodeColour::kTime:
      return node.time.value;
    case NodeColour::kMemory:
      return node.memory.value;
    case NodeColour::kCommunication:
      return node.moved.value;
    case NodeColour::kDegree:
      return node.degree_high;
    case NodeColour::kDevices:
    case NodeColour::kChange:
      break;
  }
  return 0;
}

std::string amount_text(std::int64_t value, NodeColour by) {
  switch (by) {
    case NodeColour::kTime:
      return human_text(Nanoseconds(value));
    case NodeColour::kMemory:
    case NodeColour::kCommunication:
      return human_text(Bytes(value));
    case NodeColour::kDegree:
      return fmt::format("{}", value);
    case NodeColour::kChange:
      return (value > 0 ? "+" : value < 0 ? "-" : "±") + human_text(Nanoseconds(std::abs(value)));
    case NodeColour::kDevices:
      break;
  }
  return {};
}

// Degrees double: 1, 2, 4, 8 are as far apart as they look.
double share_of(std::int64_t value, std::int64_t most, NodeColour by) {
  if (most <= 0) return 0;
  if (by == NodeColour::kDegree)
    return most <= 1 ? 0
                     : std::log2(static_cast<double>(std::max<std::int64_t>(1, value))) /
                           std::log2(static_cast<double>(most));
  return static_cast<double>(value) / static_cast<double>(most);
}

NodePaint sum(const GraphNode& node, const Graph& graph, const GraphFigures* figures,
              const std::set<std::string>* pinned) {
  NodePaint out;
  std::vector<std::uint32_t> sets;
  bool same_split = true;
  for (const std::uint32_t op : node.ops) {
    if (pinned && pinned->contains(graph.ops()[op].name)) ++out.pinned;
    if (!figures) continue;
    const reports::OpRow& row = figures->ops[op];
    out.time += row.longest;
    out.memory += row.memory;
    out.moved += row.moved;
    out.inside.add(figures->moves.ops[op].inside);
    out.weights.add(figures->moves.ops[op].weights);
    out.exposed += figures->moves.ops[op].exposed;
    const std::int32_t degree = figures->degrees[op];
    out.degree_low = out.degree_low == 0 ? degree : std::min(out.degree_low, degree);
    out.degree_high = std::max(out.degree_high, degree);
    same_split = same_split && row.split == figures->ops[node.ops.front()].split;
    const std::uint32_t set = figures->set_of_op[op];
    if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
  }
  if (!figures || node.ops.empty()) return out;
  out.split = same_split ? with_dots(figures->ops[node.ops.front()].split) : "mixed";
  out.devices = sets.size() == 1 ? figures->sets[sets.front()]
                                 : fmt::format("{} sets of devices", sets.size());
  return out;
}

std::vector<Ink> inks_of_sets(const GraphNode& node, const GraphFigures& figures,
                              const std::map<std::string, std::size_t>& index) {
  std::vector<Ink> inks;
  for (const std::uint32_t op : node.ops) {
    const Ink ink = ink_of_index(index.at(figures.sets[figures.set_of_op[op]]));
    if (std::find(inks.begin(), inks.end(), ink) == inks.end()) inks.push_back(ink);
    if (inks.size() == kMostInks) break;
  }
  return inks;
}

}  // namespace

GraphFigures graph_figures(const Graph& graph, const Strategy& strategy, const Plan& plan,
                           const Trace& trace) {
  GraphFigures out;
  out.ops = reports::op_table(graph, strategy, plan, trace, nullptr);
  std::vector<Nanoseconds> exposed;
  if (trace.spans.size() <= kMostSpans)
    if (const auto steps = simulator::step_graph(plan, trace)) {
      const auto groups = simulator::communication(plan, trace);
      exposed = simulator::exposure(trace, *steps, groups).exposed_of_span;
      out.exposure_known = true;
    }
  out.moves = reports::movements(graph, plan, trace, exposed);
  out.step_time = trace.step_time;
  std::map<std::string, std::uint32_t> sets;
  for (std::size_t op = 0; op < graph.ops().size(); ++op) {
    const auto [it, is_new] =
        sets.emplace(out.ops[op].devices, static_cast<std::uint32_t>(sets.size()));
    if (is_new) out.sets.push_back(out.ops[op].devices);
    out.set_of_op.push_back(it->second);
    std::int32_t degree = strategy.ops[op].replicas;
    for (const std::int32_t d : strategy.ops[op].degrees) degree *= d;
    out.degrees.push_back(degree);
  }
  return out;
}

double edge_width(double amount, double most) {
  if (amount <= 0 || most <= 0) return 0;
  return kLeastWidth + (kMostWidth - kLeastWidth) * std::sqrt(std::min(1.0, amount / most));
}

GraphPaint graph_paint(const Graph& graph, const GraphScene& scene, const PaintRequest& request) {
  GraphPaint out;
  out.by = request.by;
  const bool dark = request.dark;
  const Ink plain{Colour{dark ? 0x3A3F47U : 0xE8EBEFU}, Pattern::kSolid};
  const GraphFigures* figures = request.figures;
  for (const GraphNode& node : scene.nodes)
    out.nodes.push_back(sum(node, graph, figures, request.pinned));

  // The scale.
  std::int64_t most = 0;
  std::vector<std::int64_t> changes(scene.nodes.size(), 0);
  std::map<std::string, std::size_t> set_index;
  if (figures)
    for (const GraphFigures* f : {figures, request.beside})
      if (f)
        for (const std::string& set : f->sets) set_index.emplace(set, set_index.size());
  for (std::size_t n = 0; n < scene.nodes.size(); ++n) {
    if (request.by == NodeColour::kChange) {
      if (figures && request.baseline)
        changes[n] =
            (out.nodes[n].time - sum(scene.nodes[n], graph, request.baseline, nullptr).time).value;
      most = std::max(most, std::abs(changes[n]));
    } else {
      most = std::max(most, amount(out.nodes[n], request.by));
      if (request.beside)
        most =
            std::max(most, amount(sum(scene.nodes[n], graph, request.beside, nullptr), request.by));
    }
  }

  for (std::size_t n = 0; n < scene.nodes.size(); ++n) {
    NodePaint& node = out.nodes[n];
    node.inks = {plain};
    if (!figures || scene.nodes[n].ops.empty()) continue;
    if (request.by == NodeColour::kDevices) {
      node.inks = inks_of_sets(scene.nodes[n], *figures, set_index);
    } else if (request.by == NodeColour::kChange) {
      node.share = most == 0 ? 0 : static_cast<double>(changes[n]) / static_cast<double>(most);
      node.inks = {{change(node.share, dark), Pattern::kSolid}};
      node.amount = amount_text(changes[n], request.by);
    } else {
      const std::int64_t value = amount(node, request.by);
      node.share = share_of(value, most, request.by);
      node.inks = {{heat(node.share, dark), Pattern::kSolid}};
      node.amount = request.by == NodeColour::kDegree && node.degree_low != node.degree_high
                        ? fmt::format("{}–{}", node.degree_low, node.degree_high)
                        : amount_text(value, request.by);
    }
  }

  for (const GraphEdge& edge : scene.edges) {
    EdgePaint& e = out.edges.emplace_back();
    if (!figures) continue;
    for (const auto& use : edge.uses)
      if (const auto it = figures->moves.edges.find(use); it != figures->moves.edges.end()) {
        e.values.add(it->second.values);
        e.gradients.add(it->second.gradients);
        e.values_exposed += it->second.values_exposed;
        e.gradients_exposed += it->second.gradients_exposed;
      }
  }
  const bool by_time = figures && figures->exposure_known;
  const auto counts = [&](const reports::Moves& moves, Nanoseconds exposed) {
    return static_cast<double>(by_time ? exposed.value : moves.all().value);
  };
  double widest = 0;
  for (const EdgePaint& e : out.edges)
    widest = std::max(
        {widest, counts(e.values, e.values_exposed), counts(e.gradients, e.gradients_exposed)});
  const auto width = [&](const reports::Moves& moves, Nanoseconds exposed) {
    return moves.all().value == 0
               ? 0
               : std::max(kLeastWidth, edge_width(counts(moves, exposed), widest));
  };
  for (EdgePaint& e : out.edges) {
    e.forward = width(e.values, e.values_exposed);
    e.backward = width(e.gradients, e.gradients_exposed);
  }

  if (!figures) return out;
  if (request.by == NodeColour::kDevices) {
    std::vector<std::pair<std::size_t, std::string>> sets;
    for (const auto& [set, i] : set_index) sets.emplace_back(i, set);
    std::sort(sets.begin(), sets.end());
    for (const auto& [i, set] : sets)
      out.legend.push_back(
          {(set.find_first_of("-,") == std::string::npos ? "device " : "devices ") + set,
           ink_of_index(i)});
  } else if (request.by == NodeColour::kChange) {
    if (most > 0)
      for (const double share : {-1.0, -0.5, 0.0, 0.5, 1.0})
        out.legend.push_back(
            {amount_text(std::llround(share * static_cast<double>(most)), request.by),
             {change(share, dark), Pattern::kSolid}});
  } else if (request.by == NodeColour::kDegree) {
    std::set<std::int32_t> degrees;
    for (const GraphFigures* f : {figures, request.beside})
      if (f) degrees.insert(f->degrees.begin(), f->degrees.end());
    for (const std::int32_t d : degrees)
      out.legend.push_back({amount_text(d, request.by),
                            {heat(share_of(d, most, request.by), dark), Pattern::kSolid}});
  } else if (most > 0) {
    for (int i = 0; i < kLegendSteps; ++i) {
      const double share = static_cast<double>(i) / (kLegendSteps - 1);
      out.legend.push_back(
          {amount_text(std::llround(share * static_cast<double>(most)), request.by),
           {heat(share, dark), Pattern::kSolid}});
    }
  }
  return out;
}

std::vector<std::string> edge_label(const EdgePaint& edge) {
  std::vector<std::string> out;
  for (const auto& [moves, way] :
       {std::pair{&edge.values, "values"}, std::pair{&edge.gradients, "gradients"}})
    for (const reports::Move& m : moves->mean())
      out.push_back(fmt::format("{}: {} {}", way, name_of(m.pattern), human_text(m.bytes)));
  return out;
}

namespace {

void add_moves(std::string& text, std::string_view what, const reports::Moves& moves) {
  for (const reports::Move& m : moves.mean())
    text += fmt::format("\n{}: {} {}", what, name_of(m.pattern), human_text(m.bytes));
}

}  // namespace

std::string node_tip(const GraphScene& scene, std::uint32_t node, const GraphPaint& paint,
                     Nanoseconds step_time) {
  const GraphNode& n = scene.nodes[node];
  std::string out = n.name;
  if (!n.kind.empty()) out += "\n" + n.kind;
  if (!n.shape.empty()) out += (n.kind.empty() ? "\n" : " ") + n.shape;
  if (n.ops.empty() || node >= paint.nodes.size()) return out;
  const NodePaint& p = paint.nodes[node];
  if (n.times > 1)
    out += fmt::format("\nstands for {} blocks; figures are of all of them", n.times);
  if (p.degree_high > 0) {
    out += fmt::format("\nsplit: {}", p.split.empty() ? "none" : p.split);
    out += fmt::format("\ndevices: {}", p.devices);
    out += fmt::format("\ntime: {}", human_text(p.time));
    if (step_time.value > 0)
      out += fmt::format(" ({:.1f} % of the step)", 100 * static_cast<double>(p.time.value) /
                                                        static_cast<double>(step_time.value));
    out += fmt::format("\nmemory: {} on the device with most", human_text(p.memory));
    out += fmt::format("\nmoved: {} in a step, by all devices", human_text(p.moved));
    add_moves(out, "  between its steps", p.inside);
    add_moves(out, "  weights and their gradients", p.weights);
    if (p.exposed.value > 0)
      out += fmt::format("\n  devices wait {} in all for that", human_text(p.exposed));
    if (paint.by == NodeColour::kChange && !p.amount.empty())
      out += fmt::format("\nchange of time: {}", p.amount);
  }
  if (p.pinned > 0)
    out += p.pinned == n.ops.size()
               ? "\npinned: searches leave it as it is"
               : fmt::format("\n{} of {} operators pinned", p.pinned, n.ops.size());
  if (n.opens) out += "\ndouble-click or + opens it";
  return out;
}

std::string edge_tip(const Graph& graph, const GraphScene& scene, std::uint32_t edge,
                     const GraphPaint& paint) {
  constexpr std::size_t kMostTensors = 4;
  const GraphEdge& e = scene.edges[edge];
  std::string out = fmt::format("{} to {}", scene.nodes[e.from].name, scene.nodes[e.to].name);
  if (e.to_next_block) out += " of the next block";
  std::vector<std::uint32_t> tensors;
  for (const auto& [tensor, reader] : e.uses)
    if (tensors.empty() || tensors.back() != tensor) tensors.push_back(tensor);
  for (std::size_t i = 0; i < std::min(kMostTensors, tensors.size()); ++i) {
    const Tensor& t = graph.tensors()[tensors[i]];
    out += fmt::format("\n{} {} {}", t.name, print(t.desc.shape), name_of(t.desc.dtype));
  }
  if (tensors.size() > kMostTensors) out += fmt::format("\n… {} tensors", tensors.size());
  if (edge >= paint.edges.size()) return out;
  const EdgePaint& p = paint.edges[edge];
  add_moves(out, "forward, bytes moved in a step", p.values);
  add_moves(out, "gradients back, bytes moved in a step", p.gradients);
  for (const auto& [what, exposed] :
       {std::pair{"values", p.values_exposed}, std::pair{"gradients", p.gradients_exposed}})
    if (exposed.value > 0)
      out += fmt::format("\ndevices wait {} in all for the {}", human_text(exposed), what);
  if (p.forward == 0 && p.backward == 0) out += "\nnothing moves between devices";
  return out;
}

reports::Picture picture_of(const std::string& title, const GraphScene& scene,
                            const GraphPaint& paint) {
  reports::Picture out;
  out.title = title;
  for (std::uint32_t n = 0; n < scene.nodes.size(); ++n) {
    const GraphNode& node = scene.nodes[n];
    const NodePaint& p = paint.nodes[n];
    reports::PictureNode& made = out.nodes.emplace_back();
    made.id = fmt::format("node{}", n);
    made.name = node.name;
    made.kind = node.kind;
    made.shape = node.shape;
    made.split = p.split;
    made.devices = p.devices;
    made.ops = node.ops;
    made.time = p.time;
    made.memory = p.memory;
    made.moved = p.moved;
    made.inside = p.inside.mean();
    made.weights = p.weights.mean();
  }
  for (std::size_t e = 0; e < scene.edges.size(); ++e)
    out.edges.push_back({.from = scene.edges[e].from,
                         .to = scene.edges[e].to,
                         .to_next_block = scene.edges[e].to_next_block,
                         .values = paint.edges[e].values.mean(),
                         .gradients = paint.edges[e].gradients.mean()});
  for (std::uint32_t f = 0; f < scene.frames.size(); ++f) {
    if (scene.frames[f].shown != Shown::kOnce) continue;
    std::uint32_t first = kNoFold, length = 0;
    for (std::uint32_t n = 0; n < scene.nodes.size(); ++n)
      if (scene.nodes[n].frame == f) {
        if (first == kNoFold) first = n;
        length = n - first + 1;
      }
    bool whole = first != kNoFold;
    for (std::uint32_t n = first; whole && n < first + length; ++n)
      whole = scene.nodes[n].frame == f;
    if (whole) out.blocks.push_back({first, length, scene.frames[f].count});
  }
  std::sort(out.blocks.begin(), out.blocks.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

reports::Colouring colouring_of(const GraphPaint& paint) {
  // Texts of files are dark.
  const auto text = [](Colour c) {
    const auto lighter = [&](int shift) { return (255 + ((c.rgb >> shift) & 0xFF)) / 2; };
    return fmt::format("#{:02x}{:02x}{:02x}", lighter(16), lighter(8), lighter(0));
  };
  reports::Colouring out;
  for (const NodePaint& node : paint.nodes)
    out.nodes.push_back(text(node.inks.empty() ? Colour{0xFFFFFF} : node.inks.front().colour));
  for (const PaintLegend& entry : paint.legend)
    out.legend.push_back({entry.text, text(entry.ink.colour)});
  return out;
}

}  // namespace soapstone::explorer
