#include "explorer_gui/model/question.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using simulator::Change;
using simulator::parse_change;

Change change(const char* text) { return parse_change(text).value(); }

// The first span of that name.
std::size_t span_of(const core::Trace& t, std::string_view name) {
  for (std::size_t i = 0; i < t.spans.size(); ++i)
    if (t.labels[t.spans.label[i]] == name) return i;
  ADD_FAILURE() << "no span is called " << name;
  return 0;
}

std::int64_t length(const core::Trace& t, std::size_t span) {
  return (t.spans.end[span] - t.spans.start[span]).value;
}

TEST(Question, ChangesOfOneThingTakeEachOthersPlaceAndOthersStandTogether) {
  Changes c = with({}, change("link:network*2"));
  c = with(c, change("task:fc6 forward*0.5"));
  EXPECT_EQ(c.size(), 2u);
  c = with(c, change("link:network*3"));
  EXPECT_EQ(c, (Changes{change("link:network*3"), change("task:fc6 forward*0.5")}));
  // As it is: nothing is asked of it.
  c = with(c, change("link:network*1"));
  EXPECT_EQ(c, (Changes{change("task:fc6 forward*0.5")}));
  EXPECT_EQ(with(c, change("link:nvlink*1")), c);
  EXPECT_TRUE(without(c, 0).empty());
}

TEST(Question, ATaskThatIsChangedInAnotherScopeIsChangedOnce) {
  const Changes two = with({change("task:fc6 forward@0*2")}, change("task:fc6 forward@1*3"));
  EXPECT_EQ(two.size(), 2u);
  EXPECT_EQ(with(two, change("task:fc6 forward*4")), (Changes{change("task:fc6 forward*4")}));
  EXPECT_EQ(with(two, change("task:fc6 forward#1@1*4")),
            (Changes{change("task:fc6 forward@0*2"), change("task:fc6 forward#1@1*4")}));
}

TEST(Question, AnEndFollowsTheMouseHoldsAtTheUsualLengthAndStopsAtNothing) {
  // 10 ns per pixel.
  EXPECT_EQ(dragged_length(1000, 30, 10, 1000, 4), 1300);
  EXPECT_EQ(dragged_length(1000, -30, 10, 1000, 4), 700);
  EXPECT_EQ(dragged_length(1000, 4, 10, 1000, 4), 1000);
  EXPECT_EQ(dragged_length(1300, -27, 10, 1000, 4), 1000);  // back, by 1030
  EXPECT_EQ(dragged_length(1300, -25, 10, 1000, 4), 1050);
  EXPECT_EQ(dragged_length(1000, -200, 10, 1000, 4), 0);
}

TEST(Question, ASpanTakesAsLongAsItWasDragged) {
  Work work("alexnet", 64, "p100-4x4");
  const auto of = work->shown();
  ASSERT_NE(of, nullptr);
  const std::size_t span = span_of(of->trace, "fc6 forward");
  EXPECT_EQ(why_not_dragged(&of->plan, of->trace, span), "");
  const std::int64_t usual = length(of->trace, span);
  const std::size_t steps = work->history().size();
  work->ask(with({}, task_change(of->plan, of->trace, span, usual + 12'345, DragScope::kTask)));
  EXPECT_TRUE(work->question().waits());
  work->finish_jobs();
  const Question& q = work->question();
  EXPECT_FALSE(q.waits());
  ASSERT_NE(q.trace, nullptr) << q.error;
  const auto now = same_span(of->trace, span, *q.trace);
  ASSERT_TRUE(now);
  EXPECT_EQ(length(*q.trace, *now), usual + 12'345);
  // All 16 devices compute it at once, and nothing else goes on meanwhile.
  EXPECT_EQ((q.trace->step_time - of->step_time).value, 12'345);
  // It is a question: nothing was edited.
  EXPECT_EQ(work->history().size(), steps);
  EXPECT_EQ(work->shown(), of);
  // A second one beside it.
  work->ask(with(q.changes, change("link:network*2")));
  work->finish_jobs();
  EXPECT_EQ(work->question().answered.size(), 2u);
  EXPECT_LT(work->question().trace->step_time, of->step_time);
  work->ask({});
  EXPECT_FALSE(work->question().stands());
  EXPECT_EQ(work->question().trace, nullptr);
}

TEST(Question, OnOneDeviceAloneTheOthersKeepTheirTime) {
  Work work("alexnet", 64, "p100-4x4");
  const auto of = work->shown();
  const std::size_t span = span_of(of->trace, "fc6 forward");
  const std::int64_t usual = length(of->trace, span);
  const Change c = task_change(of->plan, of->trace, span, 2 * usual, DragScope::kDevice);
  EXPECT_EQ(c.name, "fc6 forward@0");
  EXPECT_EQ(c.factor, 0.5);
  work->ask({c});
  work->finish_jobs();
  const core::Trace& t = *work->question().trace;
  for (std::size_t i = 0; i < t.spans.size(); ++i) {
    if (t.labels[t.spans.label[i]] == "fc6 forward") {
      EXPECT_EQ(length(t, i),
                t.lanes[t.spans.lane[i]].device == core::DeviceId(0) ? 2 * usual : usual);
    }
  }
}

TEST(Question, TheNewestQuestionIsAnsweredAndNoOther) {
  Work work("alexnet", 64, "p100-4x4");
  const auto of = work->shown();
  const std::size_t span = span_of(of->trace, "fc6 forward");
  const std::int64_t usual = length(of->trace, span);
  for (int i = 1; i <= 100; ++i)
    work->ask({task_change(of->plan, of->trace, span, usual + i, DragScope::kTask)});
  EXPECT_EQ(work->jobs().running().size(), 1u);
  work->finish_jobs();
  const auto now = same_span(of->trace, span, *work->question().trace);
  EXPECT_EQ(length(*work->question().trace, now.value()), usual + 100);
}

TEST(Question, EndsWhenAnotherStepIsShownAndSaysWhatIsWrong) {
  Work work("alexnet", 64, "p100-4x4", {"data-parallel", "single"});
  work->finish_jobs();
  work->ask({change("task:fc9 forward*2")});
  work->finish_jobs();
  EXPECT_NE(work->question().error.find("no task is called `fc9 forward`"), std::string::npos);
  EXPECT_FALSE(work->question().waits());
  work->ask({change("link:network*2")});
  work->finish_jobs();
  ASSERT_NE(work->question().trace, nullptr) << work->question().error;
  // What is starred, is no other step.
  work->star(work->design().current, true);
  EXPECT_TRUE(work->question().stands());
  work->show(work->design().strategies.front().id);
  EXPECT_FALSE(work->question().stands());
}

TEST(Question, WhatMovesDataOrWasMeasuredIsNotDragged) {
  Work work("alexnet", 64, "p100-4x4");
  const auto of = work->shown();
  std::size_t transfer = 0;
  while (of->trace.spans.kind[transfer] != core::TaskKind::kTransfer) ++transfer;
  EXPECT_NE(why_not_dragged(&of->plan, of->trace, transfer).find("its links"), std::string::npos);
  core::Trace measured = of->trace;
  measured.origin = core::TraceOrigin::kMeasured;
  EXPECT_NE(why_not_dragged(&of->plan, measured, 0).find("measured"), std::string::npos);
  EXPECT_NE(why_not_dragged(nullptr, of->trace, 0), "");
}

TEST(Question, OneMicroBatchIsDraggedOrAll) {
  Work work("gpt2", 8, "p100-4x4", {"dp=4,pp=2,schedule=1f1b,micro_batch=1"});
  const auto of = work->shown();
  ASSERT_NE(of, nullptr);
  ASSERT_EQ(of->plan.micro_batches, 2);
  std::size_t span = 0;
  while (of->trace.spans.kind[span] != core::TaskKind::kCompute) ++span;
  const std::string name = of->trace.labels[of->trace.spans.label[span]];
  const std::int64_t usual = length(of->trace, span);
  EXPECT_EQ(task_change(of->plan, of->trace, span, usual, DragScope::kTask).name, name + "#0");
  EXPECT_EQ(task_change(of->plan, of->trace, span, usual, DragScope::kDevice).name, name + "#0@0");
  EXPECT_EQ(task_change(of->plan, of->trace, span, usual, DragScope::kEveryMicroBatch).name, name);
}

TEST(Question, LinksAreFasterByKindAndAreKeptInTheCluster) {
  const core::Cluster cluster = core::load_cluster("p100-4x4").value();
  const Changes changes{change("link:network*2"), change("task:fc6 forward=free")};
  const auto speeds = link_speeds(cluster, changes);
  ASSERT_EQ(speeds.size(), 2u);
  EXPECT_EQ(speeds[0], (LinkSpeed{"network", cluster.spec().network->bandwidth, 2}));
  EXPECT_EQ(speeds[1].kind, "nvlink");
  EXPECT_EQ(speeds[1].factor, 1);
  const core::ClusterSpec kept_spec = kept(cluster.spec(), changes);
  EXPECT_EQ(kept_spec.network->bandwidth.value, 2 * cluster.spec().network->bandwidth.value);
  EXPECT_EQ(kept_spec.node[0].interconnect, cluster.spec().node[0].interconnect);
  EXPECT_EQ(why_not_kept(changes), "");
  EXPECT_NE(why_not_kept({change("task:fc6 forward=free")}), "");
  // Two digits, and 1 holds.
  EXPECT_EQ(link_change("network", 1.02).factor, 1);
  EXPECT_DOUBLE_EQ(link_change("network", 1.2345).factor, 1.2);
  EXPECT_DOUBLE_EQ(link_change("network", 0.12345).factor, 0.12);
}

TEST(Question, TellsWhatIsAskedAndWhatTheStepWouldBe) {
  EXPECT_EQ(step_words(core::Nanoseconds(10'000'000), core::Nanoseconds(12'500'000)),
            "10 ms → 12.5 ms (+25.0 %)");
  EXPECT_EQ(headline({}), "nothing is changed yet");
  const Changes two{change("task:fc6 forward*0.5"), change("link:network*2")};
  EXPECT_EQ(headline({two[0]}), "fc6 forward takes 2 times as long");
  EXPECT_EQ(headline(two), "2 changes");
  EXPECT_EQ(lines(two), (std::vector<std::string>{"fc6 forward takes 2 times as long",
                                                  "links `network` with 2 times the bandwidth"}));
}

}  // namespace
}  // namespace soapstone::explorer
