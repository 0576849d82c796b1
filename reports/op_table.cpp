#include "reports/op_table.hpp"

#include <algorithm>
#include <map>

#include "reports/detail/text.hpp"

namespace soapstone::reports {

using namespace core;

namespace {

// The rows behind the operators.
enum ExtraRow : std::uint32_t { kData, kGradientNorm, kWorkspace, kExtraRows };
constexpr std::string_view kExtraNames[] = {"data", "gradient norm", "workspace"};

std::uint32_t row_of(const Graph& graph, const Task& task) {
  if (task.op != kNoIndex) return task.op;
  const auto ops = static_cast<std::uint32_t>(graph.ops().size());
  return ops + (task.kind == TaskKind::kLoad ? kData : kGradientNorm);
}

std::uint32_t row_of(const Graph& graph, const DeviceClass& program, std::size_t buffer,
                     const std::vector<std::uint32_t>& first_row) {
  const Buffer& b = program.buffers[buffer];
  const auto ops = static_cast<std::uint32_t>(graph.ops().size());
  if (b.kind == BufferKind::kWorkspace) return ops + kWorkspace;
  if (b.tensor == kNoIndex) return first_row[buffer];
  const Tensor& tensor = graph.tensors()[b.tensor];
  return tensor.role == TensorRole::kSource ? ops + kData : tensor.producer.op.value;
}

void add_times(const Graph& graph, const Plan& plan, const Trace& trace, std::vector<OpRow>& rows,
               bool predicted) {
  const Spans& s = trace.spans;
  const auto row = rows_of_spans(graph, plan, trace);
  std::map<std::pair<std::uint32_t, DeviceId>, Nanoseconds> on_device;
  for (std::size_t i = 0; i < s.size(); ++i) {
    OpRow& r = rows[row[i]];
    WorkTimes& times = predicted ? r.predicted : *r.measured;
    const Nanoseconds busy = s.end[i] - s.start[i] - s.waiting[i];
    const bool updates = s.kind[i] == TaskKind::kUpdate || s.kind[i] == TaskKind::kUpdateRows;
    (runs_beside(s.kind[i]) ? times.transfer : updates ? times.update : times.compute) += busy;
    if (!predicted) continue;
    Nanoseconds& sum = on_device[{row[i], trace.lanes[s.lane[i]].device}];
    sum += busy;
    r.longest = std::max(r.longest, sum);
    if (s.kind[i] == TaskKind::kTransfer) r.moved += s.bytes[i];
    const std::string_view source = name_of(s.source[i]);
    if (r.source.empty())
      r.source = source;
    else if (r.source != source)
      r.source = "mixed";
  }
}

void add_memory(const Graph& graph, const Plan& plan, std::vector<OpRow>& rows) {
  std::vector<std::uint32_t> first_row;
  std::vector<Bytes> sums;
  for (const DeviceClass& program : plan.classes) {
    first_row.assign(program.buffers.size(),
                     static_cast<std::uint32_t>(graph.ops().size()) + kGradientNorm);
    for (std::size_t i = program.tasks.size(); i-- > 0;)
      for (const BufferUse& use : program.uses_of(program.tasks[i]))
        if (use.buffer != kNoIndex) first_row[use.buffer] = row_of(graph, program.tasks[i]);
    sums.assign(rows.size(), Bytes(0));
    for (std::size_t b = 0; b < program.buffers.size(); ++b)
      sums[row_of(graph, program, b, first_row)] += program.buffers[b].size;
    for (std::size_t r = 0; r < rows.size(); ++r)
      rows[r].memory = std::max(rows[r].memory, sums[r]);
  }
}

}  // namespace

std::vector<std::uint32_t> rows_of_spans(const Graph& graph, const Plan& plan, const Trace& trace) {
  const auto places = detail::places_of(plan);
  std::vector<std::uint32_t> rows;
  rows.reserve(trace.spans.size());
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    const DeviceId device = trace.lanes[trace.spans.lane[i]].device;
    const DeviceClass& program = plan.classes[places[device.value].class_index];
    rows.push_back(row_of(graph, program.tasks[trace.spans.task[i]]));
  }
  return rows;
}

std::vector<OpRow> op_table(const ReportInput& input) {
  return op_table(input.graph, input.strategy, input.plan, input.predicted,
                  input.measured ? &*input.measured : nullptr);
}

std::vector<OpRow> op_table(const Graph& graph, const Strategy& strategy, const Plan& plan,
                            const Trace& predicted, const Trace* measured) {
  std::vector<OpRow> rows;
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const OpNode& node = graph.ops()[i];
    OpRow& row = rows.emplace_back();
    row.name = node.name;
    row.kind = node.op.name();
    row.split = detail::split_text(node, strategy.ops[i]);
    row.devices = core::device_text(strategy.ops[i].devices);
  }
  for (const std::string_view name : kExtraNames) rows.emplace_back().name = name;
  if (measured)
    for (OpRow& row : rows) row.measured.emplace();
  add_times(graph, plan, predicted, rows, true);
  if (measured) add_times(graph, plan, *measured, rows, false);
  add_memory(graph, plan, rows);
  return rows;
}

std::optional<double> relative_error(Nanoseconds predicted, std::optional<Nanoseconds> measured) {
  if (!measured || measured->value == 0) return std::nullopt;
  return static_cast<double>((predicted - *measured).value) / static_cast<double>(measured->value);
}

}  // namespace soapstone::reports
