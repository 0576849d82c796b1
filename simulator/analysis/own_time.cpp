#include "simulator/analysis/own_time.hpp"

#include <algorithm>
#include <utility>

namespace soapstone::simulator {

using namespace core;

std::vector<std::vector<std::uint32_t>> computing_by_start(const Trace& trace) {
  const Spans& s = trace.spans;
  std::vector<std::vector<std::uint32_t>> out;
  for (const Lane& lane : trace.lanes)
    if (lane.device.value >= out.size()) out.resize(lane.device.value + 1);
  for (std::uint32_t i = 0; i < s.size(); ++i)
    if (!runs_beside(s.kind[i])) out[trace.lanes[s.lane[i]].device.value].push_back(i);
  for (auto& list : out)
    std::stable_sort(list.begin(), list.end(),
                     [&](auto a, auto b) { return s.start[a] < s.start[b]; });
  return out;
}

OwnTime own_time(const Trace& trace) {
  const Spans& s = trace.spans;
  OwnTime out{s.start, s.end};
  for (const auto& list : computing_by_start(trace)) {
    Nanoseconds until{INT64_MIN};
    for (const std::uint32_t i : list) {
      out.start[i] = std::max(s.start[i], until);
      out.end[i] = until = std::max(s.end[i], until);
    }
  }
  return out;
}

}  // namespace soapstone::simulator
