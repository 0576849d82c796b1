#include "core/trace.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace soapstone::core {

void set_plan(Trace& trace, const Plan& plan) { set_plan(trace, plan, hash_of(plan)); }

void set_plan(Trace& trace, const Plan& plan, std::uint64_t hash) {
  trace.graph = plan.graph;
  trace.plan_hash = hash;
  trace.graph_hash = plan.graph_hash;
  trace.strategy_hash = plan.strategy_hash;
  if (trace.memory.empty()) return;
  std::map<DeviceId, Bytes> arenas;
  for (const DeviceClass& program : plan.classes)
    for (const DeviceId device : program.members) arenas[device] = program.arena;
  for (MemoryCounter& memory : trace.memory) memory.arena = arenas.at(memory.device);
}

std::string plan_difference(const Trace& a, const Trace& b) {
  const auto differ = [](std::uint64_t x, std::uint64_t y) { return x != 0 && y != 0 && x != y; };
  if (a.graph != b.graph) return fmt::format("different graphs ({} and {})", a.graph, b.graph);
  if (differ(a.graph_hash, b.graph_hash))
    return fmt::format("another batch, number type or options of the model (graph {} and {})",
                       hex(a.graph_hash), hex(b.graph_hash));
  if (differ(a.strategy_hash, b.strategy_hash))
    return fmt::format("different strategies (strategy {} and {})", hex(a.strategy_hash),
                       hex(b.strategy_hash));
  if (a.plan_hash != b.plan_hash)
    return fmt::format("another cluster, optimizer, clipping or kernels (plan {} and {})",
                       hex(a.plan_hash), hex(b.plan_hash));
  return {};
}

namespace {

// By lane, start, end and task.
std::vector<std::uint32_t> order_of(const Spans& s) {
  const auto key = [&](std::uint32_t i) {
    return std::tuple(s.lane[i], s.start[i], s.end[i], s.task[i]);
  };
  const auto is_before = [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); };
  // Most stand in order: what does not is sorted and merged.
  std::vector<std::uint32_t> order, others;
  order.reserve(s.size());
  for (std::uint32_t i = 0; i < s.size(); ++i)
    (order.empty() || !is_before(i, order.back()) ? order : others).push_back(i);
  std::sort(others.begin(), others.end(), is_before);
  const auto middle = order.insert(order.end(), others.begin(), others.end());
  std::inplace_merge(order.begin(), middle, order.end(), is_before);
  return order;
}

void permute(Spans& s, const std::vector<std::uint32_t>& order) {
  Spans::fields(s, [&](std::string_view, auto& column, auto...) {
    auto sorted = column;
    for (std::size_t i = 0; i < order.size(); ++i) sorted[i] = column[order[i]];
    column = std::move(sorted);
  });
}

}  // namespace

void sort_spans(Trace& trace) { permute(trace.spans, order_of(trace.spans)); }

void add_communication_lanes(Trace& trace) {
  Spans& s = trace.spans;
  const std::vector<std::uint32_t> order = order_of(s);
  std::vector<Lane> lanes;
  std::vector<std::int64_t> end_of_lane;  // of this device's communication
  std::size_t i = 0;
  for (std::uint32_t from = 0; from < trace.lanes.size(); ++from) {
    const auto compute = static_cast<std::uint32_t>(lanes.size());
    lanes.push_back(trace.lanes[from]);
    end_of_lane.clear();
    for (; i < order.size() && s.lane[order[i]] == from; ++i) {
      const std::uint32_t span = order[i];
      s.lane[span] = compute;
      if (!runs_beside(s.kind[span])) continue;
      std::size_t free = 0;
      while (free < end_of_lane.size() && end_of_lane[free] > s.start[span].value) ++free;
      if (free == end_of_lane.size()) {
        end_of_lane.push_back(0);
        lanes.push_back({trace.lanes[from].device, LaneKind::kCommunication});
      }
      end_of_lane[free] = s.end[span].value;
      s.lane[span] += 1 + static_cast<std::uint32_t>(free);
    }
  }
  trace.lanes = std::move(lanes);
  // Each lane keeps its order.
  std::vector<std::uint32_t> next(trace.lanes.size() + 1, 0);
  for (const std::uint32_t lane : s.lane) ++next[lane + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<std::uint32_t> by_lane(order.size());
  for (const std::uint32_t span : order) by_lane[next[s.lane[span]]++] = span;
  permute(s, by_lane);
}

MemoryCounter memory_counter(const DeviceClass& program, DeviceId device,
                             std::span<const Nanoseconds> start, std::span<const Nanoseconds> end) {
  // Of each buffer the tasks that begin first and end last among those that use it.
  struct Life {
    Nanoseconds from{INT64_MAX}, to{INT64_MIN};
    std::uint32_t first = 0, last = 0;
  };
  std::vector<Life> life(program.buffers.size());
  for (std::uint32_t i = 0; i < program.tasks.size(); ++i)
    for (const BufferUse& use : program.uses_of(program.tasks[i])) {
      if (use.buffer == kNoIndex) continue;
      const std::uint32_t whole = program.buffers[use.buffer].inside;
      Life& l = life[whole == kNoIndex ? use.buffer : whole];
      if (start[i] < l.from) l.from = start[i], l.first = i;
      if (end[i] > l.to) l.to = end[i], l.last = i;
    }
  Bytes alive;
  std::vector<Bytes> begun(program.tasks.size()), ended(program.tasks.size());  // with a task
  for (std::size_t b = 0; b < life.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.inside != kNoIndex || buffer.memory != Memory::kDevice) continue;
    if (lives_always(buffer.kind)) {
      alive += buffer.size;
    } else if (life[b].from < life[b].to) {
      begun[life[b].first] += buffer.size;
      ended[life[b].last] += buffer.size;
    }
  }
  // Most stand in order, as spans do.
  using Change = std::pair<Nanoseconds, Bytes>;
  std::vector<Change> ordered{{Nanoseconds(0), Bytes(0)}}, others;
  const auto add = [&](Nanoseconds time, Bytes bytes) {
    if (bytes.value != 0)
      (time < ordered.back().first ? others : ordered).emplace_back(time, bytes);
  };
  for (std::size_t i = 0; i < program.tasks.size(); ++i) {
    add(start[i], begun[i]);
    add(end[i], Bytes(-ended[i].value));
  }
  std::sort(others.begin(), others.end());
  std::vector<Change> change(ordered.size() + others.size());
  std::merge(ordered.begin(), ordered.end(), others.begin(), others.end(), change.begin(),
             [](const Change& a, const Change& b) { return a.first < b.first; });
  MemoryCounter out;
  out.device = device;
  for (std::size_t i = 0; i < change.size();) {
    const Nanoseconds time = change[i].first;
    Bytes bytes;
    for (; i < change.size() && change[i].first == time; ++i) bytes += change[i].second;
    if (bytes.value == 0 && time.value != 0) continue;
    alive += bytes;
    out.time.push_back(time);
    out.value.push_back(alive);
    out.live_peak = std::max(out.live_peak, alive);
  }
  return out;
}

Status check(const Trace& trace) {
  const Spans& s = trace.spans;
  Status status;
  Spans::fields(s, [&](std::string_view name, const auto& column, auto...) {
    if (status && column.size() != s.size())
      status = usage_error("spans: column {} has {} entries, lane has {}", name, column.size(),
                           s.size());
  });
  if (!status) return status;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s.lane[i] >= trace.lanes.size())
      return usage_error("span {}: lane {} of {}", i, s.lane[i], trace.lanes.size());
    if (s.label[i] >= trace.labels.size())
      return usage_error("span {}: label {} of {}", i, s.label[i], trace.labels.size());
    if (s.end[i] < s.start[i])
      return usage_error("span {}: ends at {} ns before it starts at {} ns", i, s.end[i].value,
                         s.start[i].value);
    if (i > 0 && s.lane[i] < s.lane[i - 1])
      return usage_error("span {}: lanes are not in order", i);
    if (i > 0 && s.lane[i] == s.lane[i - 1] && s.start[i] < s.end[i - 1])
      return usage_error("span {}: starts at {} ns before span {} of its lane ends at {} ns", i,
                         s.start[i].value, i - 1, s.end[i - 1].value);
  }
  for (std::size_t i = 0; i < trace.memory.size(); ++i)
    if (trace.memory[i].time.size() != trace.memory[i].value.size())
      return usage_error("memory {}: {} times, {} values", i, trace.memory[i].time.size(),
                         trace.memory[i].value.size());
  return {};
}

}  // namespace soapstone::core
