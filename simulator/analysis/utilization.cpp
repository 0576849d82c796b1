#include "simulator/analysis/utilization.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/core.h>

namespace soapstone::simulator {

using namespace core;

namespace {

using Times = std::vector<std::pair<std::int64_t, std::int64_t>>;

// How long at least one of the intervals runs.
std::int64_t covered(Times intervals) {
  std::sort(intervals.begin(), intervals.end());
  std::int64_t sum = 0, until = INT64_MIN;
  for (const auto& [begin, end] : intervals) {
    const std::int64_t from = std::max(begin, until);
    if (end <= from) continue;
    sum += end - from;
    until = end;
  }
  return sum;
}

}  // namespace

std::vector<DeviceUtilization> utilization_of_devices(const Trace& trace) {
  struct Busy {
    Times computing, any;
  };
  std::map<DeviceId, Busy> devices;
  for (const Lane& lane : trace.lanes) devices[lane.device];
  const Spans& s = trace.spans;
  for (std::size_t i = 0; i < s.size(); ++i) {
    Busy& busy = devices[trace.lanes[s.lane[i]].device];
    const std::pair active((s.start[i] + s.waiting[i]).value, s.end[i].value);
    busy.any.push_back(active);
    if (!runs_beside(s.kind[i])) busy.computing.push_back(active);
  }
  std::vector<DeviceUtilization> out;
  const auto step = static_cast<double>(trace.step_time.value);
  for (auto& [device, busy] : devices) {
    const auto computing = static_cast<double>(covered(std::move(busy.computing))),
               any = static_cast<double>(covered(std::move(busy.any)));
    out.push_back({device, {}});
    if (step <= 0) continue;
    // Medians of spans may add up to more than the median step.
    const double whole = std::max(step, any);
    out.back().use = {computing / whole, (any - computing) / whole, (whole - any) / whole};
  }
  return out;
}

Utilization utilization(const Trace& trace) {
  const auto devices = utilization_of_devices(trace);
  Utilization mean;
  for (const auto& d : devices) {
    mean.computing += d.use.computing;
    mean.exposed_communication += d.use.exposed_communication;
    mean.idle += d.use.idle;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(1, devices.size()));
  return {mean.computing / count, mean.exposed_communication / count, mean.idle / count};
}

std::string text(const Utilization& use) {
  return fmt::format("computing {:.0f} %, exposed communication {:.0f} %, idle {:.0f} %",
                     100 * use.computing, 100 * use.exposed_communication, 100 * use.idle);
}

}  // namespace soapstone::simulator
