// What is told of a step: step graph, critical path, slack, idle time, waterfall, alignment.
#include <gtest/gtest.h>

#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "search/expert.hpp"
#include "search/parallelism.hpp"
#include "search/problem.hpp"
#include "search/space.hpp"
#include "simulator/analysis/align.hpp"
#include "simulator/analysis/analyse.hpp"
#include "simulator/analysis/straggler.hpp"
#include "simulator/analysis/waterfall.hpp"
#include "simulator/simulate.hpp"
#include "tests/simulator/hand_made.hpp"
#include "tests/support/fake_costs.hpp"

namespace soapstone::simulator {
namespace {

using namespace core;
using tests::FakeCosts;
using tests::HandMade;
using tests::small_cluster;
using tests::span_named;
using Of = HandMade::Of;

// a, then b of 5 beside c of 3, then d:
//   a 0-2 → b 2-7 ─┐
//        └→ c 2-5 ─┴→ d 7-9
HandMade diamond() {
  HandMade h(1);
  h.compute(0, "a forward", {0_ms, 2_ms});
  h.compute(0, "b to host", {2_ms, 7_ms}, {0}, Phase::kForward, TaskKind::kHostCopy);
  h.compute(0, "c to host", {2_ms, 5_ms}, {0}, Phase::kForward, TaskKind::kHostCopy);
  h.compute(0, "d forward", {7_ms, 9_ms}, {1, 2});
  return h;
}

// Two devices compute f, for 3 and 5 ms, sum its gradient for 4 ms, and update for 1 ms.
HandMade two_replicas() {
  HandMade h(2);
  h.compute(0, "f backward_weight", {0_ms, 3_ms}, {}, Phase::kBackwardWeight);
  h.compute(1, "f backward_weight", {0_ms, 5_ms}, {}, Phase::kBackwardWeight);
  h.transfer(Pattern::kAllReduce, Of::kGradients, "f.weight gradient all-reduce",
             {{0, {3_ms, 9_ms}, {0}}, {1, {5_ms, 9_ms}, {0}}});
  h.compute(0, "f.weight update", {9_ms, 10_ms}, {1}, Phase::kUpdate, TaskKind::kUpdate);
  h.compute(1, "f.weight update", {9_ms, 10_ms}, {1}, Phase::kUpdate, TaskKind::kUpdate);
  return h;
}

// a on device 0 for 4 ms, b on device 1 for 4 ms, a backwards for 4 ms; messages take 1 ms. Both
// ends post them as soon as there is nothing else to do.
HandMade two_stages() {
  HandMade h(2);
  h.compute(0, "a forward", {0_ms, 4_ms});
  h.transfer(Pattern::kBoxes, Of::kValues, "a.y boxes",
             {{0, {4_ms, 5_ms}, {0}, true, false}, {1, {0_ms, 5_ms}, {}, false, true}});
  h.compute(1, "b forward", {5_ms, 9_ms}, {0});
  h.transfer(Pattern::kBoxes, Of::kValueGradients, "a.y gradient boxes",
             {{1, {9_ms, 10_ms}, {1}, true, false}, {0, {4_ms, 10_ms}, {0}, false, true}});
  h.compute(0, "a backward_weight", {10_ms, 14_ms}, {2}, Phase::kBackwardWeight);
  return h;
}

StepAnalysis analysis_of(const HandMade& h, const Trace& t) { return analyse(h.plan(), t).value(); }

TEST(StepGraph, KnowsWhatASpanWaitedFor) {
  const HandMade h = diamond();
  const Trace t = h.trace();
  const StepGraph g = step_graph(h.plan(), t).value();
  const auto a = span_named(t, "a forward", 0), b = span_named(t, "b to host", 0),
             c = span_named(t, "c to host", 0), d = span_named(t, "d forward", 0);
  // a is the computing task before d, too.
  const SpanLinks links = links_of(g, d);
  std::vector<std::uint32_t> before{a, b, c};
  std::sort(before.begin(), before.end());
  EXPECT_EQ(links.before, before);
  EXPECT_EQ(links.binding, b);
  EXPECT_TRUE(links.after.empty());
  EXPECT_EQ(links_of(g, b).after, std::vector{d});
  EXPECT_EQ(links_of(g, a).before, std::vector<std::uint32_t>{});
}

TEST(StepGraph, OfATransferWaitsForWhatItsOtherMembersDid) {
  const HandMade h = two_replicas();
  const Trace t = h.trace();
  const StepGraph g = step_graph(h.plan(), t).value();
  const auto sum = span_named(t, "f.weight gradient all-reduce", 0);
  const auto late = span_named(t, "f backward_weight", 1);
  EXPECT_EQ(g.start[g.node_of_span[sum]], 5_ms);
  EXPECT_EQ(g.length[g.node_of_span[sum]], 4_ms);
  EXPECT_EQ(links_of(g, sum).binding, late);
  EXPECT_EQ(links_of(g, sum).before.size(), 2u);
  EXPECT_EQ(links_of(g, late).after.size(), 3u);  // the sum on both devices, its own update
}

TEST(StepGraph, RefusesATraceOfAnotherPlan) {
  const HandMade h = diamond();
  const Trace t = h.trace();
  const auto refused = step_graph(two_replicas().plan(), t);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("of another plan"), std::string::npos);
}

TEST(CriticalPath, IsTheChainThatTakesTheStep) {
  const HandMade h = diamond();
  const Trace t = h.trace();
  const CriticalPath p = analysis_of(h, t).path;
  ASSERT_EQ(p.segments.size(), 3u);
  EXPECT_EQ(p.segments[0].length(), 2_ms);
  EXPECT_EQ(p.segments[1].length(), 5_ms);
  EXPECT_EQ(p.segments[1].span, span_named(t, "b to host", 0));
  EXPECT_EQ(p.segments[2].length(), 2_ms);
  ASSERT_EQ(p.kinds.size(), 2u);
  EXPECT_EQ(p.kinds[0].name, "copies between device and host of 0");
  EXPECT_EQ(p.kinds[0].time, 5_ms);
  EXPECT_EQ(p.kinds[1].name, "forward");
  EXPECT_EQ(p.kinds[1].time, 4_ms);
  EXPECT_EQ(p.operators.size(), 3u);
}

TEST(CriticalPath, LeadsThroughTheLateDevice) {
  const HandMade h = two_replicas();
  const Trace t = h.trace(12_ms);  // 2 ms more than the tasks
  const CriticalPath p = analysis_of(h, t).path;
  ASSERT_EQ(p.segments.size(), 4u);
  EXPECT_EQ(p.segments[0].span, span_named(t, "f backward_weight", 1));
  EXPECT_EQ(p.segments[1].kind, TimeKind::kCommunication);
  EXPECT_EQ(p.segments[1].length(), 4_ms);
  EXPECT_EQ(p.segments[3].kind, TimeKind::kEnds);
  EXPECT_EQ(p.segments[3].length(), 2_ms);
  EXPECT_EQ(p.operators[0].name, "f");
  EXPECT_EQ(p.operators[0].time, 10_ms);
}

TEST(Slack, OfADiamond) {
  const HandMade h = diamond();
  const Trace t = h.trace();
  const Slack s = analysis_of(h, t).slack;
  const auto a = span_named(t, "a forward", 0), b = span_named(t, "b to host", 0),
             c = span_named(t, "c to host", 0), d = span_named(t, "d forward", 0);
  EXPECT_EQ(s.slack[a], 0_ms);
  EXPECT_EQ(s.slack[b], 0_ms);
  EXPECT_EQ(s.slack[c], 2_ms);
  EXPECT_EQ(s.slack[d], 0_ms);
  EXPECT_EQ(s.saves_if_free[a], 2_ms);
  EXPECT_EQ(s.saves_if_free[b], 2_ms);  // then c is the longest
  EXPECT_EQ(s.saves_if_free[c], 0_ms);
  EXPECT_EQ(s.saves_if_free[d], 2_ms);
}

TEST(Slack, OfATransferIsThatOfAllItsDevices) {
  const HandMade h = two_replicas();
  const Trace t = h.trace();
  const Slack s = analysis_of(h, t).slack;
  for (const std::uint32_t d : {0u, 1u}) {
    const auto sum = span_named(t, "f.weight gradient all-reduce", d);
    EXPECT_EQ(s.slack[sum], 0_ms);
    EXPECT_EQ(s.saves_if_free[sum], 4_ms);
  }
  EXPECT_EQ(s.slack[span_named(t, "f backward_weight", 0)], 2_ms);
  EXPECT_EQ(s.saves_if_free[span_named(t, "f backward_weight", 0)], 0_ms);
  // 3 ms of the other device remain.
  EXPECT_EQ(s.saves_if_free[span_named(t, "f backward_weight", 1)], 2_ms);
}

TEST(Exposure, TellsStragglersFromCommunication) {
  const HandMade h = two_replicas();
  const Trace t = h.trace();
  const StepAnalysis a = analysis_of(h, t);
  ASSERT_EQ(a.exposure.devices.size(), 2u);
  EXPECT_EQ(a.exposure.devices[0], (DeviceTime{DeviceId(0), 4_ms, 4_ms, 2_ms, 0_ms, 0_ms, 0_ms}));
  EXPECT_EQ(a.exposure.devices[1], (DeviceTime{DeviceId(1), 6_ms, 4_ms, 0_ms, 0_ms, 0_ms, 0_ms}));
  ASSERT_EQ(a.exposure.groups.size(), 1u);
  const ExposedGroup& g = a.exposure.groups[0];
  EXPECT_EQ(g.group.name, "all-reduce of gradients over 0-1");
  EXPECT_EQ(g.group.transfers, 1);
  EXPECT_EQ(g.group.bytes, 16_B);
  EXPECT_EQ(g.busy, 8_ms);
  EXPECT_EQ(g.hidden, 0_ms);
  EXPECT_EQ(g.exposed, 8_ms);
  const auto late = stragglers(t, a.exposure);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].device, DeviceId(1));
  EXPECT_EQ(late[0].waited, 2_ms);
  EXPECT_EQ(late[0].time, 5_ms);
  EXPECT_EQ(late[0].time_elsewhere, 3_ms);
  EXPECT_EQ(late[0].reason, StragglerReason::kSameWork);
}

TEST(Exposure, TellsBubblesFromCommunication) {
  const HandMade h = two_stages();
  const Trace t = h.trace();
  const StepAnalysis a = analysis_of(h, t);
  // Device 0 waits for a message, b, and a message; device 1 for a, a message, and at the end for
  // its own message and a's second task.
  EXPECT_EQ(a.exposure.devices[0], (DeviceTime{DeviceId(0), 8_ms, 2_ms, 0_ms, 4_ms, 0_ms, 0_ms}));
  EXPECT_EQ(a.exposure.devices[1], (DeviceTime{DeviceId(1), 4_ms, 2_ms, 0_ms, 8_ms, 0_ms, 0_ms}));
  ASSERT_EQ(a.exposure.groups.size(), 2u);
  EXPECT_EQ(a.exposure.groups[0].group.name, "values sent from 0 to 1");
  EXPECT_EQ(a.exposure.groups[0].exposed, 2_ms);
  EXPECT_EQ(a.exposure.groups[1].group.name, "gradients of values sent from 1 to 0");
  EXPECT_NEAR(a.exposure.bubble_share(), 12.0 / 28, 1e-12);
}

TEST(Exposure, OfATransferBesideComputingIsHidden) {
  HandMade h(1);
  h.compute(0, "a forward", {0_ms, 2_ms});
  h.compute(0, "a.y to host", {2_ms, 6_ms}, {0}, Phase::kForward, TaskKind::kHostCopy);
  h.compute(0, "b forward", {2_ms, 5_ms});
  h.compute(0, "c forward", {6_ms, 7_ms}, {1});
  const Trace t = h.trace();
  const Exposure e = analysis_of(h, t).exposure;
  EXPECT_EQ(e.groups[0].busy, 4_ms);
  EXPECT_EQ(e.groups[0].hidden, 3_ms);
  EXPECT_EQ(e.groups[0].exposed, 1_ms);
  EXPECT_EQ(e.devices[0].communication, 1_ms);
}

// Two sums that are under way from 1 to 5 ms, of 8 and 24 bytes.
TEST(Exposure, BelongsToTransfersByWhatTheyMove) {
  HandMade h(2);
  for (const std::uint32_t d : {0u, 1u}) h.compute(d, "f backward_weight", {0_ms, 1_ms});
  h.transfer(Pattern::kAllReduce, Of::kGradients, "f.bias gradient all-reduce",
             {{0, {1_ms, 5_ms}, {0}}, {1, {1_ms, 5_ms}, {0}}}, 8_B);
  h.transfer(Pattern::kAllReduce, Of::kGradients, "g.weight gradient all-reduce",
             {{0, {1_ms, 5_ms}, {0}}, {1, {1_ms, 5_ms}, {0}}}, 24_B);
  for (const std::uint32_t d : {0u, 1u})
    h.compute(d, "f.bias update", {5_ms, 6_ms}, {1, 2}, Phase::kUpdate, TaskKind::kUpdate);
  const Trace t = h.trace();
  const StepAnalysis a = analysis_of(h, t);
  EXPECT_EQ(a.exposure.groups[0].exposed, 8_ms);
  EXPECT_EQ(a.exposure.groups[0].group.transfers, 2);
  EXPECT_EQ(a.exposure.exposed_of_span[span_named(t, "f.bias gradient all-reduce", 0)], 1_ms);
  EXPECT_EQ(a.exposure.exposed_of_span[span_named(t, "g.weight gradient all-reduce", 0)], 3_ms);
  std::map<std::string, Nanoseconds> operators;
  for (const PathShare& share : a.path.operators) operators[share.name] = share.time;
  EXPECT_EQ(operators["f"], 1_ms + 1_ms + 1_ms);
  EXPECT_EQ(operators["g"], 3_ms);
}

TEST(Exposure, OfAMeasuredStepHasTimeThatNothingExplains) {
  HandMade h(1);
  h.compute(0, "a forward", {1_ms, 2_ms});
  h.compute(0, "b forward", {4_ms, 5_ms});
  Trace t = h.trace(7_ms);
  t.origin = TraceOrigin::kMeasured;
  const StepAnalysis a = analysis_of(h, t);
  EXPECT_EQ(a.exposure.devices[0], (DeviceTime{DeviceId(0), 2_ms, 0_ms, 0_ms, 0_ms, 2_ms, 3_ms}));
  ASSERT_EQ(a.path.segments.size(), 5u);
  EXPECT_EQ(a.path.segments[2].kind, TimeKind::kHost);
  EXPECT_EQ(a.path.segments[2].length(), 2_ms);
  // Medians of tasks may be more than the median step.
  t.step_time = 4_ms;
  const StepAnalysis shorter = analysis_of(h, t);
  EXPECT_EQ(shorter.path.segments.back().length(), Nanoseconds(-1'000'000));
  EXPECT_EQ(shorter.exposure.devices[0].ends, 0_ms);
}

// The second step has 1 ms more of f on device 1 and a sum that takes 2 ms less: device 0 computes
// 4 and waits 3, 2; device 1 computes 7 and waits 2.
TEST(Waterfall, AddsUpToTheDifference) {
  const HandMade h = two_replicas();
  HandMade other(2);
  other.compute(0, "f backward_weight", {0_ms, 3_ms}, {}, Phase::kBackwardWeight);
  other.compute(1, "f backward_weight", {0_ms, 6_ms}, {}, Phase::kBackwardWeight);
  other.transfer(Pattern::kAllReduce, Of::kGradients, "f.weight gradient all-reduce",
                 {{0, {3_ms, 8_ms}, {0}}, {1, {6_ms, 8_ms}, {0}}});
  other.compute(0, "f.weight update", {8_ms, 9_ms}, {1}, Phase::kUpdate, TaskKind::kUpdate);
  other.compute(1, "f.weight update", {8_ms, 9_ms}, {1}, Phase::kUpdate, TaskKind::kUpdate);
  const Trace a = h.trace(), b = other.trace();
  const StepAnalysis of_a = analysis_of(h, a), of_b = analysis_of(other, b);
  const auto term = [](const Waterfall& w, const std::string& name) {
    for (const WaterfallTerm& t : w.terms)
      if (t.name == name) return t;
    ADD_FAILURE() << "no term " << name;
    return WaterfallTerm{};
  };
  const Waterfall devices = waterfall(a, of_a, b, of_b);
  EXPECT_EQ(devices.difference(), Nanoseconds(-1'000'000));
  EXPECT_EQ(term(devices, "backward-weight").first, 4_ms);
  EXPECT_EQ(term(devices, "backward-weight").second, 4_ms + 500_us);
  EXPECT_EQ(term(devices, "all-reduce of gradients").second, 2_ms);
  EXPECT_EQ(term(devices, "straggler").first, 1_ms);
  EXPECT_EQ(term(devices, "straggler").second, 1_ms + 500_us);
  EXPECT_EQ(term(devices, "straggler").second_spans,
            std::vector{span_named(b, "f backward_weight", 1)});
  EXPECT_EQ(devices.terms[0].name, "all-reduce of gradients");
  const Waterfall path = waterfall(a, of_a, b, of_b, WaterfallBasis::kCriticalPath);
  EXPECT_EQ(term(path, "backward-weight").difference(), 1_ms);
  EXPECT_EQ(term(path, "all-reduce of gradients").first, 4_ms);
  EXPECT_EQ(term(path, "all-reduce of gradients").second, 2_ms);
  EXPECT_EQ(term(path, "update").difference(), 0_ms);
}

TEST(Waterfall, TellsQueuesFromTransfers) {
  HandMade h(1);
  h.compute(0, "a forward", {0_ms, 1_ms});
  for (int k = 0; k < 2; ++k) {
    const auto at = Nanoseconds((1 + 4 * k) * 1'000'000);
    // 3 ms, then 4 ms of as many bytes.
    const auto end = at + (k == 0 ? 3_ms : 4_ms);
    const auto copy = h.compute(0, "a.y to host", {at, end}, {h.compute(0, "x load", {at, at})},
                                Phase::kForward, TaskKind::kHostCopy);
    h.compute(0, "b forward", {end, end + 1_ms}, {copy});
  }
  const Trace t = h.trace();
  const StepAnalysis a = analysis_of(h, t);
  EXPECT_EQ(a.exposure.queued, 1_ms);
  for (const auto basis : {WaterfallBasis::kDevices, WaterfallBasis::kCriticalPath}) {
    const Waterfall w = waterfall(Trace{}, analyse(Trace{}), t, a, basis);
    std::map<std::string, Nanoseconds> terms;
    for (const WaterfallTerm& term : w.terms) terms[term.name] = term.difference();
    EXPECT_EQ(terms["queueing"], 1_ms);
    EXPECT_EQ(terms["copies between device and host"], 6_ms);
  }
}

TEST(Align, GoesByMeaning) {
  HandMade one(1), two(2);
  for (std::uint32_t m = 0; m < 2; ++m) {
    const Nanoseconds at = 2_ms * m;
    one.compute(0, "f forward", {at, at + 2_ms});
    one.plan().classes[0].tasks.back().micro_batch = static_cast<std::uint16_t>(m);
  }
  for (const std::uint32_t d : {0u, 1u}) two.compute(d, "f forward", {1_ms, 2_ms + 1_ms * d});
  two.transfer(Pattern::kAllGather, Of::kValues, "f.y all-gather",
               {{0, {2_ms, 4_ms}, {0}}, {1, {3_ms, 4_ms}, {0}}});
  one.transfer(Pattern::kBoxes, Of::kValues, "f.y boxes", {{0, {4_ms, 5_ms}, {1}}});
  const Trace a = one.trace(), b = two.trace();
  const auto rows = align(a, &one.plan(), b, &two.plan());
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].key, (AlignedKey{"f forward", TaskKind::kCompute, Phase::kForward, 0}));
  EXPECT_EQ(rows[0].first.time, 2_ms);
  EXPECT_EQ(rows[0].second.time, 3_ms);
  EXPECT_EQ(rows[0].second.longest, 2_ms);
  EXPECT_EQ(rows[0].second.spans.size(), 2u);
  EXPECT_EQ(rows[1].key.micro_batch, 1);
  EXPECT_TRUE(rows[1].second.spans.empty());
  EXPECT_EQ(rows[2].key.name, "f.y");
  EXPECT_EQ(rows[2].second.time, 2_ms);  // the wait of device 0 is none of it
  const auto steps = align(a, nullptr, b, nullptr, AlignBy::kStep);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].first.time, 4_ms);
}

TEST(Analysis, WithoutAPlanSaysWhatTheTraceShows) {
  const HandMade h = two_replicas();
  const Trace t = h.trace();
  const StepAnalysis a = analyse(t);
  EXPECT_EQ(a.path.step_time, 10_ms);
  EXPECT_EQ(a.exposure.devices[0].communication, 4_ms);
  EXPECT_EQ(a.exposure.devices[0].straggler, 2_ms);  // it waited, for whom is not known
  EXPECT_EQ(a.exposure.groups[0].group.name, "all-reduce of gradients");
  const Waterfall w = waterfall(t, a, t, analysis_of(h, t));
  for (const WaterfallTerm& term : w.terms) EXPECT_EQ(term.difference(), 0_ms) << term.name;
}

// --- properties
// -----------------------------------------------------------------------------------

struct Random {
  Graph graph;
  Cluster cluster;
  Plan plan;
  Trace trace;
};

// A strategy of `mlp` drawn at random, or a hybrid; every third trace is shaken as a measured one
// is. Costs differ from task to task.
Random draw(std::uint64_t seed) {
  search::Rng rng(seed);
  const int lanes = seed % 2 == 0 ? 1 : 2;
  Random out{build_model("mlp", {.batch = 8}).value(), small_cluster(2, 2, lanes), {}, {}};
  const NominalCatalog catalog;
  FakeCosts costs;
  costs.on_compute = [](const LocalProblem& p, const Step& s) {
    return Nanoseconds(100 + static_cast<std::int64_t>(p.signature() % 900) +
                       static_cast<std::int64_t>(s.phase) * 7);
  };
  costs.on_copy = [](Bytes read, Bytes written) {
    return Nanoseconds((read + written).value / 64);
  };
  costs.on_update = [](std::int64_t elements) { return Nanoseconds(1 + elements / 100); };
  costs.on_message = [](auto src, auto dst, Bytes size, int sharing) {
    return Nanoseconds(10 + src.value + 3 * dst.value + size.value * sharing / 100);
  };
  const search::Problem problem{
      .graph = &out.graph, .cluster = &out.cluster, .costs = &costs, .catalog = &catalog};
  static constexpr const char* kHybrids[] = {"dp=2,pp=2,micro_batch=1", "tp=2,dp=2,bucket=1kB",
                                             "dp=4,zero=3", "pp=4,micro_batch=2,schedule=zb-h1"};
  const Strategy strategy =
      seed % 3 == 0 ? search::hybrid(out.graph, out.cluster,
                                     search::parse_parallelism(kHybrids[seed / 3 % 4]).value())
                          .value()
                    : search::Space::make(problem).value().random(rng);
  out.plan = lower(out.graph, strategy, out.cluster, catalog, {.clip_gradient_norm = seed % 5 == 0})
                 .value();
  out.trace = simulate(out.graph, out.plan, out.cluster, costs).value();
  if (seed % 7 < 2) {
    // Times that fit no graph: every span is later by some, computing tasks in their order.
    Spans& s = out.trace.spans;
    out.trace.origin = TraceOrigin::kMeasured;
    for (std::size_t i = 0; i < s.size(); ++i) {
      const bool follows = i > 0 && s.lane[i] == s.lane[i - 1];
      const auto length = s.end[i] - s.start[i];
      s.start[i] += Nanoseconds(static_cast<std::int64_t>(rng.below(50)));
      if (follows) s.start[i] = std::max(s.start[i], s.end[i - 1]);
      s.end[i] = s.start[i] + length + Nanoseconds(static_cast<std::int64_t>(rng.below(50)));
    }
    out.trace.step_time += Nanoseconds(static_cast<std::int64_t>(rng.below(100))) - 20_ns;
  }
  return out;
}

Nanoseconds sum_of_computing(const Trace& t, DeviceId d) {
  Nanoseconds sum;
  for (std::size_t i = 0; i < t.spans.size(); ++i)
    if (t.lanes[t.spans.lane[i]].device == d && !runs_beside(t.spans.kind[i]))
      sum += t.spans.end[i] - t.spans.start[i];
  return sum;
}

class RandomStep : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomStep, IsToldToTheNanosecond) {
  const Random r = draw(GetParam());
  const StepAnalysis a = analyse(r.plan, r.trace).value();
  const StepGraph& g = a.graph;
  // What the simulator does needs no other reason, unless a processor copies.
  for (std::uint32_t v = 0; v < g.size(); ++v) {
    for (const std::uint32_t u : g.predecessors_of(v)) ASSERT_LT(u, v);
    if (r.trace.origin == TraceOrigin::kMeasured || g.gap[v].value == 0) continue;
    EXPECT_EQ(r.cluster.kinds()[0].lanes, 1);
    EXPECT_EQ(g.gap_kind[v], GapKind::kCopying)
        << r.trace.labels[r.trace.spans.label[g.span[v]]] << " " << g.gap[v].value;
  }
  Nanoseconds path, at;
  for (const PathSegment& s : a.path.segments) {
    EXPECT_EQ(s.start, at);
    at = s.end;
    path += s.length();
  }
  EXPECT_EQ(path, r.trace.step_time);
  for (const auto* shares : {&a.path.kinds, &a.path.operators}) {
    Nanoseconds sum;
    for (const PathShare& share : *shares) sum += share.time;
    EXPECT_EQ(sum, r.trace.step_time);
  }
  Nanoseconds exposed, of_devices;
  for (const DeviceTime& d : a.exposure.devices) {
    EXPECT_EQ(d.computing, sum_of_computing(r.trace, d.device));
    EXPECT_EQ(d.computing + d.idle(), r.trace.step_time);
    of_devices += d.communication;
  }
  for (const ExposedGroup& group : a.exposure.groups) {
    EXPECT_LE(group.hidden, group.busy);
    exposed += group.exposed;
  }
  EXPECT_EQ(exposed, of_devices);
  Nanoseconds of_spans;
  for (const Nanoseconds time : a.exposure.exposed_of_span) of_spans += time;
  EXPECT_EQ(of_spans, exposed);
}

TEST_P(RandomStep, ChangesAsItsSlackSays) {
  const Random r = draw(GetParam());
  const StepAnalysis a = analyse(r.plan, r.trace).value();
  StepGraph g = a.graph;
  const auto end = [&] { return end_with(g, g.length, g.gap); };
  ASSERT_EQ(end(), g.end);
  search::Rng rng(GetParam() + 1000);
  for (int k = 0; k < 40; ++k) {
    const auto span = static_cast<std::uint32_t>(rng.below(r.trace.spans.size()));
    const std::uint32_t unit = g.unit[g.node_of_span[span]];
    std::vector<bool> free(g.size(), false);
    for (std::uint32_t v = 0; v < g.size(); ++v) free[v] = g.unit[v] == unit;
    std::vector<Nanoseconds> lengths = g.length;
    for (std::uint32_t v = 0; v < g.size(); ++v)
      if (free[v]) lengths[v] = 0_ns;
    EXPECT_EQ(g.end - end_with(g, lengths, g.gap), a.slack.saves_if_free[span]);
    const Nanoseconds slack = a.slack.slack[span];
    const auto lengthen = [&](Nanoseconds by) {
      for (std::uint32_t v = 0; v < g.size(); ++v)
        if (free[v]) g.length[v] += by;
    };
    lengthen(slack);
    EXPECT_EQ(end(), g.end);
    lengthen(1_ns);
    EXPECT_EQ(end(), g.end + 1_ns);
    lengthen(Nanoseconds(-1) - slack);
  }
}

TEST_P(RandomStep, DiffersFromAnotherByTheSumOfTheTerms) {
  const Random one = draw(GetParam()), two = draw(GetParam() + 1);
  for (const bool has_plan : {true, false})
    for (const auto basis : {WaterfallBasis::kDevices, WaterfallBasis::kCriticalPath}) {
      const auto of = [&](const Random& r) {
        return has_plan ? analyse(r.plan, r.trace).value() : analyse(r.trace);
      };
      const Waterfall w = waterfall(one.trace, of(one), two.trace, of(two), basis);
      Nanoseconds first, second;
      for (const WaterfallTerm& t : w.terms) first += t.first, second += t.second;
      EXPECT_EQ(first, one.trace.step_time);
      EXPECT_EQ(second, two.trace.step_time);
      EXPECT_EQ(w.difference(), two.trace.step_time - one.trace.step_time);
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStep, testing::Range<std::uint64_t>(0, 42));

}  // namespace
}  // namespace soapstone::simulator
