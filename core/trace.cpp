#include "core/trace.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace soapstone::core {

void set_plan(Trace& trace, const Plan& plan) {
  trace.graph = plan.graph;
  trace.plan_hash = hash_of(plan);
  trace.graph_hash = plan.graph_hash;
  trace.strategy_hash = plan.strategy_hash;
}

std::string plan_difference(const Trace& a, const Trace& b) {
  const auto differ = [](std::uint64_t x, std::uint64_t y) { return x != 0 && y != 0 && x != y; };
  if (a.graph != b.graph) return fmt::format("different graphs ({} and {})", a.graph, b.graph);
  if (differ(a.graph_hash, b.graph_hash))
    return fmt::format("another batch, number type or options of the model (graph {} and {})",
                       hex(a.graph_hash), hex(b.graph_hash));
  if (differ(a.strategy_hash, b.strategy_hash))
    return fmt::format("different strategies (strategy {} and {})", hex(a.strategy_hash),
                       hex(b.strategy_hash));
  if (a.plan_hash != b.plan_hash)
    return fmt::format("another cluster, optimizer, clipping or kernels (plan {} and {})",
                       hex(a.plan_hash), hex(b.plan_hash));
  return {};
}

void sort_spans(Trace& trace) {
  Spans& s = trace.spans;
  std::vector<std::uint32_t> order(s.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto key = [&](std::uint32_t i) {
    return std::tuple(s.lane[i], s.start[i], s.end[i], s.task[i]);
  };
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return key(a) < key(b); });
  const auto permute = [&](auto& column) {
    auto sorted = column;
    for (std::size_t i = 0; i < order.size(); ++i) sorted[i] = column[order[i]];
    column = std::move(sorted);
  };
  Spans::fields(s, [&](std::string_view, auto& column, auto...) { permute(column); });
}

Status check(const Trace& trace) {
  const Spans& s = trace.spans;
  Status status;
  Spans::fields(s, [&](std::string_view name, const auto& column, auto...) {
    if (status && column.size() != s.size())
      status = usage_error("spans: column {} has {} entries, lane has {}", name, column.size(),
                           s.size());
  });
  if (!status) return status;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s.lane[i] >= trace.lanes.size())
      return usage_error("span {}: lane {} of {}", i, s.lane[i], trace.lanes.size());
    if (s.label[i] >= trace.labels.size())
      return usage_error("span {}: label {} of {}", i, s.label[i], trace.labels.size());
    if (s.end[i] < s.start[i])
      return usage_error("span {}: ends at {} ns before it starts at {} ns", i, s.end[i].value,
                         s.start[i].value);
    if (i > 0 && s.lane[i] < s.lane[i - 1])
      return usage_error("span {}: lanes are not in order", i);
    if (i > 0 && s.lane[i] == s.lane[i - 1] && s.start[i] < s.end[i - 1])
      return usage_error("span {}: starts at {} ns before span {} of its lane ends at {} ns", i,
                         s.start[i].value, i - 1, s.end[i - 1].value);
  }
  return {};
}

}  // namespace soapstone::core
