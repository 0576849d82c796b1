#include "simulator/analysis/straggler.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace soapstone::simulator {

using namespace core;

std::vector<Straggler> stragglers(const Trace& trace, const Exposure& exposure,
                                  const Cluster* cluster) {
  const Spans& s = trace.spans;
  const auto device_of = [&](std::uint32_t i) { return trace.lanes[s.lane[i]].device; };
  struct Found {
    Nanoseconds waited;
    std::set<DeviceId> waiting;
    std::set<std::uint32_t> spans;
  };
  std::map<DeviceId, Found> found;
  for (const IdlePiece& piece : exposure.pieces) {
    if (piece.kind != TimeKind::kStraggler || piece.cause == kNoIndex) continue;
    const DeviceId at = device_of(piece.cause);
    if (at == piece.device) continue;  // without a plan: nobody knows for whom
    Found& f = found[at];
    f.waited += piece.length();
    f.waiting.insert(piece.device);
    f.spans.insert(piece.cause);
  }
  if (found.empty()) return {};
  // Time and work by device and label.
  struct Sum {
    std::int64_t time = 0;
    double flops = 0, bytes = 0;
    void add(const Sum& o) { time += o.time, flops += o.flops, bytes += o.bytes; }
  };
  std::map<std::pair<DeviceId, std::uint32_t>, Sum> sums;
  for (std::uint32_t i = 0; i < s.size(); ++i)
    if (!runs_beside(s.kind[i]))
      sums[{device_of(i), s.label[i]}].add(
          {(s.end[i] - s.start[i]).value, s.flops[i].value, static_cast<double>(s.bytes[i].value)});
  std::vector<Straggler> out;
  for (const auto& [device, f] : found) {
    Straggler straggler;
    straggler.device = device;
    straggler.waited = f.waited;
    straggler.waiting = static_cast<std::int64_t>(f.waiting.size());
    straggler.spans.assign(f.spans.begin(), f.spans.end());
    std::set<std::uint32_t> labels;
    for (const std::uint32_t i : f.spans) labels.insert(s.label[i]);
    Sum here, there;
    for (const std::uint32_t label : labels) {
      here.add(sums[{device, label}]);
      for (const DeviceId other : f.waiting)
        if (const auto it = sums.find({other, label}); it != sums.end()) there.add(it->second);
    }
    const auto others = static_cast<std::int64_t>(f.waiting.size());
    straggler.time = Nanoseconds(here.time);
    straggler.time_elsewhere = Nanoseconds(there.time / others);
    const double work_here = here.flops > 0 ? here.flops : here.bytes,
                 work_there =
                     (here.flops > 0 ? there.flops : there.bytes) / static_cast<double>(others);
    straggler.work = work_there > 0 ? work_here / work_there : 0;
    const bool is_of_another_kind =
        cluster != nullptr && std::any_of(f.waiting.begin(), f.waiting.end(), [&](DeviceId other) {
          return cluster->kind(other).name != cluster->kind(device).name;
        });
    constexpr double kMore = 1.01;
    if (straggler.work > kMore)
      straggler.reason = StragglerReason::kMoreWork;
    else if (is_of_another_kind && straggler.time > straggler.time_elsewhere)
      straggler.reason = StragglerReason::kSlowerDevice;
    out.push_back(std::move(straggler));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.waited > b.waited; });
  return out;
}

}  // namespace soapstone::simulator
