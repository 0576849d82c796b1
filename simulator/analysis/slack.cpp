#include "simulator/analysis/slack.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <tuple>

namespace soapstone::simulator {

using namespace core;

namespace {

// No path.
constexpr std::int64_t kNone = INT64_MIN / 4;

// The longest path through an edge, which jumps over the units from `first` to `last`.
struct Jump {
  std::int64_t path;
  std::uint32_t first, last;
};

}  // namespace

Slack slack(const StepGraph& graph) {
  const std::size_t n = graph.size();
  Slack out;
  if (n == 0) return out;
  // The longest path from the start of a node to the end of the step.
  std::vector<std::int64_t> rest(n);
  for (std::size_t v = 0; v < n; ++v) rest[v] = graph.length[v].value;
  for (std::size_t v = n; v-- > 0;)
    for (const std::uint32_t u : graph.predecessors_of(static_cast<std::uint32_t>(v)))
      rest[u] = std::max(rest[u], graph.length[u].value + graph.gap[v].value + rest[v]);
  const std::uint32_t units = graph.unit.back() + 1;
  std::vector<Jump> jumps;
  jumps.reserve(graph.predecessors.size() + n);
  const auto add = [&](std::int64_t path, std::int64_t first, std::int64_t last) {
    if (first <= last)
      jumps.push_back({path, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)});
  };
  const std::int64_t end = graph.end.value;
  std::vector<std::int64_t> through(units, kNone), without(units, kNone);
  for (std::uint32_t v = 0; v < n; ++v) {
    const std::int64_t unit = graph.unit[v], start = graph.start[v].value;
    const auto before = graph.predecessors_of(v);
    for (const std::uint32_t u : before)
      add(graph.end_of(u).value + graph.gap[v].value + rest[v], std::int64_t{graph.unit[u]} + 1,
          unit - 1);
    if (before.empty()) add(start + rest[v], 0, unit - 1);
    // A step ends with its last node, whatever follows it.
    add(graph.end_of(v).value, unit + 1, std::int64_t{units} - 1);
    std::int64_t& longest = through[graph.unit[v]];
    longest = std::max(longest, start + rest[v]);
    std::int64_t& shortened = without[graph.unit[v]];
    shortened = std::max(shortened, start + rest[v] - graph.length[v].value);
  }
  // The longest path first: what it jumps over needs no other.
  std::sort(jumps.begin(), jumps.end(), [](const Jump& a, const Jump& b) {
    return std::tuple(-a.path, a.first, a.last) < std::tuple(-b.path, b.first, b.last);
  });
  std::vector<std::uint32_t> next(units + 1);  // the next unit that has none yet
  std::iota(next.begin(), next.end(), 0u);
  const auto find = [&](std::uint32_t unit) {
    while (next[unit] != unit) unit = next[unit] = next[next[unit]];
    return unit;
  };
  std::vector<std::int64_t> avoiding(units, kNone);
  for (const Jump& jump : jumps)
    for (std::uint32_t unit = find(jump.first); unit <= jump.last; unit = find(unit)) {
      avoiding[unit] = jump.path;
      next[unit] = unit + 1;
    }
  out.slack.reserve(graph.node_of_span.size());
  for (const std::uint32_t node : graph.node_of_span) {
    const std::uint32_t unit = graph.unit[node];
    out.slack.emplace_back(end - through[unit]);
    out.saves_if_free.emplace_back(end - std::max(avoiding[unit], without[unit]));
  }
  return out;
}

}  // namespace soapstone::simulator
