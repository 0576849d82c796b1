#include "runtime/trace_recorder.hpp"

#include <limits>
#include <map>
#include <optional>

#include "core/assert.hpp"
#include "core/derive.hpp"
#include "runtime/clock.hpp"
#include "runtime/detail/bytes.hpp"

namespace soapstone::runtime {

using core::Bytes;
using core::Flops;
using core::kNoIndex;
using core::Nanoseconds;
using core::TaskKind;

namespace {

std::int64_t median(std::vector<std::int64_t>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// One device's times: [step][task][start, end], by rank 0's clock.
struct DeviceTimes {
  std::size_t tasks = 0;
  std::vector<std::int64_t> times;
  std::int64_t at(std::size_t step, std::size_t task, int end) const {
    return times[(step * tasks + task) * 2 + static_cast<std::size_t>(end)];
  }
};

Bytes bytes_of(const core::Graph& graph, const core::Plan& plan, const core::DeviceClass& program,
               std::uint32_t member, const core::Task& task) {
  const auto size = [&](std::size_t use) {
    const auto buffer = program.uses_of(task)[use].buffer;
    return buffer == kNoIndex ? Bytes(0) : program.buffers[buffer].size;
  };
  switch (task.kind) {
    case TaskKind::kLoad:
      return size(0) * 2;
    case TaskKind::kCompute: {
      const core::OpDefinition& definition = graph.ops()[task.op].definition;
      return core::step_bytes(definition, definition.steps[task.step],
                              plan.shards[plan.entry(task, member)].axes);
    }
    case TaskKind::kTransfer: {
      const core::Transfer& t = plan.transfers[plan.entry(task, member)];
      for (std::uint32_t k = 0; k < t.members.size(); ++k)
        if (t.members[k].device == program.members[member]) return core::bytes_sent(t, k);
      return Bytes(0);
    }
    case TaskKind::kAccumulate:
      return size(0) + size(1) * 2;
    case TaskKind::kHostCopy:
      return size(0) + size(1);
    case TaskKind::kNormRows:
    case TaskKind::kUpdateRows:
      return core::row_work(graph, plan, program, task, member).bytes;
    case TaskKind::kNorm:
    case TaskKind::kUpdate: {
      Bytes sum;
      for (std::size_t u = 0; u < task.use_count; ++u)
        sum += size(u) * (program.uses_of(task)[u].access == core::UseAccess::kReadWrite ? 2 : 1);
      return sum;
    }
  }
  return Bytes(0);
}

Flops flops_of(const core::Graph& graph, const core::Plan& plan, std::uint32_t member,
               const core::Task& task) {
  if (task.kind != TaskKind::kCompute) return Flops(0);
  const core::Step& step = graph.ops()[task.op].definition.steps[task.step];
  return core::step_flops(step, plan.shards[plan.entry(task, member)].axes);
}

core::MemoryCounter memory_of(const core::DeviceClass& program, core::DeviceId device,
                              const std::vector<TaskTime>& times) {
  core::MemoryCounter counter;
  counter.device = device;
  counter.arena = program.arena;
  const std::size_t count = program.tasks.size();
  std::vector<Bytes> change(count + 1);
  Bytes live;
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (core::lives_always(program.buffers[b].kind)) live += program.buffers[b].size;
  }
  std::vector<std::optional<std::size_t>> first(program.buffers.size()),
      last(program.buffers.size());
  for (std::size_t i = 0; i < count; ++i)
    for (const core::BufferUse& use : program.uses_of(program.tasks[i])) {
      if (use.buffer == kNoIndex) continue;
      if (core::lives_always(program.buffers[use.buffer].kind)) continue;
      if (!first[use.buffer]) first[use.buffer] = i;
      last[use.buffer] = i;
    }
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (!first[b]) continue;
    change[*first[b]] += program.buffers[b].size;
    change[*last[b] + 1] -= program.buffers[b].size;
  }
  counter.time.push_back(Nanoseconds(0));
  counter.value.push_back(live);
  for (std::size_t i = 0; i <= count; ++i) {
    if (change[i].value == 0) continue;
    live += change[i];
    const Nanoseconds time(i < count ? times[i].start : times[count - 1].end);
    if (counter.time.back() == time) {
      counter.value.back() = live;
    } else {
      counter.time.push_back(time);
      counter.value.push_back(live);
    }
    counter.live_peak = std::max(counter.live_peak, live);
  }
  counter.live_peak = std::max(counter.live_peak, counter.value.front());
  return counter;
}

}  // namespace

TraceRecorder::TraceRecorder(Communicator& communicator, const core::Graph& graph,
                             const PlanRun& run, std::uint32_t most_steps)
    : communicator_(communicator),
      graph_(graph),
      run_(run),
      most_(most_steps),
      offsets_(clock_offsets(communicator)) {
  SOAPSTONE_ASSERT(most_steps >= 1, "{} steps", most_steps);
  for (const auto& e : run.executors()) times_.emplace_back(most_steps * e->times().size() * 2);
}

void TraceRecorder::add_step() {
  for (std::size_t k = 0; k < times_.size(); ++k) {
    const auto times = run_.executors()[k]->times();
    std::int64_t* to = times_[k].data() + (added_ % most_) * times.size() * 2;
    for (const TaskTime& t : times) {
      *to++ = t.start + offsets_[k];
      *to++ = t.end + offsets_[k];
    }
  }
  ++added_;
}

core::Trace TraceRecorder::trace(Nanoseconds step_time) const {
  SOAPSTONE_ASSERT(added_ > 0, "no step was recorded");
  detail::ByteWriter writer;
  for (std::size_t k = 0; k < times_.size(); ++k) {
    const std::size_t tasks = run_.executors()[k]->times().size();
    writer.put(static_cast<std::uint32_t>(communicator_.own_ranks()[k]));
    writer.put(tasks);
    writer.put_bytes(times_[k].data(), steps() * tasks * 2 * sizeof(std::int64_t));
  }
  std::map<std::uint32_t, DeviceTimes> devices;
  for (const std::string& part : communicator_.gather(writer.take())) {
    detail::ByteReader reader(part);
    while (!reader.done()) {
      DeviceTimes& d = devices[reader.get<std::uint32_t>()];
      d.tasks = reader.get<std::size_t>();
      d.times.resize(steps() * d.tasks * 2);
      const std::size_t size = d.times.size() * sizeof(std::int64_t);
      if (size > 0) std::memcpy(d.times.data(), reader.get_bytes(size), size);
    }
  }
  core::Trace trace;
  trace.origin = core::TraceOrigin::kMeasured;
  if (communicator_.process() != 0) return trace;
  const core::Plan& plan = run_.plan();
  const core::Graph graph =
      plan.micro_batches > 1 ? graph_.micro_batch(plan.micro_batches).value() : graph_;
  core::set_plan(trace, plan);
  trace.steps = steps();

  trace.step_time = step_time;

  // The start of each step.
  std::vector<std::int64_t> start(steps(), std::numeric_limits<std::int64_t>::max());
  for (const auto& [device, d] : devices)
    for (std::size_t s = 0; s < steps() && d.tasks > 0; ++s)
      start[s] = std::min(start[s], d.at(s, 0, 0));

  std::map<std::string, std::uint32_t> label_index;
  std::map<std::uint32_t, std::int64_t> last_begun;  // transfers, by order
  std::map<std::uint32_t, std::vector<TaskTime>> median_times;
  std::vector<std::int64_t> values(steps());
  for (const core::DeviceClass& program : plan.classes)
    for (std::uint32_t m = 0; m < program.members.size(); ++m) {
      const std::uint32_t device = program.members[m].value;
      const DeviceTimes& d = devices.at(device);
      std::vector<TaskTime>& times = median_times[device];
      std::int64_t earliest = 0;
      for (std::size_t i = 0; i < d.tasks; ++i) {
        TaskTime t;
        for (std::size_t s = 0; s < steps(); ++s) values[s] = d.at(s, i, 0) - start[s];
        t.start = std::max(median(values), earliest);
        for (std::size_t s = 0; s < steps(); ++s) values[s] = d.at(s, i, 1) - start[s];
        t.end = std::max(median(values), t.start);
        earliest = t.end;
        times.push_back(t);
        if (program.tasks[i].kind == TaskKind::kTransfer) {
          auto& latest = last_begun[program.tasks[i].order];
          latest = std::max(latest, t.start);
        }
      }
    }
  for (const core::DeviceClass& program : plan.classes)
    for (std::uint32_t m = 0; m < program.members.size(); ++m) {
      const core::DeviceId device = program.members[m];
      const auto& times = median_times.at(device.value);
      const auto lane = static_cast<std::uint32_t>(trace.lanes.size());
      trace.lanes.push_back({device, core::LaneKind::kCompute});
      for (std::size_t i = 0; i < times.size(); ++i) {
        const core::Task& task = program.tasks[i];
        const auto [label, is_new] =
            label_index.emplace(core::task_label(graph, plan, program, task),
                                static_cast<std::uint32_t>(trace.labels.size()));
        if (is_new) trace.labels.push_back(label->first);
        core::Spans& s = trace.spans;
        s.lane.push_back(lane);
        s.start.emplace_back(times[i].start);
        s.end.emplace_back(times[i].end);
        std::int64_t waiting = 0;
        if (task.kind == TaskKind::kTransfer)
          waiting = std::clamp(last_begun.at(task.order) - times[i].start, std::int64_t{0},
                               times[i].end - times[i].start);
        s.waiting.emplace_back(waiting);
        s.task.push_back(static_cast<std::uint32_t>(i));
        s.kind.push_back(task.kind);
        s.phase.push_back(task.phase);
        s.label.push_back(label->second);
        s.bytes.push_back(bytes_of(graph, plan, program, m, task));
        s.flops.push_back(flops_of(graph, plan, m, task));
        s.source.push_back(core::CostSource::kMeasured);
      }
      if (!times.empty()) trace.memory.push_back(memory_of(program, device, times));
    }
  core::sort_spans(trace);
  return trace;
}

}  // namespace soapstone::runtime
