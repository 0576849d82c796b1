#include "runtime/trace_recorder.hpp"

#include <limits>
#include <map>

#include "core/assert.hpp"
#include "core/derive.hpp"
#include "core/sequence_order.hpp"
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
  const core::OpDefinition& definition = graph.ops()[task.op].definition;
  return core::step_flops(definition, definition.steps[task.step],
                          plan.shards[plan.entry(task, member)].axes);
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
  const core::Graph graph = core::planned_graph(graph_, plan.micro_batches, plan.zigzag).value();
  trace.steps = steps();

  trace.step_time = step_time;

  // The start of each step.
  std::vector<std::int64_t> start(steps(), std::numeric_limits<std::int64_t>::max());
  for (const auto& [device, d] : devices)
    for (std::size_t s = 0; s < steps(); ++s)
      for (std::size_t i = 0; i < d.tasks; ++i) start[s] = std::min(start[s], d.at(s, i, 0));

  std::map<std::string, std::uint32_t> label_index;
  // Of a transfer: its place in the order and its number, since several may have one place.
  const auto key_of = [&](const core::Task& task, std::uint32_t member) {
    return std::pair(task.order, plan.entry(task, member));
  };
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::int64_t> last_begun;
  struct Times {
    std::vector<Nanoseconds> start, end;  // per task
  };
  std::map<std::uint32_t, Times> median_times;
  std::vector<std::int64_t> values(steps());
  for (const core::DeviceClass& program : plan.classes)
    for (std::uint32_t m = 0; m < program.members.size(); ++m) {
      const std::uint32_t device = program.members[m].value;
      const DeviceTimes& d = devices.at(device);
      Times& times = median_times[device];
      std::int64_t computed = 0;  // when the computing task before has ended
      for (std::size_t i = 0; i < d.tasks; ++i) {
        const bool beside = core::runs_beside(program.tasks[i].kind);
        for (std::size_t s = 0; s < steps(); ++s) values[s] = d.at(s, i, 0) - start[s];
        const std::int64_t begin = std::max(median(values), beside ? 0 : computed);
        for (std::size_t s = 0; s < steps(); ++s) values[s] = d.at(s, i, 1) - start[s];
        const std::int64_t end = std::max(median(values), begin);
        if (!beside) computed = end;
        times.start.emplace_back(begin);
        times.end.emplace_back(end);
        if (program.tasks[i].kind == TaskKind::kTransfer) {
          auto& latest = last_begun[key_of(program.tasks[i], m)];
          latest = std::max(latest, begin);
        }
      }
    }
  for (const core::DeviceClass& program : plan.classes)
    for (std::uint32_t m = 0; m < program.members.size(); ++m) {
      const core::DeviceId device = program.members[m];
      const auto& [begin, end] = median_times.at(device.value);
      const auto lane = static_cast<std::uint32_t>(trace.lanes.size());
      trace.lanes.push_back({device, core::LaneKind::kCompute});
      for (std::size_t i = 0; i < begin.size(); ++i) {
        const core::Task& task = program.tasks[i];
        const auto [label, is_new] =
            label_index.emplace(core::task_label(graph, plan, program, task),
                                static_cast<std::uint32_t>(trace.labels.size()));
        if (is_new) trace.labels.push_back(label->first);
        core::Spans& s = trace.spans;
        s.lane.push_back(lane);
        s.start.push_back(begin[i]);
        s.end.push_back(end[i]);
        Nanoseconds waiting;
        if (task.kind == TaskKind::kTransfer)
          waiting = std::clamp(Nanoseconds(last_begun.at(key_of(task, m))) - begin[i],
                               Nanoseconds(0), end[i] - begin[i]);
        s.waiting.push_back(waiting);
        s.task.push_back(static_cast<std::uint32_t>(i));
        s.kind.push_back(task.kind);
        s.phase.push_back(task.phase);
        s.label.push_back(label->second);
        s.bytes.push_back(bytes_of(graph, plan, program, m, task));
        s.flops.push_back(flops_of(graph, plan, m, task));
        s.source.push_back(core::CostSource::kMeasured);
      }
      if (!begin.empty()) trace.memory.push_back(core::memory_counter(program, device, begin, end));
    }
  core::set_plan(trace, plan);
  core::add_communication_lanes(trace);
  return trace;
}

}  // namespace soapstone::runtime
