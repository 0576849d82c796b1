#include "core/trace.hpp"

#include <algorithm>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

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

// Two devices, each with what it computes in order and what it moves among that.
TEST(Trace, SpansInAnyOrderAreSorted) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20; ++round) {
    Trace t;
    t.lanes = {{DeviceId(0), LaneKind::kCompute}, {DeviceId(1), LaneKind::kCompute}};
    for (std::uint32_t device = 0; device < 2; ++device)
      for (std::uint32_t task = 0; task < 60; ++task) {
        const bool moves = random() % 3 == 0;
        const auto start = static_cast<std::int64_t>(moves ? random() % 700 : 10 * task);
        t.spans.lane.push_back(device);
        t.spans.start.push_back(Nanoseconds(start));
        t.spans.end.push_back(Nanoseconds(start + (moves ? 25 : 10)));
        t.spans.task.push_back(task);
        t.spans.kind.push_back(moves ? TaskKind::kTransfer : TaskKind::kCompute);
      }
    Spans::fields(t.spans, [&](std::string_view, auto& column, auto...) { column.resize(120); });
    const auto keys = [&] {
      std::vector<std::tuple<std::uint32_t, Nanoseconds, Nanoseconds, std::uint32_t>> out;
      for (std::size_t i = 0; i < t.spans.size(); ++i)
        out.emplace_back(t.spans.lane[i], t.spans.start[i], t.spans.end[i], t.spans.task[i]);
      return out;
    };
    auto sorted = keys();
    std::sort(sorted.begin(), sorted.end());
    Trace own = t;
    add_communication_lanes(own);
    sort_spans(t);
    EXPECT_EQ(keys(), sorted);
    t = std::move(own);
    EXPECT_GT(t.lanes.size(), 4u);
    for (std::size_t i = 0; i < t.spans.size(); ++i)
      EXPECT_EQ(t.lanes[t.spans.lane[i]].kind == LaneKind::kCommunication,
                t.spans.kind[i] == TaskKind::kTransfer);
    sorted = keys();
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(keys(), sorted);
  }
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

TEST(Trace, CommunicationTakesTheFirstLaneThatIsFree) {
  Trace t = sample();
  t.spans = {};
  t.lanes = {{DeviceId(0), LaneKind::kCompute}, {DeviceId(1), LaneKind::kCompute}};
  const auto span = [&](std::uint32_t device, TaskKind kind, std::int64_t start, std::int64_t end) {
    t.spans.task.push_back(static_cast<std::uint32_t>(t.spans.size()));
    t.spans.lane.push_back(device);
    t.spans.kind.push_back(kind);
    t.spans.start.emplace_back(start);
    t.spans.end.emplace_back(end);
    t.spans.waiting.emplace_back(0);
    t.spans.phase.push_back(Phase::kForward);
    t.spans.label.push_back(0);
    t.spans.bytes.emplace_back(0);
    t.spans.flops.emplace_back(0);
    t.spans.source.push_back(CostSource{});
  };
  span(1, TaskKind::kTransfer, 0, 10);   // 0
  span(0, TaskKind::kCompute, 0, 30);    // 1
  span(0, TaskKind::kTransfer, 25, 40);  // 2: beside 3
  span(0, TaskKind::kTransfer, 5, 30);   // 3
  span(0, TaskKind::kHostCopy, 30, 35);  // 4: when 3 has ended
  span(0, TaskKind::kTransfer, 30, 30);  // 5: no time, before 4
  EXPECT_FALSE(check(t));
  add_communication_lanes(t);
  ASSERT_TRUE(check(t)) << check(t).error().message;
  using Lanes = std::vector<Lane>;
  const Lane compute{DeviceId(0), LaneKind::kCompute}, talk{DeviceId(0), LaneKind::kCommunication};
  EXPECT_EQ(t.lanes, (Lanes{compute,
                            talk,
                            talk,
                            {DeviceId(1), LaneKind::kCompute},
                            {DeviceId(1), LaneKind::kCommunication}}));
  EXPECT_EQ(t.spans.task, (std::vector<std::uint32_t>{1, 3, 5, 4, 2, 0}));
  EXPECT_EQ(t.spans.lane, (std::vector<std::uint32_t>{0, 1, 1, 1, 2, 4}));
}

// A weight of 8 bytes, a bucket of 32 with a part of 16, and a copy in the host's memory.
TEST(Trace, CountsMemoryFromFirstUseToLast) {
  DeviceClass p;
  const auto buffer = [&](BufferKind kind, Bytes size, std::uint32_t inside = kNoIndex) {
    p.buffers.push_back({kind, kNoIndex, DType::kF32, {}, size});
    p.buffers.back().inside = inside;
  };
  buffer(BufferKind::kWeight, 8_B);
  buffer(BufferKind::kWeightGradient, 32_B);
  buffer(BufferKind::kWeightGradient, 16_B, 1);
  buffer(BufferKind::kActivation, 64_B);
  p.buffers[3].memory = Memory::kHost;
  for (const std::uint32_t b : {2u, 3u, 1u}) {
    Task t;
    t.first_use = static_cast<std::uint32_t>(p.uses.size());
    t.use_count = 1;
    p.uses.push_back({b, UseAccess::kWrite});
    p.tasks.push_back(t);
  }
  // The last task begins before the second one.
  const MemoryCounter m = memory_counter(p, DeviceId(3), std::vector{10_ns, 20_ns, 15_ns},
                                         std::vector{12_ns, 40_ns, 30_ns});
  EXPECT_EQ(m, (MemoryCounter{DeviceId(3), {0_ns, 10_ns, 30_ns}, {8_B, 40_B, 8_B}, 40_B, {}}));
  // What it allocates is its plan's to say.
  Plan plan;
  plan.classes.resize(2);
  plan.classes[0].members = {DeviceId(0), DeviceId(3)};
  plan.classes[0].arena = 128_B;
  plan.classes[1].members = {DeviceId(2)};
  Trace t;
  t.memory = {m};
  set_plan(t, plan);
  EXPECT_EQ(t.memory[0].arena, 128_B);
  EXPECT_EQ(t.plan_hash, hash_of(plan));
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
