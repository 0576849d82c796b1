#include "explorer_gui/model/strategy_table.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "explorer_gui/model/provenance.hpp"
#include "explorer_gui/model/search_view.hpp"
#include "tests/explorer_gui/world.hpp"

namespace soapstone::explorer {
namespace {

using namespace core::literals;

// Names, and nothing known.
std::vector<StrategyRow> named(std::vector<std::string> names) {
  std::vector<StrategyRow> rows;
  for (std::string& name : names) {
    StrategyRow& row = rows.emplace_back();
    row.id = static_cast<StrategyId>(rows.size());
    row.name = std::move(name);
  }
  return rows;
}

std::vector<std::string> names_of(const std::vector<StrategyRow>& rows,
                                  const StrategyQuery& query) {
  std::vector<std::string> out;
  for (const std::size_t i : chosen(rows, query)) out.push_back(rows[i].name);
  return out;
}
using Names = std::vector<std::string>;

TEST(StrategyTable, SortsByTimeAndWhatIsNotKnownStandsLastBothWays) {
  auto rows = named({"a", "b", "c", "d"});
  rows[0].step_time = 3_ms;
  rows[1].step_time = 1_ms;
  rows[3].step_time = 2_ms;
  EXPECT_EQ(names_of(rows, {}), (Names{"a", "b", "c", "d"})) << "the design's order";
  StrategyQuery query;
  query.by = StrategyColumn::kStepTime;
  EXPECT_EQ(names_of(rows, query), (Names{"b", "d", "a", "c"}));
  query.descending = true;
  EXPECT_EQ(names_of(rows, query), (Names{"a", "d", "b", "c"}));
}

TEST(StrategyTable, EqualRowsStayInTheirOrder) {
  auto rows = named({"x", "a", "y", "b"});
  for (auto& row : rows) row.memory = 4_GiB;
  rows[1].memory = 1_GiB;
  StrategyQuery query;
  query.by = StrategyColumn::kMemory;
  EXPECT_EQ(names_of(rows, query), (Names{"a", "x", "y", "b"}));
  query.descending = true;
  EXPECT_EQ(names_of(rows, query), (Names{"x", "y", "b", "a"}));
}

TEST(StrategyTable, NamesAreSortedByTheirNumbers) {
  const auto rows = named({"mcmc #10", "Mcmc #2", "mcmc #1", "expert"});
  StrategyQuery query;
  query.by = StrategyColumn::kName;
  EXPECT_EQ(names_of(rows, query), (Names{"expert", "mcmc #1", "Mcmc #2", "mcmc #10"}));
}

TEST(StrategyTable, FiltersByWordsStarsAndWhatFits) {
  auto rows = named({"best so far", "expert", "second best"});
  rows[0].origin = "mcmc from data-parallel";
  rows[2].origin = "mcmc from expert";
  rows[1].starred = true;
  rows[2].state = StrategyState::kFits;
  StrategyQuery query;
  query.text = "EXPERT";
  EXPECT_EQ(names_of(rows, query), (Names{"expert", "second best"})) << "names and origins";
  query.text = " best  data ";
  EXPECT_EQ(names_of(rows, query), (Names{"best so far"})) << "all words";
  query = {};
  query.starred_only = true;
  EXPECT_EQ(names_of(rows, query), (Names{"expert"}));
  query = {};
  query.fitting_only = true;
  EXPECT_EQ(names_of(rows, query), (Names{"second best"}));
}

TEST(StrategyTable, TheParetoFrontOfFivePoints) {
  // time, memory: b is as fast as a and larger, d is slower and larger than c.
  const std::vector<ParetoPoint> points{{4, 1}, {1, 5}, {2, 3}, {3, 3.5}, {1, 6}};
  EXPECT_EQ(pareto_front(points), (std::vector<std::size_t>{1, 2, 0}));
  EXPECT_TRUE(pareto_front({}).empty());
  // Of equal points all are there.
  EXPECT_EQ(pareto_front(std::vector<ParetoPoint>{{1, 1}, {1, 1}}).size(), 2u);
}

TEST(StrategyTable, TheNearestPointIsNoFartherThanItMayBe) {
  const std::vector<ScreenPoint> points{{0, 0}, {10, 0}, {30, 40}};
  EXPECT_EQ(nearest(points, {6, 0}, 12), 1u);
  EXPECT_EQ(nearest(points, {0, 0}, 12), 0u);
  EXPECT_EQ(nearest(points, {30, 28}, 12), 2u) << "exactly 12 away";
  EXPECT_FALSE(nearest(points, {30, 27}, 12));
}

// A design of two strategies with 100 samples a step, and figures that are set.
struct Two {
  Work work{"alexnet", 100, "p100-4x4", {"data-parallel"}};
  std::map<StrategyId, Evaluated> known;

  Two() {
    work->add_strategy("single");
    work->finish_jobs();
  }
  const Design& design() { return work->design(); }
  StrategyId id(std::size_t i) { return design().strategies[i].id; }
  void set(std::size_t i, core::Nanoseconds time, core::Bytes memory, std::string why_not = {}) {
    Evaluated& e = known[id(i)];
    e.state = Evaluated::State::kReady;
    e.figures = Figures{time, memory, 100 / core::seconds(time), {0.5, 0.3, 0.2}, why_not};
  }
  std::vector<StrategyRow> rows() {
    return strategy_rows(design(), [this](StrategyId id) -> const Evaluated* {
      const auto it = known.find(id);
      return it == known.end() ? nullptr : &it->second;
    });
  }
};

TEST(StrategyTable, ARowTellsTimeCostAndTheRatioToTheBaseline) {
  Two two;
  two.work->compare_with(two.id(0));
  two.set(0, 36_ms, 4_GiB);
  two.set(1, 90_ms, 6_GiB, "needs 6 GiB");
  const auto rows = two.rows();
  ASSERT_EQ(rows.size(), 2u);
  // 16 devices for 36 ms; for a million samples 10,000 steps: 5,760 s of a device.
  EXPECT_EQ(rows[0].devices, 16u);
  EXPECT_EQ(rows[0].device_time, 576_ms);
  EXPECT_DOUBLE_EQ(*rows[0].device_hours, 1.6);
  EXPECT_DOUBLE_EQ(*rows[0].ratio, 1);
  EXPECT_TRUE(rows[0].baseline);
  EXPECT_EQ(rows[0].state, StrategyState::kFits);
  EXPECT_DOUBLE_EQ(*rows[0].exposed, 0.3);
  // One device for 90 ms: slower, but a quarter of an hour instead of 1.6 of them.
  EXPECT_EQ(rows[1].devices, 1u);
  EXPECT_EQ(rows[1].device_time, 90_ms);
  EXPECT_DOUBLE_EQ(*rows[1].device_hours, 0.25);
  EXPECT_DOUBLE_EQ(*rows[1].ratio, 2.5);
  EXPECT_EQ(rows[1].state, StrategyState::kTooLarge);
  EXPECT_EQ(rows[1].why_not, "needs 6 GiB");
  EXPECT_EQ(cell_text(rows[1], StrategyColumn::kRatio), "2.500");
  EXPECT_EQ(cell_text(rows[0], StrategyColumn::kExposed), "30.0 %");
  EXPECT_EQ(cell_text(rows[0], StrategyColumn::kDeviceTime), "576 ms");
}

TEST(StrategyTable, WhatIsNotKnownIsSaidAndNotInvented) {
  Two two;
  const auto rows = two.rows();
  EXPECT_EQ(rows[0].state, StrategyState::kUnknown);
  EXPECT_FALSE(rows[0].step_time || rows[0].ratio || rows[0].memory || rows[0].device_hours);
  EXPECT_EQ(cell_text(rows[0], StrategyColumn::kStepTime), "–");
  // What a search tells has no shares.
  two.set(0, 36_ms, 4_GiB);
  two.known[two.id(0)].figures->use = {};
  EXPECT_TRUE(two.rows()[0].step_time);
  EXPECT_FALSE(two.rows()[0].exposed);
}

TEST(StrategyTable, TheFrontIsOfStrategiesThatFit) {
  Two two;
  two.set(0, 36_ms, 4_GiB);
  two.set(1, 9_ms, 1_GiB, "needs 1 GiB");
  const Pareto pareto = pareto_of(two.rows());
  EXPECT_EQ(pareto.front, (std::vector<std::size_t>{0}));
  EXPECT_EQ(pareto.too_large, (std::vector<std::size_t>{1}));
}

TEST(StrategyTable, ItIsATableForSpreadsheetsAndForPullRequests) {
  Two two;
  two.work->rename(two.id(1), "one, \"alone\" | slow");
  two.work->compare_with(two.id(0));
  two.set(0, 36_ms, 4_GiB);
  const auto rows = two.rows();
  const std::string csv = strategies_csv(two.design(), rows);
  EXPECT_NE(csv.find("\ndata-parallel,data-parallel,no,yes,fits,,36000000,1,2777.78,4294967296,16,"
                     "576000000,1.6,0.5,0.3,0.2,"),
            std::string::npos)
      << csv;
  EXPECT_NE(csv.find("\n\"one, \"\"alone\"\" | slow\",single,no,no,not simulated yet,,,,,,1,,,,,,"),
            std::string::npos)
      << csv;
  const std::string page = summary_markdown(two.design(), rows, "It is faster.");
  EXPECT_NE(page.find("## alexnet with a batch of 100 on p100-4x4\n\nIt is faster.\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("| data-parallel (baseline) | 36 ms | 1.000 | 2778 | 4 GiB | 16 | 30.0 % | "
                      "20.0 % | fits |"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("one, \"alone\" \\| slow"), std::string::npos) << page;
}

TEST(StrategyTable, FiguresThatASearchDoesNotTellAreComputedBesideIt) {
  Work w("alexnet", 64, "p100-4x4");
  w->next_search().budget = "300";
  w->search();
  w->finish_jobs();
  const auto known = [&](StrategyId id) { return w->known(id); };
  auto rows = strategy_rows(w->design(), known);
  const auto open = std::find_if(rows.begin(), rows.end(),
                                 [](const StrategyRow& r) { return r.step_time && !r.computing; });
  ASSERT_NE(open, rows.end());
  const std::size_t at = static_cast<std::size_t>(open - rows.begin());
  w->complete_figures(rows[at].id);
  w->finish_jobs();
  const auto after = strategy_rows(w->design(), known);
  ASSERT_TRUE(after[at].computing);
  EXPECT_NEAR(*after[at].computing + *after[at].exposed + *after[at].idle, 1, 1e-9);
  EXPECT_EQ(after[at].step_time, rows[at].step_time) << "the search told the truth";
}

TEST(Provenance, ANumberTellsItsFormulaAndACommandThatGivesItAgain) {
  Two two;
  two.work->compare_with(two.id(0));
  two.set(0, 36_ms, 4_GiB);
  two.set(1, 90_ms, 6_GiB);
  const auto rows = two.rows();
  const Provenance p =
      provenance_of(two.design(), rows, 0, StrategyColumn::kDeviceHours, nullptr, nullptr);
  EXPECT_EQ(p.value, "1.6");
  EXPECT_EQ(p.formula, "devices in use × step time ÷ samples of a step × 1,000,000");
  EXPECT_EQ(p.inputs,
            (std::vector<std::pair<std::string, std::string>>{
                {"devices in use", "16"}, {"step time", "36 ms"}, {"samples of a step", "100"}}));
  EXPECT_EQ(p.command,
            "soapstone simulate alexnet --batch 100 --cluster p100-4x4 --strategy data-parallel");
  const auto evaluation = two.work->compared();
  const Provenance time =
      provenance_of(two.design(), rows, 0, StrategyColumn::kStepTime, evaluation.get(), nullptr);
  EXPECT_NE(time.source.find("roofline"), std::string::npos) << time.source;
  EXPECT_NE(time.uncertainty.find("Nothing of it was measured"), std::string::npos);
}

TEST(Provenance, WhatWasMeasuredTellsHowFarThePredictionIsOff) {
  Evaluation e;
  e.step_time = 9_ms;
  core::Trace measured;
  measured.step_time = 10_ms;
  measured.steps = 50;
  EXPECT_EQ(uncertainty_of(&e, &measured),
            "Measured were 10 ms (median of 50 steps): the prediction is 10.0 % too low.");
}

TEST(Provenance, AStrategyThatNoTextNamesGoesIntoAFileFirst) {
  Work w("alexnet", 64, "p100-4x4");
  ASSERT_TRUE(w->edit("two micro-batches", [](core::Strategy& s) -> core::Status {
    s.micro_batches = 2;
    return {};
  }));
  EXPECT_EQ(command_line(w->design(), *w->design().shown(), "explain", "--facts 8"),
            "# data-parallel (edited) first goes into a file (Ctrl+Shift+S)\n"
            "soapstone explain alexnet --batch 64 --cluster p100-4x4 --strategy strategy.json "
            "--facts 8");
}

TEST(StrategyTable, TellsHowFarAStrategyIsAboveTheBound) {
  Work w("alexnet", 64, "p100-4x4");
  const auto known = [&](StrategyId id) { return w->known(id); };
  const core::Nanoseconds step = w->shown()->step_time;
  const auto rows = strategy_rows(w->design(), known, core::Nanoseconds(step.value / 4));
  ASSERT_TRUE(rows[0].above_bound);
  EXPECT_EQ(cell_text(rows[0], StrategyColumn::kAboveBound), "4.00");
  EXPECT_EQ(cell_text(strategy_rows(w->design(), known)[0], StrategyColumn::kAboveBound), "–");
  const auto bound = lower_bound_of(w->design().setting());
  ASSERT_TRUE(bound);
  EXPECT_GT(*strategy_rows(w->design(), known, bound)[0].above_bound, 1);
}

TEST(SearchView, TheCurveGoesOnToNow) {
  SearchRun run;
  run.running = true;
  run.curve = {{100, 8_ms, 1000_ms, 0.1}, {400, 4_ms, 2000_ms, 0.4}};
  run.last = {1000, 4_ms, 4000_ms, 1};
  const SearchView by_proposals = search_view(run, SearchAxis::kProposals, 10_ms);
  EXPECT_EQ(by_proposals.x, (std::vector<double>{100, 400, 1000}));
  EXPECT_EQ(by_proposals.best, (std::vector<double>{8, 4, 4}));
  EXPECT_DOUBLE_EQ(by_proposals.proposals_per_second, 250);
  EXPECT_EQ(by_proposals.words,
            "1,000 proposals in 4 s (250/s), best 4 ms (2.50 × as fast as the baseline)");
  EXPECT_FALSE(by_proposals.bound);
  const SearchView bounded = search_view(run, SearchAxis::kProposals, {}, 500_us);
  EXPECT_EQ(bounded.bound, 0.5);
  EXPECT_EQ(bounded.words, "1,000 proposals in 4 s (250/s), best 4 ms, 8.00 × the lower bound");
  EXPECT_EQ(search_view(run, SearchAxis::kTime, {}).x, (std::vector<double>{1, 2, 4}));
  run = {};
  EXPECT_EQ(search_view(run, SearchAxis::kTime, {}).words, "No search yet.");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(with_commas(999), "999");
}

}  // namespace
}  // namespace soapstone::explorer
