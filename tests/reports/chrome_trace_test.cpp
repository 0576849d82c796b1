#include "reports/chrome_trace.hpp"

#include <cmath>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "reports/memory_curves.hpp"
#include "tests/reports/sample.hpp"

namespace soapstone::reports {
namespace {

using namespace core;
using nlohmann::json;

std::int64_t nanoseconds(const json& microseconds) {
  return std::llround(microseconds.get<double>() * 1000);
}

std::vector<json> events(const json& trace, const std::string& phase, int process) {
  std::vector<json> out;
  for (const json& e : trace.at("traceEvents"))
    if (e.at("ph") == phase && e.at("pid") == process) out.push_back(e);
  return out;
}

TEST(ChromeTrace, HasTheSpansOfTheTraces) {
  ReportInput in = measured_sample();
  in.predicted.spans.end.back() += 1_ns;  // nothing of a nanosecond is lost
  const json trace = json::parse(chrome_trace(in));
  for (const int process : {1, 2}) {
    const Trace& t = process == 1 ? in.predicted : *in.measured;
    const auto spans = events(trace, "X", process);
    ASSERT_EQ(spans.size(), t.spans.size());
    for (std::size_t i = 0; i < spans.size(); ++i) {
      EXPECT_EQ(nanoseconds(spans[i].at("ts")), t.spans.start[i].value);
      EXPECT_EQ(nanoseconds(spans[i].at("dur")), (t.spans.end[i] - t.spans.start[i]).value);
      EXPECT_EQ(spans[i].at("name"), t.labels[t.spans.label[i]]);
      EXPECT_EQ(spans[i].at("tid"), t.spans.lane[i] + 1);
      EXPECT_EQ(spans[i].at("cat"), std::string(name_of(t.spans.kind[i])));
    }
  }
}

TEST(ChromeTrace, NamesProcessesAndThreads) {
  const json trace = json::parse(chrome_trace(sample(2)));
  std::map<std::string, std::vector<std::string>> names;
  for (const json& e : events(trace, "M", 1))
    if (e.at("args").contains("name")) names[e.at("name")].push_back(e.at("args").at("name"));
  EXPECT_EQ(names["process_name"], std::vector<std::string>{"predicted"});
  EXPECT_EQ(names["thread_name"],
            (std::vector<std::string>{"device 0 compute", "device 0 communication",
                                      "device 0 communication 2", "device 1 compute",
                                      "device 1 communication", "device 1 communication 2"}));
  EXPECT_TRUE(events(trace, "M", 2).empty());
}

TEST(ChromeTrace, CountsMemoryByHolder) {
  const ReportInput in = sample();
  const json trace = json::parse(chrome_trace(in));
  std::map<std::string, std::int64_t> most;
  for (const json& e : events(trace, "C", 1)) {
    std::int64_t sum = 0;
    for (const auto& [holder, bytes] : e.at("args").items()) sum += bytes.get<std::int64_t>();
    auto& m = most[e.at("name")];
    m = std::max(m, sum);
  }
  ASSERT_EQ(most.size(), 2u);
  EXPECT_EQ(most["bytes alive on device 0"], in.predicted.memory[0].live_peak.value);
  EXPECT_EQ(most["bytes alive on device 1"], in.predicted.memory[1].live_peak.value);
}

TEST(ChromeTrace, DrawsArrowsToThoseThatWaited) {
  ReportInput in = sample();
  // Device 1 begins its first transfer 3 ms late, device 0 waits for it.
  Spans& s = in.predicted.spans;
  std::size_t first[2] = {s.size(), s.size()};
  for (std::size_t i = s.size(); i-- > 0;)
    if (s.kind[i] == TaskKind::kTransfer) first[in.predicted.lanes[s.lane[i]].device.value] = i;
  s.start[first[1]] += 3_ms;
  s.end[first[0]] += 3_ms;
  s.waiting[first[0]] = 3_ms;
  const json trace = json::parse(chrome_trace(in));
  const auto begins = events(trace, "s", 1), ends = events(trace, "f", 1);
  ASSERT_EQ(begins.size(), 1u);
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(begins[0].at("id"), ends[0].at("id"));
  EXPECT_EQ(begins[0].at("tid"), s.lane[first[1]] + 1);
  EXPECT_EQ(ends[0].at("tid"), s.lane[first[0]] + 1);
  EXPECT_EQ(nanoseconds(ends[0].at("ts")), s.start[first[1]].value);
}

}  // namespace
}  // namespace soapstone::reports
