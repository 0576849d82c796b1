#include "explorer_gui/model/comparison.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/core.h>

#include "core/units.hpp"
#include "reports/op_table.hpp"
#include "simulator/analysis/explain.hpp"

namespace soapstone::explorer {

namespace {

core::Result<simulator::StepAnalysis> analysis_of(const ComparedStep& step) {
  if (const core::Plan* plan = step.plan()) return simulator::analyse(*plan, *step.trace);
  return simulator::analyse(*step.trace);
}

simulator::Waterfall turned(simulator::Waterfall w) {
  std::swap(w.first, w.second);
  for (simulator::WaterfallTerm& t : w.terms) {
    std::swap(t.first, t.second);
    std::swap(t.first_spans, t.second_spans);
  }
  return w;
}

std::vector<reports::OpRow> table_of(const core::Graph& graph, const core::Cluster& cluster,
                                     const ComparedStep& step) {
  const core::Plan* const plan = step.plan();
  if (!plan || !step.strategy) return {};
  return reports::op_table({.graph = graph,
                            .cluster = cluster,
                            .strategy = *step.strategy,
                            .plan = *plan,
                            .predicted = *step.trace,
                            .measured = {},
                            .ranked = {},
                            .metrics = {}});
}

OpSide side_of(const reports::OpRow& row, const core::Strategy& strategy, std::size_t op) {
  OpSide out;
  out.split = row.split;
  out.devices = row.devices;
  if (op < strategy.ops.size()) out.stage = strategy.ops[op].stage;
  out.compute = row.predicted.compute;
  out.transfer = row.predicted.transfer;
  out.update = row.predicted.update;
  out.moved = row.moved;
  out.memory = row.memory;
  return out;
}

std::vector<OpDifference> op_differences(const core::Graph& graph, const core::Cluster& cluster,
                                         const ComparedStep& before, const ComparedStep& after) {
  const auto first = table_of(graph, cluster, before), second = table_of(graph, cluster, after);
  std::vector<OpDifference> out;
  if (first.empty() || second.empty()) return out;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (i >= graph.ops().size() && first[i].is_empty() && second[i].is_empty()) continue;
    OpDifference& d = out.emplace_back();
    d.name = first[i].name;
    if (i < graph.ops().size()) d.op = static_cast<std::uint32_t>(i);
    d.before = side_of(first[i], *before.strategy, i);
    d.after = side_of(second[i], *after.strategy, i);
  }
  return out;
}

std::int32_t stage_of(const core::Graph& graph, const ComparedStep& step, const std::string& op) {
  const auto found = graph.find_op(op);
  if (!found || !step.strategy) return -1;
  return step.strategy->ops[found->value].stage;
}

std::vector<MeaningRow> meaning_of(const core::Graph& graph, const ComparedStep& before,
                                   const ComparedStep& after, simulator::AlignBy by) {
  std::vector<MeaningRow> out;
  for (simulator::AlignedRow& row :
       simulator::align(*before.trace, before.plan(), *after.trace, after.plan(), by)) {
    MeaningRow& m = out.emplace_back();
    m.op = simulator::operator_of_label(row.key.name, row.key.kind);
    m.stage_before = stage_of(graph, before, m.op);
    m.stage_after = stage_of(graph, after, m.op);
    m.row = std::move(row);
  }
  return out;
}

// Of transfers that are under way together the last one is what a device waits for; a bar stands
// for all of its family.
void take_whole_families(const simulator::StepAnalysis& analysis, simulator::Waterfall& waterfall,
                         std::vector<std::uint32_t> simulator::WaterfallTerm::*spans) {
  for (simulator::WaterfallTerm& term : waterfall.terms) {
    if ((term.*spans).empty()) continue;
    std::set<std::uint32_t> all;
    for (const simulator::ExposedGroup& group : analysis.exposure.groups)
      if (group.group.family == term.name) all.insert(group.spans.begin(), group.spans.end());
    if (!all.empty()) (term.*spans).assign(all.begin(), all.end());
  }
}

std::string with_sign(core::Nanoseconds t) {
  return (t.value > 0 ? "+" : "") + core::human_text(t);
}

}  // namespace

const core::Plan* ComparedStep::plan() const {
  if (!evaluation || !trace) return nullptr;
  return trace->plan_hash == evaluation->trace.plan_hash ? &evaluation->plan : nullptr;
}

ComparedStep predicted_step(const NamedStrategy& strategy,
                            std::shared_ptr<const Evaluation> evaluation) {
  ComparedStep step;
  step.name = strategy.name;
  step.strategy = strategy.strategy;
  if (evaluation) step.trace = std::shared_ptr<const core::Trace>(evaluation, &evaluation->trace);
  step.evaluation = std::move(evaluation);
  return step;
}

core::Result<Comparison> compare(const core::Graph& graph, const core::Cluster& cluster,
                                 ComparedStep before, ComparedStep after) {
  Comparison out;
  SOAPSTONE_ASSIGN(const simulator::StepAnalysis first, analysis_of(before));
  SOAPSTONE_ASSIGN(const simulator::StepAnalysis second, analysis_of(after));
  const auto fall = [&](simulator::WaterfallBasis basis) {
    return simulator::waterfall(*before.trace, first, *after.trace, second, basis);
  };
  out.by_devices = fall(simulator::WaterfallBasis::kDevices);
  out.by_path = fall(simulator::WaterfallBasis::kCriticalPath);
  take_whole_families(first, out.by_devices, &simulator::WaterfallTerm::first_spans);
  take_whole_families(second, out.by_devices, &simulator::WaterfallTerm::second_spans);
  out.why = simulator::why(turned(out.by_devices), after.name, before.name);
  out.ops = op_differences(graph, cluster, before, after);
  out.meaning = meaning_of(graph, before, after, simulator::AlignBy::kMicroBatch);
  out.meaning_of_step = meaning_of(graph, before, after, simulator::AlignBy::kStep);
  out.before = std::move(before);
  out.after = std::move(after);
  return out;
}

std::vector<WaterfallBar> waterfall_bars(const simulator::Waterfall& w, const std::string& before,
                                         const std::string& after, std::size_t most) {
  std::vector<WaterfallBar> out;
  out.push_back({WaterfallBar::Kind::kStep, before, core::Nanoseconds(0), w.first, 0});
  core::Nanoseconds at = w.first;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < w.terms.size() && shown < most; ++i) {  // the largest stand first
    const core::Nanoseconds difference = w.terms[i].difference();
    if (difference.value == 0) continue;
    out.push_back({WaterfallBar::Kind::kTerm, w.terms[i].name, at, at + difference, i});
    at += difference;
    ++shown;
  }
  bool is_cut = false;
  for (std::size_t i = 0, seen = 0; i < w.terms.size(); ++i)
    if (w.terms[i].difference().value != 0 && ++seen > shown) is_cut = true;
  if (is_cut)
    out.push_back({WaterfallBar::Kind::kRest, "everything else", at, w.second, w.terms.size()});
  out.push_back({WaterfallBar::Kind::kStep, after, core::Nanoseconds(0), w.second, 0});
  return out;
}

BarRange range_of(std::span<const WaterfallBar> bars) {
  BarRange out;
  if (bars.empty()) return out;
  core::Nanoseconds low = bars[0].to;
  for (const WaterfallBar& bar : bars) {
    low = std::min(low, bar.to);  // a term begins where another bar ends
    out.to = std::max(out.to, bar.to);
  }
  if (low.value * 2 > out.to.value) {
    const std::int64_t margin = std::max<std::int64_t>(1, (out.to - low).value / 4);
    out.from = std::max(core::Nanoseconds(0), low - core::Nanoseconds(margin));
  } else {
    out.from = std::min(low, core::Nanoseconds(0));
  }
  return out;
}

void select_spans(Session& session, const ComparedStep& before,
                  const std::vector<std::uint32_t>& before_spans, const ComparedStep& after,
                  const std::vector<std::uint32_t>& after_spans) {
  Selection& selection = session.selection();
  selection.ops.clear();
  selection.marked.clear();
  selection.span.reset();
  const auto mark = [&](const ComparedStep& step, const std::vector<std::uint32_t>& spans) {
    if (!step.trace || spans.empty()) return;
    selection.marked.push_back({step.trace, spans});
    if (!session.design().graph) return;
    std::set<std::pair<std::uint32_t, core::TaskKind>> seen;
    for (const std::uint32_t i : spans) {
      const std::uint32_t label = step.trace->spans.label[i];
      const core::TaskKind kind = step.trace->spans.kind[i];
      if (!seen.insert({label, kind}).second) continue;
      const auto op = session.design().graph->find_op(
          simulator::operator_of_label(step.trace->labels[label], kind));
      if (op) selection.ops.insert(op->value);
    }
  };
  mark(before, before_spans);
  mark(after, after_spans);
  const auto shown = session.last_shown();
  for (const MarkedSpans& m : selection.marked)
    if (shown && m.trace.get() == &shown->trace) selection.span = m.spans.front();
  session.changed();
}

Provenance provenance_of_term(const Design& design, const Comparison& c,
                              const simulator::Waterfall& w, std::size_t term) {
  const simulator::WaterfallTerm& t = w.terms[term];
  Provenance p;
  p.name = fmt::format("{}: {} against {}", t.name, c.after.name, c.before.name);
  p.value = with_sign(t.difference());
  p.formula = w.basis == simulator::WaterfallBasis::kDevices
                  ? "mean over the devices of what they spend on it in one step, after − before"
                  : "its part of the critical path, after − before";
  const auto nanoseconds = [](core::Nanoseconds time) {
    return fmt::format("{} ({} ns)", core::human_text(time), time.value);
  };
  p.inputs.emplace_back(c.before.name, nanoseconds(t.first));
  p.inputs.emplace_back(c.after.name, nanoseconds(t.second));
  p.inputs.emplace_back("spans",
                        fmt::format("{} and {}", t.first_spans.size(), t.second_spans.size()));
  p.inputs.emplace_back("all terms together", nanoseconds(w.difference()));
  const auto traced = [](const ComparedStep& step) {
    return fmt::format("{} ({})", step.name, core::name_of(step.trace->origin));
  };
  p.source = fmt::format("The traces of {} and {}.", traced(c.before), traced(c.after));
  p.uncertainty =
      "Exact for the two traces: the terms add up to the difference of the steps to "
      "the nanosecond.";
  if (const NamedStrategy* shown = design.shown()) {
    std::string more =
        w.basis == simulator::WaterfallBasis::kDevices ? "" : "--basis critical-path ";
    if (c.after.trace->origin == core::TraceOrigin::kMeasured)
      more += "--against measured.json";
    else if (const NamedStrategy* base = design.compared())
      more += "--against " + strategy_argument(design, *base, "baseline.json");
    p.command = command_line(design, *shown, "explain", more);
  }
  return p;
}

std::string cell_text(const MeaningRow& row, MeaningColumn column) {
  const simulator::AlignedKey& key = row.row.key;
  const auto time = [](const simulator::AlignedSide& side) {
    return side.spans.empty() ? std::string("–") : core::human_text(side.time);
  };
  switch (column) {
    case MeaningColumn::kStage:
      if (row.stage_before < 0 && row.stage_after < 0) return "–";
      if (row.stage_before == row.stage_after || row.stage_after < 0)
        return fmt::format("{}", row.stage_before);
      if (row.stage_before < 0) return fmt::format("{}", row.stage_after);
      return fmt::format("{} → {}", row.stage_before, row.stage_after);
    case MeaningColumn::kMicroBatch:
      return key.micro_batch < 0 ? "all" : fmt::format("{}", key.micro_batch);
    case MeaningColumn::kOp:
      return row.op;
    case MeaningColumn::kWhat:
      return key.name;
    case MeaningColumn::kDirection:
      return std::string(core::name_of(key.phase));
    case MeaningColumn::kBefore:
      return time(row.row.first);
    case MeaningColumn::kAfter:
      return time(row.row.second);
    case MeaningColumn::kDifference:
      return with_sign(row.difference());
  }
  return {};
}

std::vector<std::size_t> sorted(std::span<const MeaningRow> rows, MeaningColumn by,
                                bool descending) {
  std::vector<std::size_t> order(rows.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto number = [&](std::size_t i) -> std::int64_t {
    const MeaningRow& r = rows[i];
    switch (by) {
      case MeaningColumn::kStage:
        return std::max(r.stage_before, r.stage_after);
      case MeaningColumn::kMicroBatch:
        return r.row.key.micro_batch;
      case MeaningColumn::kBefore:
        return r.row.first.time.value;
      case MeaningColumn::kAfter:
        return r.row.second.time.value;
      case MeaningColumn::kDifference:
        return std::abs(r.difference().value);
      case MeaningColumn::kDirection:
        return static_cast<std::int64_t>(r.row.key.phase);
      case MeaningColumn::kOp:
      case MeaningColumn::kWhat:
        break;
    }
    return 0;
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (descending) std::swap(a, b);
    if (by == MeaningColumn::kOp) return rows[a].op < rows[b].op;
    if (by == MeaningColumn::kWhat) return rows[a].row.key.name < rows[b].row.key.name;
    return number(a) < number(b);
  });
  return order;
}

// Shared with jobs, which may outlive the panel.
struct Comparer::State {
  ComparedStep before, after;  // what was asked for last
  std::shared_ptr<const Comparison> now;
  bool working = false;
  std::string error;
};

Comparer::Comparer() : state_(std::make_shared<State>()) {}

std::shared_ptr<const Comparison> Comparer::now() const { return state_->now; }
bool Comparer::working() const { return state_->working; }
std::string Comparer::error() const { return state_->error; }

std::string Comparer::refresh(Session& session, Against against) {
  const Design& d = session.design();
  const NamedStrategy* const shown = d.shown();
  if (!d.complete() || !shown) return "There is no strategy yet.";
  ComparedStep before, after;
  if (against == Against::kBaseline) {
    const NamedStrategy* const base = d.compared();
    if (!base) return "Choose a baseline: “Set as baseline” in the menu of a strategy.";
    if (base->id == shown->id)
      return "The baseline itself is shown. Show another strategy to compare it.";
    before = predicted_step(*base, session.compared());
    after = predicted_step(*shown, session.shown());
  } else {
    const auto measured = session.measured();
    if (!measured)
      return "Nothing of this strategy was measured: launch it, or open a trace of it.";
    before = predicted_step(*shown, session.shown());
    before.name = "predicted";
    after = before;
    after.name = std::string(core::name_of(measured->origin));
    if (after.name == before.name) after.name = "opened trace";
    after.trace = measured;
  }
  if (!before.trace || !after.trace) return {};  // soon
  if (state_->before == before && state_->after == after) return {};
  state_->before = before;
  state_->after = after;
  state_->working = true;
  session.jobs().start(
      "comparing",
      [state = state_, graph = d.graph, cluster = d.cluster, before,
       after](JobContext&) -> Jobs::Finish {
        auto done = compare(*graph, *cluster, before, after);
        std::shared_ptr<const Comparison> now;
        if (done) now = std::make_shared<const Comparison>(std::move(*done));
        return [state, now, before, after, error = now ? std::string() : done.error().message] {
          if (!(state->before == before) || !(state->after == after)) return;
          state->working = false;
          state->error = error;
          state->now = now;
        };
      },
      "compare");
  return {};
}

}  // namespace soapstone::explorer
