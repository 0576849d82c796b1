#include "explorer_gui/model/schedule_memory.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/core.h>

#include "core/units.hpp"
#include "reports/memory_curves.hpp"

namespace soapstone::explorer {

namespace {

enum class Half : std::uint8_t { kForward, kInput, kWeight };
using Key = std::tuple<std::int32_t, std::int32_t, Half>;  // stage, micro-batch

std::optional<Half> half_of(core::Phase phase) {
  switch (phase) {
    case core::Phase::kForward:
      return Half::kForward;
    case core::Phase::kBackwardInput:
      return Half::kInput;
    case core::Phase::kBackwardWeight:
      return Half::kWeight;
    default:
      return std::nullopt;
  }
}

// When a device begins with the halves of actions.
std::map<Key, core::Nanoseconds> begins(const core::Strategy& strategy,
                                        const core::DeviceClass& program, const core::Trace& trace,
                                        core::DeviceId device) {
  std::map<Key, core::Nanoseconds> out;
  std::vector<bool> lanes(trace.lanes.size());
  for (std::size_t l = 0; l < lanes.size(); ++l) lanes[l] = trace.lanes[l].device == device;
  const core::Spans& s = trace.spans;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s.kind[i] != core::TaskKind::kCompute || !lanes[s.lane[i]]) continue;
    const core::Task& task = program.tasks[s.task[i]];
    const auto half = half_of(task.phase);
    if (!half || task.op >= strategy.ops.size()) continue;
    const auto [at, fresh] =
        out.try_emplace({strategy.ops[task.op].stage, task.micro_batch, *half}, s.start[i]);
    if (!fresh) at->second = std::min(at->second, s.start[i]);
  }
  return out;
}

std::optional<core::Nanoseconds> begin_of(const std::map<Key, core::Nanoseconds>& begins,
                                          const core::PipelineAction& action) {
  std::optional<core::Nanoseconds> out;
  const auto take = [&](Half half) {
    const auto found = begins.find({action.stage, action.micro_batch, half});
    if (found != begins.end()) out = std::min(out.value_or(found->second), found->second);
  };
  if (action.kind == core::ActionKind::kForward) take(Half::kForward);
  if (action.kind == core::ActionKind::kBackward || action.kind == core::ActionKind::kBackwardInput)
    take(Half::kInput);
  if (action.kind == core::ActionKind::kBackward ||
      action.kind == core::ActionKind::kBackwardWeight)
    take(Half::kWeight);
  return out;
}

// The most of a curve in [from, to).
core::Bytes most_between(const std::vector<core::Nanoseconds>& time,
                         const std::vector<core::Bytes>& bytes, core::Nanoseconds from,
                         core::Nanoseconds to) {
  core::Bytes out;
  auto i =
      static_cast<std::size_t>(std::upper_bound(time.begin(), time.end(), from) - time.begin());
  if (i > 0) out = bytes[i - 1];
  for (; i < time.size() && time[i] < to; ++i) out = std::max(out, bytes[i]);
  return out;
}

}  // namespace

std::vector<RankMemory> schedule_memory(const ScheduleCells& cells, const core::Cluster& cluster,
                                        const core::Strategy& strategy,
                                        const Evaluation& evaluation) {
  const core::Plan& plan = evaluation.plan;
  std::vector<const core::DeviceClass*> program_of(cluster.size(), nullptr);
  for (const core::DeviceClass& program : plan.classes)
    for (const core::DeviceId d : program.members)
      if (d.value < program_of.size()) program_of[d.value] = &program;
  std::map<std::int32_t, std::vector<const ScheduleCell*>> by_rank;
  std::map<std::int32_t, std::int32_t> rank_of_stage;
  for (const ScheduleCell& c : cells.cells) {
    by_rank[c.rank].push_back(&c);
    rank_of_stage[c.action.stage] = c.rank;
  }
  std::map<std::int32_t, core::DeviceId> fullest;
  for (const core::OpStrategy& op : strategy.ops) {
    const auto rank = rank_of_stage.find(op.stage);
    if (rank == rank_of_stage.end()) continue;
    for (const core::DeviceId d : op.devices) {
      if (d.value >= program_of.size() || program_of[d.value] == nullptr) continue;
      const auto [at, fresh] = fullest.try_emplace(rank->second, d);
      if (!fresh && program_of[d.value]->arena > program_of[at->second.value]->arena)
        at->second = d;
    }
  }
  std::vector<RankMemory> out;
  for (const auto& [rank, device] : fullest) {
    const core::DeviceClass& program = *program_of[device.value];
    const auto known = begins(strategy, program, evaluation.trace, device);
    const reports::MemoryCurve curve = reports::memory_curve(plan, evaluation.trace, device);
    std::vector<core::Bytes> total(curve.time.size());
    for (const auto& held : curve.held)
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += held[i];
    RankMemory m;
    m.rank = rank;
    m.device = device;
    m.most = curve.peak_bytes;
    m.allocated = program.arena;
    m.capacity = cluster.kind(device).memory;
    std::vector<std::pair<std::int64_t, core::Nanoseconds>> marks;  // units, time
    for (const ScheduleCell* c : by_rank[rank])
      if (const auto begin = begin_of(known, c->action)) marks.emplace_back(c->start, *begin);
    for (std::size_t i = 0; i < marks.size(); ++i) {
      const core::Nanoseconds from = i == 0 ? core::Nanoseconds(0) : marks[i].second;
      const core::Nanoseconds to = i + 1 < marks.size()
                                       ? marks[i + 1].second
                                       : evaluation.trace.step_time + core::Nanoseconds(1);
      m.time.push_back(marks[i].first);
      m.bytes.push_back(most_between(curve.time, total, from, to));
      if (m.bytes.back() > m.bytes[m.peak]) m.peak = i;
    }
    if (!m.time.empty()) out.push_back(std::move(m));
  }
  return out;
}

core::Bytes alive_at(const RankMemory& memory, double time) {
  const auto after =
      std::upper_bound(memory.time.begin(), memory.time.end(), time,
                       [](double t, std::int64_t at) { return t < static_cast<double>(at); });
  const std::size_t i =
      after == memory.time.begin() ? 0 : static_cast<std::size_t>(after - memory.time.begin()) - 1;
  return memory.bytes.empty() ? core::Bytes(0) : memory.bytes[i];
}

std::string words(const RankMemory& memory, double time) {
  return fmt::format("rank {}: {} here, at most {}; allocates {}{}", memory.rank,
                     core::human_text(alive_at(memory, time)), core::human_text(memory.most),
                     core::human_text(memory.allocated),
                     memory.capacity.value > 0 ? " of " + core::human_text(memory.capacity) : "");
}

core::Bytes memory_scale(const std::vector<RankMemory>& ranks) {
  core::Bytes out;
  for (const RankMemory& m : ranks) out = std::max(out, m.most);
  for (const RankMemory& m : ranks)
    if (m.capacity.value > 0 && m.capacity < out * 3) out = std::max(out, m.capacity);
  return out;
}

}  // namespace soapstone::explorer
