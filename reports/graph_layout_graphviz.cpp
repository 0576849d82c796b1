#include <algorithm>
#include <memory>

#include <graphviz/cgraph.h>
#include <graphviz/gvc.h>

#include "reports/detail/graphviz.hpp"
#include "reports/graph_layout.hpp"

namespace soapstone::reports {

namespace {

// Its time grows faster than the graph: of 40 nodes 1 ms, of 200 some 14 (bench/graph_bench.cpp).
constexpr std::size_t kMostNodes = 600;
// Between ports and what they are to stand before or behind.
constexpr std::size_t kMostOrders = 2000;
constexpr double kPointsPerInch = 72;

void set(void* object, const char* name, const std::string& value) {
  std::string n = name, v = value, none;
  agsafeset(object, n.data(), v.data(), none.data());
}

// From every first node to those that have nothing else above them, and from those that have
// nothing else below them to every last node.
std::vector<std::pair<std::uint32_t, std::uint32_t>> orders_of(const LayoutInput& input) {
  const std::size_t n = input.nodes.size();
  const auto is = [&](std::size_t v, Layer layer) { return input.nodes[v].layer == layer; };
  std::vector<char> above(n, 0), below(n, 0);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> known;
  for (const LayoutEdge& e : input.edges) {
    if (!is(e.from, Layer::kFirst)) above[e.to] = 1;
    if (!is(e.to, Layer::kLast)) below[e.from] = 1;
    known.emplace_back(e.from, e.to);
  }
  std::sort(known.begin(), known.end());
  std::vector<std::pair<std::uint32_t, std::uint32_t>> orders;
  for (std::uint32_t port = 0; port < n; ++port)
    for (std::uint32_t v = 0; v < n; ++v) {
      if (is(v, input.nodes[port].layer)) continue;
      if (is(port, Layer::kFirst) && !above[v])
        orders.emplace_back(port, v);
      else if (is(port, Layer::kLast) && !below[v])
        orders.emplace_back(v, port);
    }
  std::erase_if(orders, [&](const auto& order) {
    return std::binary_search(known.begin(), known.end(), order);
  });
  return orders;
}

}  // namespace

core::Result<GraphLayout> graph_layout(const LayoutInput& input) {
  // Also finds out whether the input is a graph without cycles.
  auto own = layered_layout(input);
  if (!own || input.nodes.empty() || input.nodes.size() > kMostNodes) return own;

  const auto orders = orders_of(input);
  if (orders.size() > kMostOrders) return own;

  const detail::Graphviz graphviz;
  std::string name = "layout";
  const std::unique_ptr<Agraph_t, int (*)(Agraph_t*)> graph(
      agopen(name.data(), Agstrictdirected, nullptr), agclose);
  if (!graph) return tl::unexpected(graphviz.error("cannot make a graph"));
  Agraph_t* const g = graph.get();
  set(g, "nodesep", fmt::format("{}", input.node_gap / kPointsPerInch));
  set(g, "ranksep", fmt::format("{}", input.layer_gap / kPointsPerInch));
  std::vector<Agnode_t*> nodes;
  for (std::size_t i = 0; i < input.nodes.size(); ++i) {
    std::string id = fmt::format("{}", i);
    Agnode_t* const node = nodes.emplace_back(agnode(g, id.data(), 1));
    set(node, "shape", "box");
    set(node, "label", "");
    set(node, "fixedsize", "true");
    set(node, "width", fmt::format("{:.4f}", input.nodes[i].width / kPointsPerInch));
    set(node, "height", fmt::format("{:.4f}", input.nodes[i].height / kPointsPerInch));
  }
  std::vector<Agedge_t*> edges;
  for (const LayoutEdge& e : input.edges) {
    Agedge_t* const edge = edges.emplace_back(agedge(g, nodes[e.from], nodes[e.to], nullptr, 1));
    set(edge, "arrowhead", "none");
  }
  // Graphviz's own way to say so (rank=source) ends in a crash of its version 2.43 with some
  // graphs.
  for (const auto& [before, after] : orders) {
    Agedge_t* const edge = agedge(g, nodes[before], nodes[after], nullptr, 1);
    set(edge, "style", "invis");
    set(edge, "weight", "0");
  }
  GVC_t* const context = graphviz.context();
  if (gvLayout(context, g, "dot") != 0) return own;
  const auto free_layout = [context](Agraph_t* of) { (void)gvFreeLayout(context, of); };
  const std::unique_ptr<Agraph_t, decltype(free_layout)> layout(g, free_layout);

  // Curves may lie outside of Graphviz's box, which knows of nodes alone.
  GraphLayout out;
  const auto at = [](const pointf& p) { return Point{p.x, -p.y}; };
  for (Agnode_t* const node : nodes) out.nodes.push_back(at(ND_coord(node)));
  for (std::size_t i = 0; i < edges.size(); ++i) {
    auto& curve = out.edges.emplace_back();
    const splines* const spline = ED_spl(edges[i]);
    if (spline && spline->size == 1 && spline->list[0].size >= 4) {
      for (int k = 0; k < spline->list[0].size; ++k) curve.push_back(at(spline->list[0].list[k]));
    } else {
      Point a = out.nodes[input.edges[i].from], b = out.nodes[input.edges[i].to];
      a.y += input.nodes[input.edges[i].from].height / 2;
      b.y -= input.nodes[input.edges[i].to].height / 2;
      const double middle = (a.y + b.y) / 2;
      curve = {a, {a.x, middle}, {b.x, middle}, b};
    }
  }
  Point low = out.nodes.front(), high = low;
  const auto include = [&](double x, double y) {
    low = {std::min(low.x, x), std::min(low.y, y)};
    high = {std::max(high.x, x), std::max(high.y, y)};
  };
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const double side : {-0.5, 0.5})
      include(out.nodes[i].x + side * input.nodes[i].width,
              out.nodes[i].y + side * input.nodes[i].height);
  for (const auto& curve : out.edges)
    for (const Point& p : curve) include(p.x, p.y);
  const auto move = [&](Point& p) { p = {p.x - low.x, p.y - low.y}; };
  for (Point& p : out.nodes) move(p);
  for (auto& curve : out.edges)
    for (Point& p : curve) move(p);
  out.width = high.x - low.x;
  out.height = high.y - low.y;
  return out;
}

}  // namespace soapstone::reports
