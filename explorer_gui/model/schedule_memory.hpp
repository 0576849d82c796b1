// Bytes alive on the ranks of a pipeline, over the cells of its schedule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/strategy.hpp"
#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/inspection.hpp"

namespace soapstone::explorer {

struct RankMemory {
  std::int32_t rank = 0;
  core::DeviceId device;  // of the rank's, the one that allocates most
  // bytes[i] is the most that is alive from the beginning of the action that stands at time[i] in
  // the schedule, in its units, to the beginning of the next one.
  std::vector<std::int64_t> time;
  std::vector<core::Bytes> bytes;
  std::size_t peak = 0;   // the first entry with the most
  core::Bytes most;       // of the step, to the byte as in the timeline
  core::Bytes allocated;  // with what lies between
  core::Bytes capacity;   // of the device; 0: no limit

  friend bool operator==(const RankMemory&, const RankMemory&) = default;
};
// By rank; those without an action in the trace are left out. In proportion to the spans: for jobs.
// `evaluation`: of the strategy whose cells these are.
std::vector<RankMemory> schedule_memory(const ScheduleCells& cells, const core::Cluster& cluster,
                                        const core::Strategy& strategy,
                                        const Evaluation& evaluation);
// What is alive at a time of the schedule.
core::Bytes alive_at(const RankMemory& memory, double time);
// "rank 0: 3.2 GiB here, at most 9.1 GiB; allocates 9.6 GiB of 40 GiB".
std::string words(const RankMemory& memory, double time);
// The scale of a picture: the most of any rank, and the capacity where that is near.
core::Bytes memory_scale(const std::vector<RankMemory>& ranks);

}  // namespace soapstone::explorer
