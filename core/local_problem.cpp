#include "core/local_problem.hpp"

#include <optional>

#include "core/zigzag.hpp"

namespace soapstone::core {

namespace {

bool is_row_major(const DimOrder& order) {
  return order.empty() || order == row_major(order.size());
}

bool is_whole(const OpDefinition& definition, std::span<const Interval> axes, std::size_t axis) {
  return axes[axis].extent() == definition.axes[axis].extent;
}

// Of a part of an operator with rounds: how many indices of `over` its first index of `along` sees;
// nothing where it sees all of them, and of the whole operator. In zig-zag order how many pairs are
// not hidden.
std::optional<std::int64_t> seen_of(const OpDefinition& definition,
                                    std::span<const Interval> axes) {
  const Rounds& rounds = definition.rounds;
  if (rounds.along < 0) return std::nullopt;
  const auto along = static_cast<std::size_t>(rounds.along),
             over = static_cast<std::size_t>(rounds.over);
  if (is_whole(definition, axes, along) && is_whole(definition, axes, over)) return std::nullopt;
  if (definition.axes[along].zigzag > 0)
    return static_cast<std::int64_t>(visible_pairs(definition, axes));
  const std::int64_t seen = axes[along].begin + rounds.visible + 1 - axes[over].begin;
  if (seen >= axes[over].extent()) return std::nullopt;
  return std::max<std::int64_t>(0, seen);
}

// The lengths of the runs of a part of an axis in zig-zag order; of the whole axis none.
std::vector<std::int64_t> runs_of(const OpDefinition& definition, std::span<const Interval> axes,
                                  std::size_t axis) {
  const Axis& a = definition.axes[axis];
  std::vector<std::int64_t> lengths;
  if (a.zigzag == 0 || is_whole(definition, axes, axis)) return lengths;
  for (const Run& run : zigzag_runs(axes[axis], a.extent, a.zigzag))
    lengths.push_back(run.indices.extent());
  return lengths;
}

}  // namespace

DType LocalProblem::dtype() const {
  DType first = DType::kI32;
  for (const auto& operand : definition->operands) {
    if (operand.desc.dtype == DType::kBF16) return DType::kBF16;
    if (operand.differentiable && first == DType::kI32) first = operand.desc.dtype;
  }
  return first == DType::kI32 ? DType::kF32 : first;
}

std::string LocalProblem::key() const {
  std::string out = print(op) + " " + std::string(name_of(dtype()));
  for (std::size_t a = 0; a < axes.size(); ++a)
    out += fmt::format(" {}={}", definition->axes[a].name, axes[a].extent());
  for (std::size_t k = 0; k < definition->operands.size(); ++k) {
    const Operand& operand = definition->operands[k];
    if (operand.role != OperandRole::kInput) continue;
    const Box b = box(static_cast<int>(k));
    out += fmt::format(" {}={}", operand.name, print(extents(b)));
    for (std::size_t d = 0; d < b.size(); ++d) {
      const DimMap& map = operand.dims[d];
      if (map.axis < 0 || b[d].empty()) continue;
      const std::int64_t clipped = b[d].begin - (axes[map.axis].begin * map.stride + map.offset);
      if (clipped > 0) out += fmt::format("+{}@{}", clipped, d);
    }
  }
  if (const auto seen = seen_of(*definition, axes)) {
    const Axis& over = definition->axes[static_cast<std::size_t>(definition->rounds.over)];
    out +=
        over.zigzag > 0 ? fmt::format(" seen={}", *seen) : fmt::format(" {}<{}", over.name, *seen);
  }
  for (std::size_t a = 0; a < axes.size(); ++a)
    if (const auto runs = runs_of(*definition, axes, a); !runs.empty())
      out += fmt::format(" {}.runs={}", definition->axes[a].name, print(runs));
  for (const auto& operand : definition->operands)
    if (!is_row_major(operand.desc.order))
      out += fmt::format(" {}.order={}", operand.name, print(operand.desc.order));
  for (const auto& operand : definition->operands)
    for (std::size_t a = 0; a < axes.size(); ++a)
      if (operand.first_part_of.has(static_cast<int>(a)) && axes[a].begin > 0)
        out += " without " + operand.name;
  return out;
}

std::uint64_t LocalProblem::signature() const {
  Hasher h;
  append_hash(h, op);
  append_hash(h, dtype());
  for (const auto& a : axes) h.word(static_cast<std::uint64_t>(a.extent()));
  for (std::size_t k = 0; k < definition->operands.size(); ++k) {
    const Operand& operand = definition->operands[k];
    for (std::size_t a = 0; a < axes.size(); ++a)
      if (operand.first_part_of.has(static_cast<int>(a))) h.word(axes[a].begin > 0);
    if (operand.role != OperandRole::kInput) continue;
    const Box b = box(static_cast<int>(k));
    for (std::size_t d = 0; d < b.size(); ++d) {
      h.word(static_cast<std::uint64_t>(b[d].extent()));
      const DimMap& map = operand.dims[d];
      if (map.axis >= 0 && !b[d].empty())
        h.word(static_cast<std::uint64_t>(std::max<std::int64_t>(
            0, b[d].begin - (axes[map.axis].begin * map.stride + map.offset))));
    }
  }
  if (const auto seen = seen_of(*definition, axes)) h.word(static_cast<std::uint64_t>(*seen));
  for (std::size_t a = 0; a < axes.size(); ++a)
    if (const auto runs = runs_of(*definition, axes, a); !runs.empty()) append_hash(h, runs);
  for (std::size_t k = 0; k < definition->operands.size(); ++k) {
    const DimOrder& order = definition->operands[k].desc.order;
    if (is_row_major(order)) continue;
    h.word(k);
    append_hash(h, order);
  }
  return h.finish();
}

LocalProblem local_problem(const OpNode& node, const OpStrategy& strategy, std::size_t index,
                           std::int32_t round) {
  return {node.op, &node.definition, axis_intervals(node.definition, strategy, index, round)};
}

}  // namespace soapstone::core
