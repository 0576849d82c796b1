// Two steps side by side: in what they differ, operator by operator, and where the time goes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/backend.hpp"
#include "explorer_gui/model/provenance.hpp"
#include "explorer_gui/model/session.hpp"
#include "simulator/analysis/align.hpp"
#include "simulator/analysis/waterfall.hpp"

namespace soapstone::explorer {

// One of the two.
struct ComparedStep {
  std::string name;
  std::shared_ptr<const core::Strategy> strategy;  // null: a trace alone
  std::shared_ptr<const Evaluation> evaluation;    // of the strategy; null: a trace alone
  std::shared_ptr<const core::Trace> trace;        // predicted or measured

  // Null where the trace is not of it.
  const core::Plan* plan() const;
  friend bool operator==(const ComparedStep&, const ComparedStep&) = default;
};

// What is foretold of a strategy; `evaluation` may be null.
ComparedStep predicted_step(const NamedStrategy& strategy,
                            std::shared_ptr<const Evaluation> evaluation);

// What one of them does with an operator. Times of all devices added, without waiting.
struct OpSide {
  std::string split;    // "n=4 co=2"; empty: nothing is cut
  std::string devices;  // "0-3"
  std::int32_t stage = 0;
  core::Nanoseconds compute, transfer, update;
  core::Bytes moved;   // from device to device
  core::Bytes memory;  // on the device where it takes most

  core::Nanoseconds all() const { return compute + transfer + update; }
  friend bool operator==(const OpSide&, const OpSide&) = default;
};

struct OpDifference {
  std::string name;
  std::uint32_t op = core::kNoIndex;  // none: data, norms, workspaces
  OpSide before, after;

  bool cut_differs() const {
    return before.split != after.split || before.devices != after.devices ||
           before.stage != after.stage;
  }
  core::Nanoseconds difference() const { return after.all() - before.all(); }
  friend bool operator==(const OpDifference&, const OpDifference&) = default;
};

// What means the same in both.
struct MeaningRow {
  simulator::AlignedRow row;
  std::string op;                                    // "fc6"; the bucket, where it is one
  std::int32_t stage_before = -1, stage_after = -1;  // -1: not known
  core::Nanoseconds difference() const { return row.second.time - row.first.time; }
};

struct Comparison {
  ComparedStep before, after;
  simulator::Waterfall by_devices, by_path;  // first: before
  std::string why;                           // a sentence
  std::vector<OpDifference> ops;             // in the order of the graph; none without two plans
  std::vector<MeaningRow> meaning;           // per micro-batch
  std::vector<MeaningRow> meaning_of_step;   // of all micro-batches together

  const simulator::Waterfall& waterfall(simulator::WaterfallBasis basis) const {
    return basis == simulator::WaterfallBasis::kDevices ? by_devices : by_path;
  }
};

// Takes long for large plans. Refuses a trace that does not fit the plan that it names.
core::Result<Comparison> compare(const core::Graph& graph, const core::Cluster& cluster,
                                 ComparedStep before, ComparedStep after);

// A waterfall as it is drawn: from the time of the first step over its terms to that of the second.
struct WaterfallBar {
  enum class Kind : std::uint8_t { kStep, kTerm, kRest };
  Kind kind = Kind::kTerm;
  std::string name;
  core::Nanoseconds from, to;  // a step: from 0; a term: from where the one above ended
  std::size_t term = 0;        // of the waterfall

  core::Nanoseconds difference() const { return to - from; }
  friend bool operator==(const WaterfallBar&, const WaterfallBar&) = default;
};
// The largest `most` terms that differ at all, the others together as "everything else" (none where
// they differ by nothing). Each bar begins where the one before ends, to the nanosecond.
std::vector<WaterfallBar> waterfall_bars(const simulator::Waterfall& waterfall,
                                         const std::string& before, const std::string& after,
                                         std::size_t most);

// What a drawing of the bars covers. Steps that differ by little are cut off on the left, so that
// the differences are seen.
struct BarRange {
  core::Nanoseconds from, to;
  friend bool operator==(const BarRange&, const BarRange&) = default;
};
BarRange range_of(std::span<const WaterfallBar> bars);

// Selects the operators of these spans, and marks the spans in their traces.
void select_spans(Session& session, const ComparedStep& before,
                  const std::vector<std::uint32_t>& before_spans, const ComparedStep& after,
                  const std::vector<std::uint32_t>& after_spans);

// Of a term of one of the waterfalls.
Provenance provenance_of_term(const Design& design, const Comparison& comparison,
                              const simulator::Waterfall& waterfall, std::size_t term);

enum class MeaningColumn : std::uint8_t {
  kStage,
  kMicroBatch,
  kOp,
  kWhat,
  kDirection,
  kBefore,
  kAfter,
  kDifference,
};
// As it stands in the table.
std::string cell_text(const MeaningRow& row, MeaningColumn column);
// Indices, sorted; equal ones stay in the order of time. Differences by their size.
std::vector<std::size_t> sorted(std::span<const MeaningRow> rows, MeaningColumn by,
                                bool descending);

// What the panel compares, and what came of it. The work is done by jobs of the session.
enum class Against : std::uint8_t { kBaseline, kMeasured };
SOAPSTONE_ENUM_NAMES(Against, {Against::kBaseline, "baseline"}, {Against::kMeasured, "measured"})

class Comparer {
 public:
  Comparer();
  // Once per frame: starts what is missing. Why there is nothing to compare, or empty.
  std::string refresh(Session& session, Against against);
  // The last one that was ready; may be null.
  std::shared_ptr<const Comparison> now() const;
  bool working() const;
  std::string error() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soapstone::explorer
