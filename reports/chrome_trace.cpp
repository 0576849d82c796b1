#include "reports/chrome_trace.hpp"

#include <iterator>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "reports/detail/text.hpp"
#include "reports/memory_curves.hpp"

namespace soapstone::reports {

using namespace core;

namespace {

using detail::json_string;

std::string microseconds(Nanoseconds t) {
  return fmt::format("{}.{:03}", t.value / 1000, t.value % 1000);
}

class Writer {
 public:
  explicit Writer(const Plan& plan) : plan_(plan), places_(detail::places_of(plan)) {}

  void add(const Trace& trace, int pid) {
    pid_ = pid;
    const std::string name(name_of(trace.origin));
    meta("process_name", 0, "name", json_string(name));
    meta("process_sort_index", 0, "sort_index", std::to_string(pid));
    std::map<Lane, int> seen;
    for (std::size_t l = 0; l < trace.lanes.size(); ++l) {
      const Lane& lane = trace.lanes[l];
      const int number = ++seen[lane];
      meta("thread_name", l + 1, "name",
           json_string(fmt::format("device {} {}{}", lane.device.value, name_of(lane.kind),
                                   number > 1 ? fmt::format(" {}", number) : "")));
      meta("thread_sort_index", l + 1, "sort_index", std::to_string(l + 1));
    }
    labels_.clear();
    for (const std::string& label : trace.labels) labels_.push_back(json_string(label));
    for (std::size_t i = 0; i < trace.spans.size(); ++i) span(trace, i);
    flows(trace);
    for (const MemoryCurve& curve : memory_curves(plan_, trace)) counter(curve);
  }

  std::string take() { return std::move(out_) + "\n"; }

 private:
  template <class... Args>
  void event(fmt::format_string<Args...> format, Args&&... args) {
    out_ += out_.empty() ? "" : ",\n";
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void meta(std::string_view what, std::size_t thread, std::string_view key,
            const std::string& value) {
    event(R"({{"ph":"M","pid":{},"tid":{},"name":"{}","args":{{"{}":{}}}}})", pid_, thread, what,
          key, value);
  }

  void span(const Trace& trace, std::size_t i) {
    const Spans& s = trace.spans;
    event(
        R"({{"ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"name":{},"cat":"{}","args":{{"phase":"{}","waiting_us":{},"bytes":{},"flops":{},"cost":"{}","task":{}}}}})",
        pid_, s.lane[i] + 1, microseconds(s.start[i]), microseconds(s.end[i] - s.start[i]),
        labels_[s.label[i]], name_of(s.kind[i]), name_of(s.phase[i]), microseconds(s.waiting[i]),
        s.bytes[i].value, s.flops[i].value, name_of(s.source[i]), s.task[i]);
  }

  void flows(const Trace& trace) {
    const Spans& s = trace.spans;
    // Parts of one transfer have one place in the plan's order.
    std::map<std::uint32_t, std::vector<std::size_t>> parts;
    for (std::size_t i = 0; i < s.size(); ++i) {
      if (s.kind[i] != TaskKind::kTransfer) continue;
      const PlanPlace place = places_[trace.lanes[s.lane[i]].device.value];
      parts[plan_.classes[place.class_index].tasks[s.task[i]].order].push_back(i);
    }
    for (const auto& [order, spans] : parts) {
      std::size_t last = spans[0];
      for (const std::size_t i : spans)
        if (s.start[i] > s.start[last]) last = i;
      for (const std::size_t i : spans) {
        if (i == last || s.waiting[i].value == 0 || s.end[i] < s.start[last]) continue;
        ++flow_;
        flow("s", s.lane[last], s.start[last], labels_[s.label[i]]);
        flow("f", s.lane[i], s.start[last], labels_[s.label[i]]);
      }
    }
  }

  void flow(std::string_view phase, std::uint32_t lane, Nanoseconds time,
            const std::string& label) {
    event(R"({{"ph":"{}","pid":{},"tid":{},"ts":{},"id":{},"name":{},"cat":"transfer","bp":"e"}})",
          phase, pid_, lane + 1, microseconds(time), flow_, label);
  }

  void counter(const MemoryCurve& curve) {
    for (std::size_t i = 0; i < curve.time.size(); ++i) {
      std::string holders;
      for (std::size_t h = 0; h < kHolders; ++h)
        holders += fmt::format("{}\"{}\":{}", h == 0 ? "" : ",", name_of(static_cast<Holder>(h)),
                               curve.held[h][i].value);
      event(R"({{"ph":"C","pid":{},"ts":{},"name":"bytes alive on device {}","args":{{{}}}}})",
            pid_, microseconds(curve.time[i]), curve.device.value, holders);
    }
  }

  const Plan& plan_;
  const std::vector<PlanPlace> places_;
  int pid_ = 1;
  std::uint64_t flow_ = 0;
  std::vector<std::string> labels_;
  std::string out_;
};

}  // namespace

std::string chrome_trace(const ReportInput& input) {
  Writer writer(input.plan);
  writer.add(input.predicted, 1);
  if (input.measured) writer.add(*input.measured, 2);
  return fmt::format(
      "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"graph\":{},\"cluster\":{}}},"
      "\"traceEvents\":[\n{}]}}\n",
      json_string(input.graph.name()), json_string(input.cluster.name()), writer.take());
}

}  // namespace soapstone::reports
