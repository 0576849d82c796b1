#include "simulator/analysis/own_time.hpp"

#include <gtest/gtest.h>

#include "simulator/analysis/waterfall.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;

// A device that computes in two lanes: [0, 10) and [20, 30) in one, [5, 15) and [22, 25) in the
// other.
Trace two_lanes() {
  Trace t;
  t.origin = TraceOrigin::kMeasured;
  t.step_time = Nanoseconds(40);
  t.labels = {"a"};
  t.lanes = {{DeviceId(0), LaneKind::kCompute}, {DeviceId(0), LaneKind::kCompute}};
  const std::int64_t times[][3] = {{0, 0, 10}, {0, 20, 30}, {1, 5, 15}, {1, 22, 25}};
  for (const auto& [lane, start, end] : times) {
    t.spans.lane.push_back(static_cast<std::uint32_t>(lane));
    t.spans.start.emplace_back(start);
    t.spans.end.emplace_back(end);
    t.spans.waiting.emplace_back(0);
    t.spans.task.push_back(static_cast<std::uint32_t>(t.spans.task.size()));
    t.spans.kind.push_back(TaskKind::kCompute);
    t.spans.phase.push_back(Phase::kForward);
    t.spans.label.push_back(0);
    t.spans.bytes.emplace_back(0);
    t.spans.flops.emplace_back(0);
    t.spans.source.push_back(CostSource::kMeasured);
  }
  return t;
}

TEST(OwnTime, OfSpansThatOverlapIsWhatNoneBeforeHas) {
  const Trace t = two_lanes();
  ASSERT_TRUE(check(t));
  const OwnTime own = own_time(t);
  const auto ns = [](std::initializer_list<std::int64_t> values) {
    std::vector<Nanoseconds> out;
    for (const std::int64_t v : values) out.emplace_back(v);
    return out;
  };
  EXPECT_EQ(own.start, ns({0, 20, 10, 30}));
  EXPECT_EQ(own.end, ns({10, 30, 15, 30}));
  EXPECT_EQ(computing_by_start(t), (std::vector<std::vector<std::uint32_t>>{{0, 2, 1, 3}}));
}

TEST(OwnTime, LetsAStepOfSeveralComputingLanesAddUp) {
  const Trace t = two_lanes();
  const StepAnalysis analysis = analyse(t);
  ASSERT_EQ(analysis.exposure.devices.size(), 1u);
  const DeviceTime& d = analysis.exposure.devices[0];
  EXPECT_EQ(d.computing, Nanoseconds(25));
  EXPECT_EQ(d.host, Nanoseconds(5));   // from 15 to 20
  EXPECT_EQ(d.ends, Nanoseconds(10));  // from 30 on
  Trace none = t;
  none.spans = {};
  const Waterfall w = waterfall(t, analysis, none, analyse(none), WaterfallBasis::kDevices);
  Nanoseconds sum;
  for (const WaterfallTerm& term : w.terms) sum += term.first;
  EXPECT_EQ(sum, Nanoseconds(40));
}

}  // namespace
}  // namespace soapstone::simulator
