#include "simulator/analysis/align.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "simulator/analysis/communication.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

class Aligner {
 public:
  void add(const Trace& trace, const Plan* plan, AlignBy by, AlignedSide AlignedRow::*side) {
    const Spans& s = trace.spans;
    std::unordered_map<std::uint32_t, const DeviceClass*> programs;
    if (plan != nullptr)
      for (const DeviceClass& program : plan->classes)
        for (const DeviceId d : program.members) programs[d.value] = &program;
    std::vector<std::uint32_t> name_of_label;
    for (const std::string& label : trace.labels)
      name_of_label.push_back(
          names_.try_emplace(subject_of_label(label), static_cast<std::uint32_t>(names_.size()))
              .first->second);
    std::map<std::tuple<DeviceId, std::uint32_t, Phase>, std::int64_t> seen;
    std::map<std::pair<std::size_t, DeviceId>, Nanoseconds> on_device;
    std::vector<std::uint32_t> in_time(s.size());
    for (std::uint32_t i = 0; i < s.size(); ++i) in_time[i] = i;
    std::sort(in_time.begin(), in_time.end(),
              [&](auto a, auto b) { return std::pair(s.start[a], a) < std::pair(s.start[b], b); });
    for (const std::uint32_t i : in_time) {
      const DeviceId device = trace.lanes[s.lane[i]].device;
      std::int64_t micro_batch = -1;
      if (by == AlignBy::kMicroBatch) {
        const auto program = programs.find(device.value);
        micro_batch = program != programs.end() && s.task[i] < program->second->tasks.size()
                          ? program->second->tasks[s.task[i]].micro_batch
                          : seen[{device, s.label[i], s.phase[i]}]++;
      }
      const auto [it, is_new] = rows_.try_emplace(
          {name_of_label[s.label[i]], s.kind[i], s.phase[i], micro_batch}, out_.size());
      if (is_new) {
        out_.emplace_back();
        out_.back().key = {subject_of_label(trace.labels[s.label[i]]), s.kind[i], s.phase[i],
                           micro_batch};
      }
      AlignedSide& to = out_[it->second].*side;
      if (to.spans.empty()) to.start = s.start[i];
      const Nanoseconds time = s.end[i] - s.start[i] - s.waiting[i];
      to.time += time;
      Nanoseconds& here = on_device[{it->second, device}];
      here += time;
      to.longest = std::max(to.longest, here);
      to.spans.push_back(i);
    }
    for (AlignedRow& row : out_) std::sort((row.*side).spans.begin(), (row.*side).spans.end());
  }
  std::vector<AlignedRow> finish() { return std::move(out_); }

 private:
  std::map<std::string, std::uint32_t> names_;
  std::map<std::tuple<std::uint32_t, TaskKind, Phase, std::int64_t>, std::size_t> rows_;
  std::vector<AlignedRow> out_;
};

}  // namespace

std::vector<AlignedRow> align(const Trace& first, const Plan* plan_of_first, const Trace& second,
                              const Plan* plan_of_second, AlignBy by) {
  Aligner aligner;
  aligner.add(first, plan_of_first, by, &AlignedRow::first);
  aligner.add(second, plan_of_second, by, &AlignedRow::second);
  return aligner.finish();
}

}  // namespace soapstone::simulator
