#include "simulator/analysis/sharing.hpp"

#include <algorithm>

namespace soapstone::simulator {

using namespace core;

Sharing::Sharing(const Trace& trace, const StepGraph& graph, const Communication& communication)
    : trace_(trace), graph_(graph), communication_(communication) {
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i)
    if (const std::uint32_t group = communication.group_of_span[i]; group != kNoIndex)
      rows_[{group, graph.device_of_span[i]}].spans.push_back(i);
  for (auto& [key, row] : rows_) {
    std::sort(row.spans.begin(), row.spans.end(), [&](auto a, auto b) {
      return std::pair(graph.start[graph.node_of_span[a]], a) <
             std::pair(graph.start[graph.node_of_span[b]], b);
    });
    Nanoseconds latest;
    for (const std::uint32_t i : row.spans)
      row.latest_end.push_back(latest = std::max(latest, trace.spans.end[i]));
  }
}

std::vector<SpanShare> Sharing::of(std::uint32_t span, Nanoseconds start, Nanoseconds end) const {
  const std::uint32_t group = communication_.group_of_span[span];
  if (group == kNoIndex) return {{span, end - start}};
  const Row& row = rows_.at({group, graph_.device_of_span[span]});
  const auto begun = [&](std::uint32_t i) { return graph_.start[graph_.node_of_span[i]]; };
  auto k = static_cast<std::size_t>(
      std::lower_bound(row.spans.begin(), row.spans.end(), end,
                       [&](std::uint32_t i, Nanoseconds t) { return begun(i) < t; }) -
      row.spans.begin());
  std::vector<SpanShare> out;
  std::vector<double> moved;
  double all = 0;
  while (k-- > 0 && row.latest_end[k] > start) {
    const std::uint32_t i = row.spans[k];
    const Nanoseconds until = trace_.spans.end[i], from = begun(i);
    const Nanoseconds overlap = std::min(until, end) - std::max(from, start);
    if (overlap.value <= 0) continue;
    out.push_back({i, Nanoseconds(0)});
    moved.push_back(static_cast<double>(trace_.spans.bytes[i].value) *
                    static_cast<double>(overlap.value) / static_cast<double>((until - from).value));
    all += moved.back();
  }
  if (all <= 0) return {{span, end - start}};
  std::reverse(out.begin(), out.end());
  std::reverse(moved.begin(), moved.end());
  Nanoseconds left = end - start;
  std::size_t most = 0;
  for (std::size_t j = 0; j < out.size(); ++j) {
    out[j].time = Nanoseconds(
        static_cast<std::int64_t>(static_cast<double>((end - start).value) * (moved[j] / all)));
    left -= out[j].time;
    if (moved[j] > moved[most]) most = j;
  }
  out[most].time += left;
  return out;
}

}  // namespace soapstone::simulator
