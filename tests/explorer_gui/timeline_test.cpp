#include "explorer_gui/model/timeline.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "explorer_gui/model/time_view.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::explorer {
namespace {

using core::Lane;
using core::LaneKind;
using core::Nanoseconds;
using core::Phase;
using core::TaskKind;

struct Event {
  std::uint32_t lane;
  std::int64_t start, end;
  std::string label;
  TaskKind kind = TaskKind::kCompute;
  Phase phase = Phase::kForward;
  std::int64_t waiting = 0;
  std::int64_t bytes = 0;
};

core::Trace trace_of(std::vector<Lane> lanes, const std::vector<Event>& events) {
  core::Trace t;
  t.graph = "hand-made";
  t.lanes = std::move(lanes);
  for (const Event& e : events) {
    auto& s = t.spans;
    s.lane.push_back(e.lane);
    s.start.emplace_back(e.start);
    s.end.emplace_back(e.end);
    s.waiting.emplace_back(e.waiting);
    s.task.push_back(static_cast<std::uint32_t>(s.task.size()));
    s.kind.push_back(e.kind);
    s.phase.push_back(e.phase);
    s.label.push_back(static_cast<std::uint32_t>(t.labels.size()));
    t.labels.push_back(e.label);
    s.bytes.emplace_back(e.bytes);
    s.flops.emplace_back(0.0);
    s.source.push_back(core::CostSource::kRoofline);
    t.step_time = std::max(t.step_time, Nanoseconds(e.end));
  }
  core::sort_spans(t);
  EXPECT_TRUE(core::check(t));
  return t;
}

// Device 0 computes 0-40, 41-42, 43-44, 45-46, 60-100 and moves data at 30-50, of which it waits
// until 35; device 1 computes 0-10.
core::Trace three_lanes() {
  return trace_of(
      {{core::DeviceId(0), LaneKind::kCompute},
       {core::DeviceId(0), LaneKind::kCommunication},
       {core::DeviceId(1), LaneKind::kCompute}},
      {{0, 0, 40, "a.forward"},
       {0, 41, 42, "b.forward"},
       {0, 43, 44, "c.forward"},
       {0, 45, 46, "d.backward", TaskKind::kCompute, Phase::kBackwardInput},
       {0, 60, 100, "e.backward", TaskKind::kCompute, Phase::kBackwardWeight},
       {1, 30, 50, "a.weight gradient", TaskKind::kTransfer, Phase::kBackwardWeight, 5, 30},
       {2, 0, 10, "A.forward"}});
}

std::shared_ptr<const Timeline> timeline_of(std::vector<core::Trace> traces,
                                            std::vector<std::string> names = {"predicted",
                                                                              "measured"}) {
  std::vector<TimelineSource> sources;
  for (std::size_t i = 0; i < traces.size(); ++i)
    sources.push_back(
        {names[i], std::make_shared<const core::Trace>(std::move(traces[i])), {}, {}});
  return Timeline::make(std::move(sources), nullptr);
}

std::vector<Box> boxes_of(const Timeline& t, std::size_t lane, double from, double to,
                          std::int64_t grain) {
  std::vector<Box> out;
  t.index(0).boxes(lane, from, to, grain, out);
  return out;
}

TEST(Timeline, SpansOfAGrainOrMoreAreDrawnAlone) {
  const auto t = timeline_of({three_lanes()});
  const auto boxes = boxes_of(*t, 0, 0, 100, 1);
  ASSERT_EQ(boxes.size(), 5u);
  EXPECT_EQ(boxes[1].start, 41);
  EXPECT_EQ(boxes[1].end, 42);
  EXPECT_FALSE(boxes[1].folded());
  EXPECT_EQ(boxes[4].work, Work::kBackwardWeight);
}

TEST(Timeline, ShorterSpansThatStartInOneGrainAreOneBoxWithTheirSum) {
  const auto t = timeline_of({three_lanes()});
  // Grains of 16 from 32 to 48: b, c and d start in it. 3 of the 5 ns from 41 to 46 are busy.
  const auto boxes = boxes_of(*t, 0, 0, 100, 16);
  ASSERT_EQ(boxes.size(), 3u);
  EXPECT_EQ(boxes[1], (Box{.start = 41,
                           .end = 46,
                           .first = 1,
                           .count = 3,
                           .work = Work::kForward,
                           .busy = 3,
                           .waiting = 0}));
  // Nothing is drawn of what ended before or begins after.
  EXPECT_EQ(boxes_of(*t, 0, 46, 60, 16).size(), 0u);
  EXPECT_EQ(boxes_of(*t, 0, 45.5, 60.5, 16).size(), 2u);
}

TEST(Timeline, WaitingIsNotBusy) {
  const auto t = timeline_of({three_lanes()});
  const auto boxes = boxes_of(*t, 1, 0, 100, 1);
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_EQ(boxes[0].busy, 15);
  EXPECT_EQ(boxes[0].waiting, 5);
  EXPECT_EQ(boxes[0].work, Work::kCommunication);
}

// A lane of `count` spans, some long, some with gaps between them.
core::Trace many(std::size_t count, std::uint64_t seed) {
  std::vector<Event> events;
  std::int64_t now = 0;
  std::uint64_t random = seed;
  const auto next = [&] {
    return (random = random * 6364136223846793005u + 1442695040888963407u) >> 33;
  };
  for (std::size_t i = 0; i < count; ++i) {
    now += static_cast<std::int64_t>(next() % 7 == 0 ? next() % 500 : next() % 3);
    const auto length = static_cast<std::int64_t>(next() % 20 == 0 ? next() % 3000 : next() % 9);
    const auto phase = static_cast<Phase>(next() % 3);
    events.push_back({0, now, now + length, "x", TaskKind::kCompute, phase,
                      length > 4 ? static_cast<std::int64_t>(next() % 4) : 0});
    now += length;
  }
  return trace_of({{core::DeviceId(0), LaneKind::kCompute}}, events);
}

TEST(Timeline, BoxesHoldExactlyTheBusyTimeAtEveryMagnification) {
  for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 500u}) {
    const core::Trace trace = many(count, 7 + count);
    std::int64_t busy = 0, waiting = 0;
    for (std::size_t i = 0; i < count; ++i) {
      waiting += trace.spans.waiting[i].value;
      busy += (trace.spans.end[i] - trace.spans.start[i] - trace.spans.waiting[i]).value;
    }
    const auto t = timeline_of({trace});
    for (std::int64_t grain = 1; grain < (std::int64_t{1} << 20); grain *= 2) {
      std::int64_t boxes_busy = 0, boxes_waiting = 0, until = INT64_MIN;
      std::size_t spans = 0;
      const auto boxes = boxes_of(*t, 0, -1, 1e9, grain);
      for (const Box& box : boxes) {
        EXPECT_EQ(box.first, spans) << "grain " << grain;
        EXPECT_GE(box.start, until);
        EXPECT_LE(box.busy + box.waiting, box.end - box.start);
        until = box.end;
        spans += box.count;
        boxes_busy += box.busy;
        boxes_waiting += box.waiting;
      }
      EXPECT_EQ(spans, count) << "grain " << grain;
      EXPECT_EQ(boxes_busy, busy) << "grain " << grain;
      EXPECT_EQ(boxes_waiting, waiting) << "grain " << grain;
      // At most two boxes begin in a grain: what is folded, and one that is long enough.
      if (count > 0) {
        EXPECT_LE(boxes.size(), 2 * (static_cast<std::size_t>(until / grain) + 1));
      }
    }
  }
}

TEST(Timeline, ABoxIsTheSameWhereverTheViewBegins) {
  const auto t = timeline_of({many(500, 3)});
  const auto all = boxes_of(*t, 0, -1, 1e9, 64);
  for (std::int64_t from = 0; from < 3000; from += 37) {
    const auto some = boxes_of(*t, 0, static_cast<double>(from), 1e9, 64);
    ASSERT_FALSE(some.empty());
    const auto it = std::find(all.begin(), all.end(), some.front());
    ASSERT_NE(it, all.end()) << "from " << from;
    EXPECT_TRUE(std::equal(it, all.end(), some.begin(), some.end()));
  }
}

TEST(Timeline, WhatIsUnderTheMouseIsWhatIsDrawnThere) {
  const auto t = timeline_of({three_lanes()});
  EXPECT_EQ(t->index(0).box_at(0, 20, 1, 0)->start, 0);
  EXPECT_FALSE(t->index(0).box_at(0, 50, 1, 2).has_value());
  EXPECT_EQ(t->index(0).box_at(0, 58.5, 1, 2)->start, 60);  // near enough
  EXPECT_EQ(t->index(0).box_at(0, 42.4, 16, 0)->count, 3u);
  EXPECT_EQ(t->index(0).box_at(0, 47, 1, 2)->start, 45);
}

TEST(Timeline, SumsOfARangeAreClippedToIt) {
  const auto t = timeline_of({three_lanes()});
  // 30-40 of a, b and c; of the transfer 30-35 waits, 35-44 moves.
  const BusyTime compute = t->index(0).sum_between(0, 30, 44);
  EXPECT_EQ(compute.total(), 12);
  const BusyTime moves = t->index(0).sum_between(1, 30, 44);
  EXPECT_EQ(moves.waiting, 5);
  EXPECT_EQ(moves.work[static_cast<std::size_t>(Work::kCommunication)], 9);
  const auto big = timeline_of({many(300, 5)});
  BusyTime sum;
  for (std::int64_t at = -10; at < 60'000; at += 173) {
    const BusyTime part = big->index(0).sum_between(0, at, at + 173);
    sum.waiting += part.waiting;
    for (std::size_t w = 0; w < kWorks; ++w) sum.work[w] += part.work[w];
  }
  EXPECT_EQ(sum, big->index(0).sum(0, 300));
}

TEST(Timeline, ARangeIsComputingExposedAndIdle) {
  const auto t = timeline_of({three_lanes()});
  // Device 0 in 30-60: computes 30-40, 41-42, 43-44, 45-46; moves 35-50, beside computing 5 + 3.
  const RangeStatistics s = range_statistics(*t, 0, 30, 60, {core::DeviceId(0)});
  EXPECT_EQ(s.devices, 1u);
  EXPECT_EQ(s.spans, 5u);
  EXPECT_EQ(s.computing.value, 13);
  EXPECT_EQ(s.exposed.value, 15 - 8);
  EXPECT_EQ(s.idle.value, 30 - 13 - 7);
  ASSERT_FALSE(s.top.empty());
  EXPECT_EQ(s.top.front().first, "a.weight gradient");
  EXPECT_EQ(s.top.front().second.value, 15);
  // Of both devices, the whole step.
  const RangeStatistics all = range_statistics(*t, 0, 0, 100, {});
  EXPECT_EQ(all.devices, 2u);
  EXPECT_EQ(all.total().value, 200);
  EXPECT_EQ(all.computing.value, 40 + 3 + 40 + 10);
}

TEST(Timeline, FindsByNameWhateverTheCase) {
  const auto t = timeline_of({three_lanes()});
  const auto rows = t->rows({});
  const SpanSet found = find(*t, 0, "A.FOR", shown_lanes(*t, 0, rows));
  EXPECT_EQ(found.spans, (std::vector<std::uint32_t>{0, 6}));
  EXPECT_TRUE(found.any(0, 3));
  EXPECT_FALSE(found.any(1, 6));
  EXPECT_TRUE(find(*t, 0, "", shown_lanes(*t, 0, rows)).empty());
  // In lanes that are shown alone.
  EXPECT_EQ(find(*t, 0, "a.",
                 shown_lanes(*t, 0, t->rows({.open = {}, .shut = {1}, .communication = false})))
                .spans,
            (std::vector<std::uint32_t>{0}));
}

// `devices` devices that do the same; the last one takes `longest`.
core::Trace alike(std::uint32_t devices, std::int64_t longest) {
  std::vector<Lane> lanes;
  std::vector<Event> events;
  for (std::uint32_t d = 0; d < devices; ++d) {
    lanes.push_back({core::DeviceId(d), LaneKind::kCompute});
    events.push_back({d, 0, d + 1 == devices ? longest : 100, "forward"});
  }
  core::Trace t = trace_of(lanes, events);
  for (auto& label : t.spans.label) label = 0;
  return t;
}

TEST(Timeline, GoesThroughWhatWasFoundInAllTracesAndBeginsAgain) {
  const std::vector<SpanSet> found{{{2, 5}}, {}, {{1}}};
  EXPECT_EQ(place_of(found, {0, 5}), 2u);
  EXPECT_EQ(place_of(found, {2, 1}), 3u);
  EXPECT_EQ(place_of(found, {1, 1}), 0u);
  EXPECT_EQ(next_of(found, 0, 1), (SpanPlace{0, 2}));
  EXPECT_EQ(next_of(found, 2, 1), (SpanPlace{2, 1}));
  EXPECT_EQ(next_of(found, 3, 1), (SpanPlace{0, 2}));
  EXPECT_EQ(next_of(found, 1, -1), (SpanPlace{2, 1}));
  EXPECT_EQ(next_of(found, 3, -1), (SpanPlace{0, 5}));
  EXPECT_FALSE(next_of({{}, {}}, 0, 1));
}

TEST(Timeline, TheMapShowsWhatDevicesComputeAndWhatTheyMoveAlone) {
  // Two columns of 50 ns, two devices. Device 0 computes 43 ns of the first one and 40 of the
  // second one; of the 15 ns in which it moves data, 7 are left beside computing. Device 1 computes
  // 10 ns.
  const auto t = timeline_of({three_lanes()});
  const auto columns = busy_columns(*t, 2);
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_DOUBLE_EQ(columns[0].computing, (43.0 + 10) / 100);
  EXPECT_DOUBLE_EQ(columns[0].moving, 7.0 / 100);
  EXPECT_DOUBLE_EQ(columns[1].computing, 0.40);
  EXPECT_DOUBLE_EQ(columns[1].moving, 0);
}

TEST(Timeline, CountersBeginWithTheDeviceThatIsFullest) {
  core::Trace trace = three_lanes();
  EXPECT_EQ(fullest_device(*timeline_of({trace})), core::DeviceId(0));
  for (std::uint32_t d = 0; d < 2; ++d) {
    core::MemoryCounter& counter = trace.memory.emplace_back();
    counter.device = core::DeviceId(d);
    counter.live_peak = core::Bytes(10 + d);
  }
  EXPECT_EQ(fullest_device(*timeline_of({trace})), core::DeviceId(1));
}

TEST(Timeline, DevicesThatDoTheSameAreShownOnce) {
  const auto t = timeline_of({alike(8, 100)});
  ASSERT_EQ(t->groups().size(), 1u);
  EXPECT_EQ(t->groups()[0].devices.size(), 8u);
  EXPECT_EQ(t->groups()[0].name, "device0 × 8");
  EXPECT_EQ(t->rows({}).size(), 2u);
  EXPECT_EQ(t->rows({.open = {0}, .shut = {}, .communication = true}).size(), 9u);
  EXPECT_EQ(t->rows({.open = {0}, .shut = {0}, .communication = true}).size(), 1u);
}

TEST(Timeline, AStragglerIsNotFoldedAway) {
  const auto t = timeline_of({alike(8, 130)});
  ASSERT_EQ(t->groups().size(), 2u);
  EXPECT_EQ(t->groups()[0].devices.size(), 7u);
  EXPECT_EQ(t->groups()[1].devices, std::vector{core::DeviceId(7)});
  EXPECT_EQ(t->groups()[1].note,
            "predicted: computes 30 % longer than the others that do the same");
}

TEST(Timeline, LanesOfTheSecondTraceStandBelowThoseOfTheFirst) {
  const auto t = timeline_of({alike(2, 100), alike(2, 100)});
  const auto rows = t->rows({});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].label, "predicted");
  EXPECT_EQ(rows[2].label, "measured");
  EXPECT_EQ(rows[2].y, rows[1].y + rows[1].height);
}

TEST(Timeline, OfOnePlanTheSameTaskIsComparedElseTheSameName) {
  core::Trace a = alike(2, 100), b = alike(2, 150);
  a.plan_hash = b.plan_hash = 5;
  const auto same = timeline_of({a, b});
  EXPECT_EQ(slowdown(*same, 0, 1), (std::vector<float>{1.0F, 1.5F}));
  a.plan_hash = 6;
  const auto other = timeline_of({a, b});
  // Together: 250 ns of device time instead of 200.
  EXPECT_EQ(slowdown(*other, 0, 1), (std::vector<float>{1.25F, 1.25F}));
  EXPECT_EQ(shade_of(1), 0);
  EXPECT_EQ(shade_of(2), 1);
  EXPECT_NEAR(shade_of(1.5F), 1, 1e-6);
  EXPECT_NEAR(shade_of(std::sqrt(1.5F)), 0.5, 1e-6);
  EXPECT_EQ(shade_of(0.25F), -1);
}

TEST(Timeline, WhatATransferSendsIsSpreadOverTheTimeInWhichItMoves) {
  const auto t = timeline_of({three_lanes()});
  // 30 bytes in 15 ns from 35 on: 2 GB/s.
  const Curve sent = sent_by(*t, 0, core::DeviceId(0));
  EXPECT_EQ(sent.time, (std::vector<std::int64_t>{35, 50}));
  ASSERT_EQ(sent.value.size(), 2u);
  EXPECT_NEAR(sent.value[0], 2e9, 1);
  EXPECT_EQ(sent.value[1], 0);
}

TEST(Timeline, AColumnShowsTheLargestValueInIt) {
  const std::vector<std::int64_t> time{0, 10, 11, 30};
  const std::vector<double> value{1, 5, 2, 0};
  EXPECT_EQ(largest_in_columns(time, value, 0, 40, 4), (std::vector<std::ptrdiff_t>{0, 1, 2, 3}));
  EXPECT_EQ(largest_in_columns(time, value, -20, 0, 2), (std::vector<std::ptrdiff_t>{-1, -1}));
}

TEST(Timeline, ASpanTakesAtMost64BytesOfMemory) {
  const core::Trace trace = many(20'000, 9);
  std::size_t bytes = 0;
  core::Spans::fields(trace.spans, [&](std::string_view, const auto& column, auto...) {
    bytes += column.size() * sizeof(column[0]);
  });
  const SpanIndex index(trace);
  EXPECT_LE(static_cast<double>(bytes + index.bytes()) / 20'000, 64);
}

TEST(Timeline, TellsWhatASpanIs) {
  const auto t = timeline_of({three_lanes()});
  const auto lines = describe(*t, 0, t->index(0).box_of(5, 1), nullptr);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0].what, "a.weight gradient");
  const auto value = [&](std::string_view what) {
    for (const Line& line : lines)
      if (line.what == what) return line.value;
    return std::string();
  };
  EXPECT_EQ(value("on"), "device0 communication");
  EXPECT_EQ(value("waiting for others"), "5 ns (25 %)");
  EXPECT_EQ(value("sent"), "30 B, 2 GB/s");
  EXPECT_EQ(value("time from"), "roofline");
}

TEST(Timeline, AStrategysSpansKnowTheirOperatorsAndSlack) {
  const auto graph =
      std::make_shared<const core::Graph>(*core::build_model("alexnet", {.batch = 64}));
  const auto cluster = std::make_shared<const core::Cluster>(*core::load_cluster("p100-4x4"));
  std::vector<core::DeviceId> devices;
  for (std::uint32_t d = 0; d < cluster->size(); ++d) devices.push_back(core::DeviceId(d));
  const auto plan = std::make_shared<const core::Plan>(
      *core::lower(*graph, core::data_parallel(*graph, devices), *cluster, core::NominalCatalog()));
  const auto trace = std::make_shared<const core::Trace>(
      *simulator::simulate(*graph, *plan, *cluster, simulator::RooflineModel()));
  const auto t = Timeline::make({{"predicted", trace, plan, graph}}, cluster);
  const auto fc6 = graph->find_op("fc6");
  ASSERT_TRUE(fc6);
  const SpanSet spans = spans_of_ops(*t, 0, {fc6->value});
  ASSERT_FALSE(spans.empty());
  for (const std::uint32_t span : spans.spans) EXPECT_EQ(t->op_of(0, span), fc6->value);
  const auto analysis = simulator::analyse(*plan, *trace);
  ASSERT_TRUE(analysis);
  const SpanSet path = spans_of(analysis->path);
  ASSERT_FALSE(path.empty());
  const auto lines = describe(*t, 0, t->index(0).box_of(path.spans.front(), 1), &*analysis);
  EXPECT_NE(std::find(lines.begin(), lines.end(), Line{"slack", "none: on a critical path"}),
            lines.end());
  // The memory's peak is the simulator's, with a plan and without.
  const MemoryPicture with = memory_of(*t, 0, core::DeviceId(3));
  EXPECT_EQ(with.most, static_cast<double>(trace->memory[3].live_peak.value));
  const auto bare = Timeline::make({{"predicted", trace, nullptr, nullptr}}, cluster);
  const MemoryPicture without = memory_of(*bare, 0, core::DeviceId(3));
  EXPECT_EQ(without.most, with.most);
  EXPECT_EQ(without.peak, with.peak);
  EXPECT_TRUE(without.curve.time.empty());
  // Sixteen devices with the same work.
  ASSERT_EQ(t->groups().size(), 1u);
  EXPECT_EQ(t->groups()[0].name, "node0.device0 × 16");
}

// --- the axis -----------------------------------------------------------------------------------

TEST(TimeView, ZoomKeepsTheTimeUnderTheMouse) {
  TimeView v;
  v.set_extent(0, 1000);
  v.show_all();
  EXPECT_TRUE(v.whole());
  const double x = v.x_of(300, 500);
  v.zoom(300, 0.25);
  EXPECT_NEAR(v.x_of(300, 500), x, 1e-9);
  EXPECT_NEAR(v.length(), 1040 / 4.0, 1e-9);
  EXPECT_FALSE(v.whole());
  v.zoom(300, 1e9);
  EXPECT_TRUE(v.whole());
  v.zoom(300, 1e-9);
  EXPECT_NEAR(v.length(), 20, 1e-9);  // nanoseconds; no nearer
}

TEST(TimeView, StaysWithinTheStep) {
  TimeView v;
  v.set_extent(0, 1000);
  v.show_all();
  v.zoom(500, 0.1);
  const double length = v.length();
  v.pan(-1e6);
  EXPECT_NEAR(v.from, -20, 1e-9);
  EXPECT_NEAR(v.length(), length, 1e-9);
  v.pan(1e6);
  EXPECT_NEAR(v.to, 1020, 1e-9);
}

TEST(TimeView, WhoSawEverythingSeesEverythingOfALongerStep) {
  TimeView v;
  v.set_extent(0, 1000);
  v.show_all();
  v.set_extent(0, 5000);
  EXPECT_TRUE(v.whole());
  v.show(1000, 2000);
  const TimeView near = v;
  v.set_extent(0, 4500);
  EXPECT_EQ(v.from, near.from);
  EXPECT_EQ(v.to, near.to);
}

TEST(TimeView, TicksStandAtRoundTimesWithUnits) {
  TimeView v;
  v.set_extent(0, 1e7);
  v.from = 0;
  v.to = 1e7;
  std::vector<std::string> texts;
  for (const Tick& tick : ticks(v, 1000, 150))
    if (!tick.text.empty()) texts.push_back(tick.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"0 ms", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms"}));
  v.from = 1'234'000;
  v.to = 1'234'100;
  texts.clear();
  for (const Tick& tick : ticks(v, 1000, 300))
    if (!tick.text.empty()) texts.push_back(tick.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"1.23400 ms", "1.23405 ms", "1.23410 ms"}));
}

}  // namespace
}  // namespace soapstone::explorer
