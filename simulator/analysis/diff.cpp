#include "simulator/analysis/diff.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "core/units.hpp"

namespace soapstone::simulator {

using namespace core;

double TimePair::relative_error() const {
  if (measured.value == 0) return predicted.value == 0 ? 0 : INFINITY;
  return static_cast<double>((predicted - measured).value) / static_cast<double>(measured.value);
}

namespace {

std::int64_t off(const TimePair& t) { return std::abs((t.predicted - t.measured).value); }

}  // namespace

Result<TraceDiff> diff(const Trace& predicted, const Trace& measured, std::size_t worst) {
  if (predicted.graph != measured.graph)
    return usage_error("the traces are of different graphs: {} and {}", predicted.graph,
                       measured.graph);
  TraceDiff out;
  out.graph = predicted.graph;
  out.first = predicted.origin;
  out.second = measured.origin;
  out.same_plan = predicted.plan_hash == measured.plan_hash;
  out.difference = plan_difference(predicted, measured);
  out.step = {predicted.step_time, measured.step_time};
  out.step_relative_error = out.step.relative_error();
  out.first_use = utilization(predicted);
  out.second_use = utilization(measured);

  std::map<TaskKind, DiffRow> kinds;
  std::map<std::string, DiffRow> labels;
  struct Found {
    SpanDiff span;
    bool in_first = false, in_second = false;
  };
  std::map<std::pair<DeviceId, std::uint32_t>, Found> tasks;
  const auto add = [&](const Trace& trace, bool first) {
    const Spans& s = trace.spans;
    for (std::size_t i = 0; i < s.size(); ++i) {
      const std::string& label = trace.labels[s.label[i]];
      const Nanoseconds busy = s.end[i] - s.start[i] - s.waiting[i];
      for (DiffRow* row : {&kinds[s.kind[i]], &labels[label]}) {
        (first ? row->predicted_spans : row->measured_spans) += 1;
        (first ? row->busy.predicted : row->busy.measured) += busy;
        (first ? row->waiting.predicted : row->waiting.measured) += s.waiting[i];
      }
      if (!out.same_plan) continue;
      const DeviceId device = trace.lanes[s.lane[i]].device;
      Found& f = tasks[{device, s.task[i]}];
      f.span.name = label;
      f.span.device = device;
      f.span.task = s.task[i];
      (first ? f.span.busy.predicted : f.span.busy.measured) += busy;
      (first ? f.in_first : f.in_second) = true;
    }
  };
  add(predicted, true);
  add(measured, false);
  for (auto& [kind, row] : kinds) {
    row.name = name_of(kind);
    out.kinds.push_back(std::move(row));
  }
  for (auto& [label, row] : labels) {
    row.name = label;
    out.labels.push_back(std::move(row));
  }
  std::stable_sort(out.labels.begin(), out.labels.end(),
                   [](const auto& a, const auto& b) { return off(a.busy) > off(b.busy); });
  for (auto& [key, f] : tasks) {
    if (f.in_first && f.in_second)
      out.worst.push_back(std::move(f.span));
    else
      ++out.unmatched;
  }
  std::stable_sort(out.worst.begin(), out.worst.end(),
                   [](const auto& a, const auto& b) { return off(a.busy) > off(b.busy); });
  if (out.worst.size() > worst) out.worst.resize(worst);
  return out;
}

namespace {

std::string percent(const TimePair& t) {
  const double e = t.relative_error();
  return std::isinf(e) ? "-" : fmt::format("{:+.1f} %", e * 100);
}

void table(std::string& out, std::string_view title, std::span<const DiffRow> rows,
           const DiffWords& w) {
  std::size_t width = title.size();
  for (const auto& r : rows) width = std::max(width, r.name.size());
  out += fmt::format("{:<{}}  {:>10} {:>10} {:>10}  {:>17} {:>17}\n", title, width, w.first,
                     w.second, w.between, fmt::format("{} waiting", w.first),
                     fmt::format("{} waiting", w.second));
  for (const auto& r : rows)
    out += fmt::format("{:<{}}  {:>10} {:>10} {:>10}  {:>17} {:>17}\n", r.name, width,
                       human_text(r.busy.predicted), human_text(r.busy.measured), percent(r.busy),
                       human_text(r.waiting.predicted), human_text(r.waiting.measured));
}

}  // namespace

DiffWords words(const TraceDiff& d) {
  if (d.first == d.second) return {"first", "second", "difference"};
  const bool is_usual = d.first == TraceOrigin::kPredicted;
  return {name_of(d.first), name_of(d.second), is_usual ? "error" : "difference"};
}

std::string text(const TraceDiff& d, std::size_t rows) {
  const DiffWords w = words(d);
  std::string out = fmt::format("{}: {} step {}, {} step {}: {}\n", d.graph, w.first,
                                human_text(d.step.predicted), w.second, human_text(d.step.measured),
                                percent(d.step));
  if (d.first == d.second) out += fmt::format("Both traces are {}.\n", name_of(d.first));
  out += fmt::format("devices, {}: {}\ndevices, {}: {}\n", w.first, text(d.first_use), w.second,
                     text(d.second_use));
  if (!d.same_plan)
    out += fmt::format("The traces have {}: tasks are compared by name only.\n", d.difference);
  out += "\nAll devices together, without waiting\n";
  table(out, "kind", d.kinds, w);
  out += '\n';
  table(out, "task", std::span(d.labels).first(std::min(rows, d.labels.size())), w);
  if (d.labels.size() > rows) out += fmt::format("… and {} more\n", d.labels.size() - rows);
  if (!d.worst.empty()) {
    out += "\nFurthest off\n";
    for (const SpanDiff& s : d.worst)
      out += fmt::format("  device {} task {}: {}: {} {}, {} {}, {}\n", s.device.value, s.task,
                         s.name, w.first, human_text(s.busy.predicted), w.second,
                         human_text(s.busy.measured), percent(s.busy));
  }
  if (d.unmatched > 0) out += fmt::format("{} tasks are in one of the traces only\n", d.unmatched);
  return out;
}

}  // namespace soapstone::simulator
