// What follows from an operator's definition for every operator alike.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/graph.hpp"
#include "core/layout.hpp"
#include "core/op_definition.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {

// The interval of every axis that device number `index` of an OpStrategy
// computes (row-major over axes, replicas innermost). Without degrees: whole.
// In a ring: in that round, and outside of the rounds as in the first.
std::vector<Interval> axis_intervals(const OpDefinition& definition, const OpStrategy& strategy,
                                     std::size_t index, std::int32_t round = 0);

// How many rounds the steps of a ring are done in; 1 where there is none.
std::int32_t round_count(const OpDefinition& definition, const OpStrategy& strategy);
bool is_in_rounds(const OpDefinition& definition, const OpStrategy& strategy, const Step& step);
// Whether a part of the iteration space has nothing to compute in a ring.
bool is_hidden(const OpDefinition& definition, std::span<const Interval> axes);

// The part number of device `index` along each axis, and its replica last.
std::vector<std::int32_t> coordinates(const OpStrategy& strategy, std::size_t index);

// The box of an operand that a part of the iteration space touches.
Box operand_box(const Operand& operand, std::span<const Interval> axes);

// The operand as it is read whole along `axes`, whatever part of them a device computes.
Operand gathered(Operand operand, AxisSet axes);

// What an operand looks like on the devices of an OpStrategy.
//   kRead: what a step reads; parts of an absent axis are copies.
//   kWritten: what a step that sums over `reduces` writes; parts of an absent
//   axis in `reduces` are partial sums, overlapping boxes add up.
// In a ring: as it lies before the first round and after the last.
enum class Access : std::uint8_t { kRead, kWritten };
Layout operand_layout(const OpDefinition& definition, int operand, const OpStrategy& strategy,
                      Access access, AxisSet reduces = {});
Layout operand_layout(const OpDefinition& definition, const Operand& operand,
                      const OpStrategy& strategy, Access access, AxisSet reduces = {});

// Whether the step is used under a strategy that splits `split`, in training or in evaluation.
constexpr bool step_is_used(const Step& step, AxisSet split, StepUse run = StepUse::kTraining) {
  if (step.use != StepUse::kAlways && step.use != run) return false;
  if (!step.only_if_split.empty() && (step.only_if_split & split).empty()) return false;
  return (step.only_if_whole & split).empty();
}

// Whether the step contributes to the loss or to the gradient of a tensor that needs one.
bool step_is_needed(const Graph& graph, const OpNode& node, const Step& step);

// A table: a weight that one operator alone uses and whose gradient is a sum of rows (RowGradient).
struct Table {
  std::uint32_t op = 0;
  int step = 0;  // the one that writes the gradient
};
std::optional<Table> table_of(const Graph& graph, TensorId weight);
// Ids of one step of `graph` for that table.
std::int64_t positions_of(const Graph& graph, const Table& table);

// Points of the iteration space, whatever of them is hidden.
Flops step_flops(const Step& step, std::span<const Interval> axes);
// Of a part of the operator: as much of them as its share of the pairs that are not hidden, where
// causality hides some (Rounds). The parts of an operator add up to the whole.
Flops step_flops(const OpDefinition& definition, const Step& step, std::span<const Interval> axes);
// Pairs of positions of `along` and `over` (Rounds) in a part that are not hidden.
double visible_pairs(const OpDefinition& definition, std::span<const Interval> axes);
// What the step reads and writes, each byte once.
Bytes step_bytes(const OpDefinition& definition, const Step& step, std::span<const Interval> axes);

}  // namespace soapstone::core
