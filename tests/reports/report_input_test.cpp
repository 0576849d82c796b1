#include "reports/report_input.hpp"

#include <gmock/gmock.h>

#include "core/models/models.hpp"
#include "tests/reports/sample.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::reports {
namespace {

using namespace core;
using testing::HasSubstr;

std::string refusal(const Status& status) { return status ? "accepted" : status.error().message; }

class TraceOfAReport : public testing::Test {
 protected:
  std::string after(void (*change)(Trace&), TraceOrigin origin = TraceOrigin::kPredicted) {
    Trace trace = in_.predicted;
    change(trace);
    return refusal(check_trace(in_.plan, trace, origin));
  }
  const ReportInput in_ = sample();
};

TEST_F(TraceOfAReport, IsOfThePlan) {
  EXPECT_EQ(after([](Trace&) {}), "accepted");
}

TEST_F(TraceOfAReport, IsRefusedWhereItIsOfAnotherPlan) {
  const auto both = [](std::uint64_t hash) { return hex(hash ^ 1) + " and " + hex(hash) + ")"; };
  EXPECT_EQ(after([](Trace& t) { t.plan_hash ^= 1; }),
            "the trace of mlp and what is asked for have another cluster, optimizer, clipping or "
            "kernels (plan " +
                both(in_.predicted.plan_hash));
  EXPECT_EQ(after([](Trace& t) { t.plan_hash ^= 1, t.strategy_hash ^= 1; }),
            "the trace of mlp and what is asked for have different strategies (strategy " +
                both(in_.predicted.strategy_hash));
  EXPECT_EQ(after([](Trace& t) { t.plan_hash ^= 1, t.strategy_hash ^= 1, t.graph_hash ^= 1; }),
            "the trace of mlp and what is asked for have another batch, number type or options of "
            "the model (graph " +
                both(in_.predicted.graph_hash));
  EXPECT_EQ(after([](Trace& t) { t.graph = "alexnet"; }),
            "the trace is of graph alexnet; accepted: mlp");
}

TEST_F(TraceOfAReport, IsRefusedWhereItIsOfAnotherOrigin) {
  EXPECT_EQ(after([](Trace&) {}, TraceOrigin::kMeasured),
            "this trace is predicted; accepted: one that is measured");
}

TEST_F(TraceOfAReport, IsRefusedWhereItDoesNotFitThePlan) {
  EXPECT_EQ(after([](Trace& t) { t.lanes.back().device = DeviceId(7); }),
            "a lane of device 7, which has no part in the plan");
  EXPECT_THAT(after([](Trace& t) { t.spans.task[3] = 100000; }), HasSubstr("span 3: task 100000"));
  EXPECT_THAT(after([](Trace& t) { t.spans.end[1] = Nanoseconds(-1); }), HasSubstr("span 1: ends"));
}

TEST(StrategiesOfAReport, AreForItsGraphAndCluster) {
  const ReportInput in = sample();
  const RankedStrategies ranked = ranked_sample(in);
  const auto after = [&](auto change) {
    RankedStrategies r = ranked;
    change(r);
    return refusal(check_ranked(in.graph, in.cluster, r));
  };
  EXPECT_EQ(after([](auto&) {}), "accepted");
  EXPECT_EQ(after([](auto& r) { r.graph = "alexnet"; }),
            "the strategies are for graph alexnet; accepted: mlp");
  EXPECT_THAT(after([](auto& r) { r.graph_hash = "12", r.batch = 7; }),
              HasSubstr("for mlp with a batch of 7"));
  EXPECT_EQ(after([](auto& r) { r.cluster = "p100-4x4"; }),
            "the strategies are for cluster p100-4x4; accepted: small");
  EXPECT_THAT(after([](auto& r) { r.strategies[1].strategy.ops["fc1"].devices = {5}; }),
              HasSubstr("at /strategies/1/strategy: "));
}

}  // namespace
}  // namespace soapstone::reports
