#include "reports/movements.hpp"

#include <set>

#include "reports/detail/text.hpp"

namespace soapstone::reports {

using namespace core;

void Moves::add(Pattern pattern, Bytes bytes) {
  if (bytes.value > 0) by_pattern[pattern] += bytes;
}

void Moves::add(const Moves& other) {
  for (const auto& [pattern, bytes] : other.by_pattern) by_pattern[pattern] += bytes;
}

Bytes Moves::all() const {
  Bytes sum;
  for (const auto& [pattern, bytes] : by_pattern) sum += bytes;
  return sum;
}

std::vector<Move> Moves::mean(std::int64_t count) const {
  std::vector<Move> out;
  for (const auto& [pattern, bytes] : by_pattern)
    out.push_back({pattern, Bytes((bytes.value + count / 2) / count)});
  return out;
}

Movements movements(const Graph& graph, const Plan& plan, const Trace& trace,
                    std::span<const Nanoseconds> exposed_of_span) {
  Movements out;
  out.ops.resize(graph.ops().size());
  // Who computes with a buffer, per class.
  std::vector<std::vector<std::set<std::uint32_t>>> readers_of;
  for (const DeviceClass& program : plan.classes) {
    auto& readers = readers_of.emplace_back(program.buffers.size());
    for (const Task& task : program.tasks) {
      if (task.kind != TaskKind::kCompute) continue;
      for (const BufferUse& use : program.uses_of(task))
        if (use.buffer != kNoIndex && use.access == UseAccess::kRead)
          readers[use.buffer].insert(task.op);
    }
  }
  const auto places = detail::places_of(plan);
  const Spans& s = trace.spans;
  // Parts of one transfer have one place in the plan's order.
  struct Moved {
    const Task* task = nullptr;
    Pattern pattern = Pattern::kNone;
    Bytes bytes;
    Nanoseconds exposed;
    std::set<std::uint32_t> readers;
  };
  std::map<std::uint32_t, Moved> transfers;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s.kind[i] != TaskKind::kTransfer) continue;
    const PlanPlace place = places[trace.lanes[s.lane[i]].device.value];
    const DeviceClass& program = plan.classes[place.class_index];
    const Task& task = program.tasks[s.task[i]];
    Moved& moved = transfers[task.order];
    moved.task = &task;
    moved.pattern = plan.transfers[plan.entry(task, place.member)].pattern;
    moved.bytes += s.bytes[i];
    if (!exposed_of_span.empty()) moved.exposed += exposed_of_span[i];
    if (const std::uint32_t wanted = program.uses_of(task)[1].buffer; wanted != kNoIndex)
      moved.readers.insert(readers_of[place.class_index][wanted].begin(),
                           readers_of[place.class_index][wanted].end());
  }
  for (auto& [order, moved] : transfers) {
    if (moved.bytes.value == 0) continue;
    const Task& task = *moved.task;
    if (task.tensor == kNoIndex) {
      if (task.op == kNoIndex) continue;
      out.ops[task.op].inside.add(moved.pattern, moved.bytes);
      out.ops[task.op].exposed += moved.exposed;
      continue;
    }
    const Tensor& tensor = graph.tensors()[task.tensor];
    if (tensor.role == TensorRole::kWeight) {
      OpMoves& of = out.ops[tensor.producer.op.value];
      of.weights.add(moved.pattern, moved.bytes);
      of.exposed += moved.exposed;
    } else if (moves_gradient(task)) {
      EdgeMoves& edge = out.edges[{task.tensor, task.op}];
      edge.gradients.add(moved.pattern, moved.bytes);
      edge.gradients_exposed += moved.exposed;
    } else {
      // The producer reads its own output too where its backward pass wants it.
      if (moved.readers.size() > 1) moved.readers.erase(tensor.producer.op.value);
      for (const std::uint32_t reader : moved.readers) {
        EdgeMoves& edge = out.edges[{task.tensor, reader}];
        edge.values.add(moved.pattern, moved.bytes);
        edge.values_exposed += moved.exposed;
      }
    }
  }
  return out;
}

}  // namespace soapstone::reports
