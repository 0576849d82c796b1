#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "reports/graph_layout.hpp"

namespace soapstone::reports {

namespace {

constexpr int kOrderSweeps = 12;
constexpr int kPlaceSweeps = 16;
// An edge over several layers is to be straight above all.
constexpr double kStraight = 8;

// A node, or the place where an edge crosses a layer.
struct Slot {
  std::uint32_t layer = 0;
  double width = 0, height = 0;
  double x = 0;         // centre
  double position = 0;  // while ordering: its index in the layer
  bool crossing = false;
  std::vector<std::uint32_t> above, below;  // slots of the neighbouring layers
};

class Layers {
 public:
  explicit Layers(const LayoutInput& input) : input_(input) {}

  core::Result<GraphLayout> lay_out() {
    SOAPSTONE_TRY(assign());
    connect();
    order();
    place();
    return draw();
  }

 private:
  core::Status assign() {
    const std::size_t n = input_.nodes.size();
    std::vector<std::vector<std::uint32_t>> next(n), before(n);
    std::vector<std::uint32_t> missing(n, 0);
    for (const LayoutEdge& e : input_.edges) {
      if (e.from >= n || e.to >= n)
        return core::refuse("an edge from node {} to node {}; accepted: below {}", e.from, e.to, n);
      next[e.from].push_back(e.to);
      before[e.to].push_back(e.from);
      ++missing[e.to];
    }
    slots_.resize(n);
    std::vector<std::uint32_t> sorted;
    for (std::uint32_t v = 0; v < n; ++v)
      if (missing[v] == 0) sorted.push_back(v);
    for (std::size_t i = 0; i < sorted.size(); ++i)
      for (const std::uint32_t to : next[sorted[i]]) {
        slots_[to].layer = std::max(slots_[to].layer, slots_[sorted[i]].layer + 1);
        if (--missing[to] == 0) sorted.push_back(to);
      }
    if (sorted.size() != n) return core::refuse("the edges form a cycle");
    // What has nothing above it, or less than below, stands right above what needs it.
    for (std::size_t i = n; i-- > 0;) {
      const std::uint32_t v = sorted[i];
      if (next[v].empty() || next[v].size() < before[v].size()) continue;
      std::uint32_t lowest = std::numeric_limits<std::uint32_t>::max();
      for (const std::uint32_t to : next[v]) lowest = std::min(lowest, slots_[to].layer - 1);
      slots_[v].layer = std::max(slots_[v].layer, lowest);
    }
    const auto wants = [&](Layer layer) {
      return std::any_of(input_.nodes.begin(), input_.nodes.end(),
                         [&](const LayoutNode& node) { return node.layer == layer; });
    };
    std::uint32_t last = 0;
    const std::uint32_t shift = wants(Layer::kFirst) ? 1 : 0;
    for (Slot& s : slots_) last = std::max(last, s.layer += shift);
    if (wants(Layer::kLast)) ++last;
    for (std::size_t v = 0; v < n; ++v) {
      slots_[v].width = input_.nodes[v].width;
      slots_[v].height = input_.nodes[v].height;
      if (input_.nodes[v].layer == Layer::kFirst) slots_[v].layer = 0;
      if (input_.nodes[v].layer == Layer::kLast) slots_[v].layer = last;
    }
    for (const LayoutEdge& e : input_.edges)
      if (slots_[e.from].layer >= slots_[e.to].layer)
        return core::refuse("an edge leads from the last layer or into the first one");
    layers_.resize(n == 0 ? 0 : last + 1);
    for (const std::uint32_t v : sorted) layers_[slots_[v].layer].push_back(v);
    return {};
  }

  void connect() {
    paths_.resize(input_.edges.size());
    for (std::size_t e = 0; e < input_.edges.size(); ++e) {
      const auto [from, to] = input_.edges[e];
      std::uint32_t at = from;
      paths_[e].push_back(at);
      for (std::uint32_t layer = slots_[from].layer + 1; layer <= slots_[to].layer; ++layer) {
        std::uint32_t next = to;
        if (layer < slots_[to].layer) {
          next = static_cast<std::uint32_t>(slots_.size());
          Slot crossing;
          crossing.layer = layer;
          crossing.crossing = true;
          slots_.push_back(crossing);
          layers_[layer].push_back(next);
        }
        slots_[at].below.push_back(next);
        slots_[next].above.push_back(at);
        paths_[e].push_back(next);
        at = next;
      }
    }
    std::erase_if(layers_, [](const auto& layer) { return layer.empty(); });
    number();
  }

  void number() {
    for (const auto& layer : layers_)
      for (std::size_t i = 0; i < layer.size(); ++i)
        slots_[layer[i]].position = static_cast<double>(i);
  }

  std::int64_t crossings() const {
    std::int64_t count = 0;
    std::vector<double> ends;
    for (const auto& layer : layers_) {
      ends.clear();
      std::vector<double> mine;
      for (const std::uint32_t s : layer) {
        mine.clear();
        for (const std::uint32_t to : slots_[s].below) mine.push_back(slots_[to].position);
        for (const double end : mine)
          count += ends.end() - std::upper_bound(ends.begin(), ends.end(), end);
        for (const double end : mine)
          ends.insert(std::upper_bound(ends.begin(), ends.end(), end), end);
      }
    }
    return count;
  }

  void order() {
    auto best = layers_;
    std::int64_t least = crossings();
    for (int sweep = 0; sweep < kOrderSweeps && least > 0; ++sweep) {
      const bool down = sweep % 2 == 0;
      for (std::size_t k = 0; k < layers_.size(); ++k) {
        auto& layer = layers_[down ? k : layers_.size() - 1 - k];
        std::vector<std::pair<double, std::uint32_t>> keys;
        for (const std::uint32_t s : layer) {
          const auto& near = down ? slots_[s].above : slots_[s].below;
          double sum = 0;
          for (const std::uint32_t other : near) sum += slots_[other].position;
          keys.emplace_back(
              near.empty() ? slots_[s].position : sum / static_cast<double>(near.size()), s);
        }
        std::stable_sort(keys.begin(), keys.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        for (std::size_t i = 0; i < keys.size(); ++i) {
          layer[i] = keys[i].second;
          slots_[layer[i]].position = static_cast<double>(i);
        }
      }
      if (const std::int64_t now = crossings(); now < least) {
        least = now;
        best = layers_;
      }
    }
    layers_ = std::move(best);
    number();
  }

  // The places of a layer that are nearest to what each slot wishes, in the order that they have,
  // without overlap: the pool-adjacent-violators algorithm over distances that gaps are taken from.
  void settle(const std::vector<std::uint32_t>& layer, const std::vector<double>& wish,
              const std::vector<double>& weight) {
    struct Pool {
      double sum, weight;
      std::size_t count;
    };
    std::vector<Pool> pools;
    std::vector<double> offset(layer.size(), 0);
    for (std::size_t i = 0; i < layer.size(); ++i) {
      if (i > 0) offset[i] = offset[i - 1] + gap(layer[i - 1], layer[i]);
      pools.push_back({(wish[i] - offset[i]) * weight[i], weight[i], 1});
      while (pools.size() > 1) {
        const Pool& b = pools.back();
        Pool& a = pools[pools.size() - 2];
        if (a.sum / a.weight <= b.sum / b.weight) break;
        a = {a.sum + b.sum, a.weight + b.weight, a.count + b.count};
        pools.pop_back();
      }
    }
    std::size_t i = 0;
    for (const Pool& pool : pools)
      for (std::size_t k = 0; k < pool.count; ++k, ++i)
        slots_[layer[i]].x = pool.sum / pool.weight + offset[i];
  }

  double gap(std::uint32_t a, std::uint32_t b) const {
    const double between = slots_[a].crossing && slots_[b].crossing ? 0.5 : 1;
    return (slots_[a].width + slots_[b].width) / 2 + between * input_.node_gap;
  }

  void place() {
    for (const auto& layer : layers_)
      for (std::size_t i = 1; i < layer.size(); ++i)
        slots_[layer[i]].x = slots_[layer[i - 1]].x + gap(layer[i - 1], layer[i]);
    std::vector<double> wish, weight;
    for (int sweep = 0; sweep < kPlaceSweeps; ++sweep) {
      const bool down = sweep % 2 == 0;
      for (std::size_t k = 0; k < layers_.size(); ++k) {
        const auto& layer = layers_[down ? k : layers_.size() - 1 - k];
        wish.clear();
        weight.clear();
        for (const std::uint32_t s : layer) {
          double sum = 0, all = 0;
          for (const auto* near : {&slots_[s].above, &slots_[s].below})
            for (const std::uint32_t other : *near) {
              // What was settled just now counts most.
              const double side = (near == &slots_[s].above) == down ? 1 : 0.3;
              const double w =
                  side * (slots_[s].crossing && slots_[other].crossing ? kStraight : 1);
              sum += w * slots_[other].x;
              all += w;
            }
          wish.push_back(all > 0 ? sum / all : slots_[s].x);
          weight.push_back(all > 0 ? all : 0.01);
        }
        settle(layer, wish, weight);
      }
    }
  }

  GraphLayout draw() const {
    GraphLayout out;
    double left = std::numeric_limits<double>::max(), right = std::numeric_limits<double>::lowest();
    for (const Slot& s : slots_) {
      left = std::min(left, s.x - s.width / 2);
      right = std::max(right, s.x + s.width / 2);
    }
    if (slots_.empty()) left = right = 0;
    std::vector<double> top, height;
    double y = 0;
    for (const auto& layer : layers_) {
      double tallest = 0;
      for (const std::uint32_t s : layer) tallest = std::max(tallest, slots_[s].height);
      top.push_back(y);
      height.push_back(tallest);
      y += tallest + input_.layer_gap;
    }
    std::vector<std::size_t> row(slots_.size());
    for (std::size_t k = 0; k < layers_.size(); ++k)
      for (const std::uint32_t s : layers_[k]) row[s] = k;
    out.width = right - left;
    out.height = std::max(0.0, y - input_.layer_gap);
    for (std::size_t v = 0; v < input_.nodes.size(); ++v)
      out.nodes.push_back({slots_[v].x - left, top[row[v]] + height[row[v]] / 2});
    for (const auto& path : paths_) {
      auto& curve = out.edges.emplace_back();
      const auto bottom_of = [&](std::uint32_t s) {
        return Point{slots_[s].x - left,
                     top[row[s]] + height[row[s]] / 2 +
                         (slots_[s].crossing ? height[row[s]] : slots_[s].height) / 2};
      };
      const auto top_of = [&](std::uint32_t s) {
        return Point{slots_[s].x - left,
                     top[row[s]] + height[row[s]] / 2 -
                         (slots_[s].crossing ? height[row[s]] : slots_[s].height) / 2};
      };
      curve.push_back(bottom_of(path.front()));
      for (std::size_t i = 1; i < path.size(); ++i) {
        const Point a = curve.back(), b = top_of(path[i]);
        const double middle = (a.y + b.y) / 2;
        curve.insert(curve.end(), {Point{a.x, middle}, Point{b.x, middle}, b});
        if (i + 1 == path.size()) break;
        // Straight through the layer.
        const Point c = bottom_of(path[i]);
        const double third = (c.y - b.y) / 3;
        curve.insert(curve.end(), {Point{b.x, b.y + third}, Point{c.x, c.y - third}, c});
      }
    }
    return out;
  }

  const LayoutInput& input_;
  std::vector<Slot> slots_;  // the nodes, then crossings
  std::vector<std::vector<std::uint32_t>> layers_;
  std::vector<std::vector<std::uint32_t>> paths_;  // per edge: slots
};

}  // namespace

core::Result<GraphLayout> layered_layout(const LayoutInput& input) {
  return Layers(input).lay_out();
}

}  // namespace soapstone::reports
