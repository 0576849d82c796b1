#include "explorer_gui/model/comparison.hpp"

#include <gtest/gtest.h>

#include "core/document.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using namespace core::literals;

simulator::WaterfallTerm term(const char* name, core::Nanoseconds first, core::Nanoseconds second) {
  simulator::WaterfallTerm t;
  t.name = name;
  t.first = first;
  t.second = second;
  return t;
}

// 10 ms that become 6 ms: 5 less of one thing, 2 more of another, 1 less of a third.
simulator::Waterfall four_less() {
  simulator::Waterfall w;
  w.first = 10_ms;
  w.second = 6_ms;
  w.terms = {term("gradients", 6_ms, 1_ms), term("forward", 2_ms, 4_ms), term("update", 1_ms, 0_ms),
             term("bubble", 1_ms, 1_ms)};
  return w;
}

TEST(Waterfall, BarsLeadFromOneStepToTheOther) {
  using Kind = WaterfallBar::Kind;
  const std::vector<WaterfallBar> expected = {{Kind::kStep, "a", 0_ms, 10_ms, 0},
                                              {Kind::kTerm, "gradients", 10_ms, 5_ms, 0},
                                              {Kind::kTerm, "forward", 5_ms, 7_ms, 1},
                                              {Kind::kTerm, "update", 7_ms, 6_ms, 2},
                                              {Kind::kStep, "b", 0_ms, 6_ms, 0}};
  EXPECT_EQ(waterfall_bars(four_less(), "a", "b", 12), expected);
}

TEST(Waterfall, SmallBarsAreTakenTogetherAndNothingIsLost) {
  const auto bars = waterfall_bars(four_less(), "a", "b", 1);
  ASSERT_EQ(bars.size(), 4u);
  EXPECT_EQ(bars[2].kind, WaterfallBar::Kind::kRest);
  EXPECT_EQ(bars[2].from, 5_ms);
  EXPECT_EQ(bars[2].to, 6_ms) << "2 ms more and 1 ms less";
}

TEST(Waterfall, StepsThatDifferByLittleAreCutOff) {
  // The lowest end is 5 ms, not more than half of 10 ms: everything is drawn.
  EXPECT_EQ(range_of(waterfall_bars(four_less(), "a", "b", 12)), (BarRange{0_ms, 10_ms}));
  simulator::Waterfall w;
  w.first = 100_ms;
  w.second = 97_ms;
  w.terms = {term("update", 5_ms, 1_ms), term("forward", 0_ms, 1_ms)};
  // From 96 to 100 ms, and a quarter of that on the left.
  EXPECT_EQ(range_of(waterfall_bars(w, "a", "b", 12)), (BarRange{95_ms, 100_ms}));
}

TEST(Comparison, TwoStrategiesDifferByTermsThatAddUp) {
  Work w("alexnet", 64, "p100-4x4");
  w->add_strategy("expert");  // is shown, and data parallelism becomes its baseline
  w->finish_jobs();
  Comparer comparer;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(comparer.refresh(*w, Against::kBaseline), "");
    w->finish_jobs();
  }
  const auto now = comparer.now();
  ASSERT_NE(now, nullptr);
  EXPECT_FALSE(comparer.working());
  EXPECT_EQ(now->before.name, "data-parallel");
  EXPECT_EQ(now->after.name, "expert");
  for (const auto* fall : {&now->by_devices, &now->by_path}) {
    EXPECT_EQ(fall->difference(), w->shown()->step_time - w->compared()->step_time);
    core::Nanoseconds sum, bars;
    for (const auto& t : fall->terms) sum += t.difference();
    for (const auto& bar : waterfall_bars(*fall, "a", "b", 3))
      if (bar.kind != WaterfallBar::Kind::kStep) bars += bar.difference();
    EXPECT_EQ(sum, fall->difference()) << "to the nanosecond";
    EXPECT_EQ(bars, fall->difference()) << "to the nanosecond";
  }
  EXPECT_TRUE(now->why.starts_with("expert takes ")) << now->why;
  EXPECT_NE(now->why.find("than data-parallel"), std::string::npos) << now->why;
  // The expert cuts the features of fc6.
  const auto fc6 = w->design().graph->find_op("fc6")->value;
  ASSERT_GT(now->ops.size(), fc6);
  EXPECT_EQ(now->ops[fc6].name, "fc6");
  EXPECT_TRUE(now->ops[fc6].cut_differs());
  EXPECT_EQ(now->ops[fc6].before.split, "n=16");
  EXPECT_LT(now->ops[fc6].after.memory, now->ops[fc6].before.memory);
  EXPECT_FALSE(now->meaning.empty());
  // The largest term is fc6's gradients above all; its spans select the operator in both.
  const simulator::WaterfallTerm& largest = now->by_devices.terms[0];
  EXPECT_EQ(largest.name, "all-reduce of gradients");
  select_spans(*w, now->before, largest.first_spans, now->after, largest.second_spans);
  EXPECT_TRUE(w->selection().has(fc6));
  EXPECT_EQ(w->selection().marked.size(), 2u);
}

TEST(Comparison, WhatIsMissingIsSaid) {
  Work w("alexnet", 64, "p100-4x4", {"data-parallel"});
  Comparer comparer;
  EXPECT_NE(comparer.refresh(*w, Against::kBaseline).find("Choose a baseline"), std::string::npos);
  w->compare_with(w->design().current);
  EXPECT_NE(comparer.refresh(*w, Against::kBaseline).find("baseline itself"), std::string::npos);
  EXPECT_NE(comparer.refresh(*w, Against::kMeasured).find("Nothing of this strategy was measured"),
            std::string::npos);
}

// As if every task had taken a tenth longer.
core::Trace slower_by_a_tenth(core::Trace trace) {
  trace.origin = core::TraceOrigin::kMeasured;
  const auto stretched = [](core::Nanoseconds t) { return core::Nanoseconds(t.value * 11 / 10); };
  trace.step_time = stretched(trace.step_time);
  trace.steps = 50;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    trace.spans.start[i] = stretched(trace.spans.start[i]);
    trace.spans.end[i] = stretched(trace.spans.end[i]);
    trace.spans.waiting[i] = stretched(trace.spans.waiting[i]);
  }
  return trace;
}

TEST(Comparison, APredictionIsComparedWithItsMeasurement) {
  Work w("alexnet", 64, "p100-4x4");
  const auto file = w.folder.path() / "measured.json";
  ASSERT_TRUE(core::save_document(file, slower_by_a_tenth(w->shown()->trace)));
  w->open(file.string());
  w->finish_jobs();
  Comparer comparer;
  ASSERT_EQ(comparer.refresh(*w, Against::kMeasured), "");
  w->finish_jobs();
  const auto now = comparer.now();
  ASSERT_NE(now, nullptr) << comparer.error();
  EXPECT_EQ(now->after.name, "measured");
  EXPECT_EQ(now->by_devices.difference().value,
            w->shown()->step_time.value * 11 / 10 - w->shown()->step_time.value);
  ASSERT_FALSE(now->ops.empty()) << "it is a trace of the same plan";
  EXPECT_FALSE(now->ops[0].cut_differs());
}

TEST(Comparison, SpansSelectTheirOperatorsAndAreMarkedInTheirTrace) {
  Work w("alexnet", 64, "p100-4x4");
  const auto shown = w->shown();
  ComparedStep step;
  step.evaluation = shown;
  step.trace = std::shared_ptr<const core::Trace>(shown, &shown->trace);
  std::vector<std::uint32_t> spans;
  for (std::uint32_t i = 0; i < shown->trace.spans.size(); ++i)
    if (shown->trace.labels[shown->trace.spans.label[i]].starts_with("fc6")) spans.push_back(i);
  ASSERT_FALSE(spans.empty());
  const std::uint64_t before = w->revision();
  select_spans(*w, {}, {}, step, spans);
  const auto fc6 = w->design().graph->find_op("fc6")->value;
  EXPECT_EQ(w->selection().ops, std::set<std::uint32_t>{fc6});
  EXPECT_EQ(w->selection().span, spans[0]);
  ASSERT_EQ(w->selection().marked.size(), 1u);
  EXPECT_EQ(w->selection().marked[0].trace.get(), &shown->trace);
  EXPECT_EQ(w->selection().marked[0].spans, spans);
  EXPECT_GT(w->revision(), before);
}

TEST(Comparison, RowsOfMeaningAreSortedByTheSizeOfTheirDifference) {
  std::vector<MeaningRow> rows(3);
  const auto set = [&](std::size_t i, core::Nanoseconds before, core::Nanoseconds after) {
    rows[i].row.first.time = before;
    rows[i].row.second.time = after;
    rows[i].row.first.spans = rows[i].row.second.spans = {0};
  };
  set(0, 5_ms, 6_ms);  // +1
  set(1, 5_ms, 1_ms);  // -4
  set(2, 1_ms, 1_ms);  // 0
  EXPECT_EQ(sorted(rows, MeaningColumn::kDifference, true), (std::vector<std::size_t>{1, 0, 2}));
  EXPECT_EQ(cell_text(rows[1], MeaningColumn::kDifference), "-4 ms");
  EXPECT_EQ(cell_text(rows[0], MeaningColumn::kDifference), "+1 ms");
  rows[0].stage_before = 1;
  rows[0].stage_after = 3;
  EXPECT_EQ(cell_text(rows[0], MeaningColumn::kStage), "1 → 3");
  rows[0].row.second.spans.clear();
  EXPECT_EQ(cell_text(rows[0], MeaningColumn::kAfter), "–") << "it is not there";
}

}  // namespace
}  // namespace soapstone::explorer
