#include "core/trace.hpp"

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "core/json.hpp"

namespace soapstone::core {
namespace {

Trace sample() {
  Trace t;
  t.origin = TraceOrigin::kMeasured;
  t.graph = "mlp";
  t.plan_hash = 0xfedcba9876543210ull;
  t.step_time = 90_ns;
  t.steps = 7;
  t.labels = {"fc1 forward", "fc1.y all-gather"};
  t.lanes = {{DeviceId(0), LaneKind::kCompute}, {DeviceId(0), LaneKind::kCommunication}};
  const auto span = [&](std::uint32_t lane, std::int64_t start, std::int64_t end,
                        std::uint32_t task) {
    t.spans.lane.push_back(lane);
    t.spans.start.emplace_back(start);
    t.spans.end.emplace_back(end);
    t.spans.waiting.emplace_back(lane);
    t.spans.task.push_back(task);
    t.spans.kind.push_back(lane == 0 ? TaskKind::kCompute : TaskKind::kTransfer);
    t.spans.phase.push_back(Phase::kBackwardInput);
    t.spans.label.push_back(lane);
    t.spans.bytes.emplace_back(64 * task);
    t.spans.flops.emplace_back(1.5 * task);
    t.spans.source.push_back(CostSource{});
  };
  span(1, 40, 60, 1);
  span(0, 60, 90, 2);
  span(0, 0, 40, 0);
  t.memory = {{DeviceId(0), {0_ns, 40_ns}, {64_B, 32_B}, 64_B, 128_B}};
  return t;
}

TEST(Trace, SpansAreSortedByLaneThenStart) {
  Trace t = sample();
  EXPECT_FALSE(check(t));
  sort_spans(t);
  EXPECT_TRUE(check(t));
  EXPECT_EQ(t.spans.task, (std::vector<std::uint32_t>{0, 2, 1}));
  EXPECT_EQ(t.spans.label, (std::vector<std::uint32_t>{0, 0, 1}));
  EXPECT_EQ(t.spans.flops, (std::vector<Flops>{Flops(0), Flops(3), Flops(1.5)}));
}

TEST(Trace, WhatIsWrongIsNamed) {
  const auto refusal = [](auto change) {
    Trace t = sample();
    sort_spans(t);
    change(t);
    const Status s = check(t);
    return s ? std::string("accepted") : s.error().message;
  };
  EXPECT_EQ(refusal([](Trace& t) { t.spans.start[1] = 39_ns; }),
            "span 1: starts at 39 ns before span 0 of its lane ends at 40 ns");
  EXPECT_EQ(refusal([](Trace& t) { t.spans.end[1] = 59_ns; }),
            "span 1: ends at 59 ns before it starts at 60 ns");
  EXPECT_EQ(refusal([](Trace& t) { t.spans.bytes.pop_back(); }),
            "spans: column bytes has 2 entries, lane has 3");
  EXPECT_EQ(refusal([](Trace& t) { t.spans.lane[2] = 2; }), "span 2: lane 2 of 2");
  EXPECT_EQ(refusal([](Trace& t) { t.spans.label[0] = 2; }), "span 0: label 2 of 2");
}

TEST(Trace, ComesBackFromItsDocument) {
  Trace t = sample();
  sort_spans(t);
  const auto read = document_from_text<Trace>(document_text(t).value(), "test");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, t);
  EXPECT_EQ(hash_of(*read), hash_of(t));
  EXPECT_EQ(print(*read), print(t));
  Trace other = t;
  other.spans.end[2] = 61_ns;
  EXPECT_NE(other, t);
  EXPECT_NE(hash_of(other), hash_of(t));
}

}  // namespace
}  // namespace soapstone::core
