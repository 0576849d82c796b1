#include "reports/memory_curves.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace soapstone::reports {

using namespace core;

Holder holder_of(BufferKind kind) {
  switch (kind) {
    case BufferKind::kWeight:
    case BufferKind::kGatheredWeight:
      return Holder::kWeights;
    case BufferKind::kOptimizerState:
      return Holder::kOptimizerState;
    case BufferKind::kWeightGradient:
      return Holder::kWeightGradients;
    case BufferKind::kSource:
      return Holder::kData;
    case BufferKind::kActivation:
    case BufferKind::kInternal:
      return Holder::kActivations;
    case BufferKind::kActivationGradient:
      return Holder::kActivationGradients;
    case BufferKind::kStaging:
      return Holder::kCommunication;
    case BufferKind::kWorkspace:
    case BufferKind::kScalar:
      return Holder::kWorkspace;
  }
  return Holder::kWorkspace;
}

namespace {

using Held = std::array<std::int64_t, kHolders>;

struct Life {
  std::int64_t from = INT64_MAX, to = INT64_MIN;
};

MemoryCurve curve_of(const DeviceClass& program, DeviceId device, const std::vector<Life>& life) {
  MemoryCurve out;
  out.device = device;
  out.arena = program.arena;
  Held now{};
  std::map<std::int64_t, Held> change;
  change[0] = {};
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.inside != kNoIndex || buffer.memory != Memory::kDevice) continue;
    const auto holder = static_cast<std::size_t>(holder_of(buffer.kind));
    if (lives_always(buffer.kind)) {
      now[holder] += buffer.size.value;
    } else if (life[b].from < life[b].to) {
      change[life[b].from][holder] += buffer.size.value;
      change[life[b].to][holder] -= buffer.size.value;
    }
  }
  for (const auto& [time, delta] : change) {
    if (time != 0 && delta == Held{}) continue;
    Bytes sum;
    out.time.push_back(Nanoseconds(time));
    for (std::size_t h = 0; h < kHolders; ++h) {
      now[h] += delta[h];
      out.held[h].push_back(Bytes(now[h]));
      sum += Bytes(now[h]);
    }
    if (sum > out.peak_bytes) {
      out.peak_bytes = sum;
      out.peak = out.time.size() - 1;
    }
  }
  return out;
}

}  // namespace

MemoryCurve memory_curve(const Plan& plan, const Trace& trace, DeviceId device) {
  const PlanPlace place = place_of(plan, device);
  if (place.class_index == kNoIndex) return {};
  const DeviceClass& program = plan.classes[place.class_index];
  const Spans& s = trace.spans;
  std::vector<Life> life(program.buffers.size());
  bool seen = false;
  for (std::uint32_t lane = 0; lane < trace.lanes.size(); ++lane) {
    if (trace.lanes[lane].device != device) continue;
    seen = true;
    const auto [first, last] = std::equal_range(s.lane.begin(), s.lane.end(), lane);
    for (auto i = static_cast<std::size_t>(first - s.lane.begin());
         i < static_cast<std::size_t>(last - s.lane.begin()); ++i)
      for (const BufferUse& use : program.uses_of(program.tasks[s.task[i]])) {
        if (use.buffer == kNoIndex) continue;
        const std::uint32_t whole = program.buffers[use.buffer].inside;
        Life& l = life[whole == kNoIndex ? use.buffer : whole];
        l.from = std::min(l.from, s.start[i].value);
        l.to = std::max(l.to, s.end[i].value);
      }
  }
  return seen ? curve_of(program, device, life) : MemoryCurve{};
}

std::vector<MemoryCurve> memory_curves(const Plan& plan, const Trace& trace) {
  std::set<DeviceId> devices;
  for (const Lane& lane : trace.lanes) devices.insert(lane.device);
  std::vector<MemoryCurve> curves;
  for (const DeviceId device : devices) curves.push_back(memory_curve(plan, trace, device));
  return curves;
}

}  // namespace soapstone::reports
