#include "core/derive.hpp"

#include <algorithm>

#include "core/zigzag.hpp"

namespace soapstone::core {

std::vector<std::int32_t> coordinates(const OpStrategy& strategy, std::size_t index) {
  std::vector<std::int32_t> c(strategy.degrees.size() + 1, 0);
  c.back() = static_cast<std::int32_t>(index % static_cast<std::size_t>(strategy.replicas));
  index /= static_cast<std::size_t>(strategy.replicas);
  for (std::size_t a = strategy.degrees.size(); a-- > 0;) {
    c[a] = static_cast<std::int32_t>(index % static_cast<std::size_t>(strategy.degrees[a]));
    index /= static_cast<std::size_t>(strategy.degrees[a]);
  }
  return c;
}

namespace {

// The same devices with the degree of a ring at the axis that it goes over.
OpStrategy turned(const OpDefinition& definition, const OpStrategy& strategy) {
  const auto along = static_cast<std::size_t>(definition.rounds.along),
             over = static_cast<std::size_t>(definition.rounds.over);
  OpStrategy out = strategy;
  out.ring = false;
  std::swap(out.degrees[along], out.degrees[over]);
  for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
    auto c = coordinates(strategy, i);
    std::swap(c[along], c[over]);
    std::size_t index = 0;
    for (std::size_t a = 0; a < out.degrees.size(); ++a)
      index = index * static_cast<std::size_t>(out.degrees[a]) + static_cast<std::size_t>(c[a]);
    out.devices[index * static_cast<std::size_t>(out.replicas) +
                static_cast<std::size_t>(c.back())] = strategy.devices[i];
  }
  return out;
}

}  // namespace

std::int32_t round_count(const OpDefinition& definition, const OpStrategy& strategy) {
  return strategy.ring ? strategy.degrees[static_cast<std::size_t>(definition.rounds.along)] : 1;
}

bool is_in_rounds(const OpDefinition& definition, const OpStrategy& strategy, const Step& step) {
  return strategy.ring && step.reduces.has(definition.rounds.over);
}

bool is_hidden(const OpDefinition& definition, std::span<const Interval> axes) {
  return visible_pairs(definition, axes) == 0;
}

std::vector<Interval> axis_intervals(const OpDefinition& definition, const OpStrategy& strategy,
                                     std::size_t index, std::int32_t round) {
  std::vector<Interval> intervals;
  intervals.reserve(definition.axes.size());
  if (strategy.degrees.empty()) {
    for (const auto& axis : definition.axes) intervals.push_back({0, axis.extent});
    return intervals;
  }
  const auto c = coordinates(strategy, index);
  for (std::size_t a = 0; a < definition.axes.size(); ++a)
    intervals.push_back(part_of(definition.axes[a].extent, definition.axes[a].granularity,
                                strategy.degrees[a], c[a]));
  if (strategy.ring) {
    const Axis& over = definition.axes[static_cast<std::size_t>(definition.rounds.over)];
    const std::int32_t count = round_count(definition, strategy),
                       own = c[static_cast<std::size_t>(definition.rounds.along)];
    intervals[static_cast<std::size_t>(definition.rounds.over)] =
        part_of(over.extent, over.granularity, count, (own - round + count) % count);
  }
  return intervals;
}

Box operand_box(const Operand& operand, std::span<const Interval> axes) {
  Box box;
  bool empty = false;
  for (std::size_t d = 0; d < operand.dims.size(); ++d) {
    const DimMap& map = operand.dims[d];
    const Interval i =
        image(map, map.axis < 0 ? Interval{} : axes[map.axis], operand.desc.shape[d]);
    empty |= i.empty();
    box.push_back(i);
  }
  return empty ? Box(operand.dims.size(), Interval{}) : box;
}

Operand gathered(Operand operand, AxisSet axes) {
  for (DimMap& map : operand.dims)
    if (axes.has(map.axis)) map = DimMap::whole();
  return operand;
}

Layout operand_layout(const OpDefinition& definition, int operand, const OpStrategy& strategy,
                      Access access, AxisSet reduces) {
  return operand_layout(definition, definition.operands[operand], strategy, access, reduces);
}

Layout operand_layout(const OpDefinition& definition, const Operand& operand,
                      const OpStrategy& strategy, Access access, AxisSet reduces) {
  const AxisSet followed = operand.followed();
  if (strategy.ring && followed.has(definition.rounds.over))
    return operand_layout(definition, operand, turned(definition, strategy), access, reduces);
  Layout layout;
  std::vector<int> dim_of_axis(definition.axes.size(), -1);
  for (std::size_t d = 0; d < operand.dims.size(); ++d) {
    const DimMap& map = operand.dims[d];
    const int degree = map.axis < 0 ? 1 : strategy.degrees[map.axis];
    std::vector<Interval> parts;
    for (int p = 0; p < degree; ++p) {
      const Interval part = map.axis < 0
                                ? Interval{}
                                : part_of(definition.axes[map.axis].extent,
                                          definition.axes[map.axis].granularity, degree, p);
      parts.push_back(image(map, part, operand.desc.shape[d]));
    }
    layout.parts.push_back(std::move(parts));
    if (map.axis >= 0) dim_of_axis[map.axis] = static_cast<int>(d);
  }
  layout.replicas = strategy.replicas;
  for (std::size_t a = 0; a < definition.axes.size(); ++a) {
    const int axis = static_cast<int>(a);
    if (followed.has(axis) || operand.first_part_of.has(axis)) continue;
    if (access == Access::kWritten && reduces.has(axis))
      layout.partials *= strategy.degrees[a];
    else
      layout.replicas *= strategy.degrees[a];
  }
  if (access == Access::kWritten) layout.overlap = Overlap::kSum;

  std::size_t shards =
      static_cast<std::size_t>(layout.partials) * static_cast<std::size_t>(layout.replicas);
  for (const auto& p : layout.parts) shards *= p.size();
  layout.devices.assign(shards, DeviceId());
  std::vector<std::size_t> part(operand.dims.size(), 0);
  for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
    const auto c = coordinates(strategy, i);
    std::size_t partial = 0, replica = 0;
    bool present = true;
    for (std::size_t a = 0; a < definition.axes.size(); ++a) {
      const int axis = static_cast<int>(a);
      const auto here = static_cast<std::size_t>(c[a]);
      const auto degree = static_cast<std::size_t>(strategy.degrees[a]);
      if (dim_of_axis[a] >= 0)
        part[dim_of_axis[a]] = here;
      else if (operand.first_part_of.has(axis))
        present &= here == 0;
      else if (access == Access::kWritten && reduces.has(axis))
        partial = partial * degree + here;
      else
        replica = replica * degree + here;
    }
    if (!present) continue;
    replica =
        replica * static_cast<std::size_t>(strategy.replicas) + static_cast<std::size_t>(c.back());
    std::size_t shard = 0;
    for (std::size_t d = 0; d < part.size(); ++d) shard = shard * layout.parts[d].size() + part[d];
    shard = (shard * static_cast<std::size_t>(layout.partials) + partial) *
                static_cast<std::size_t>(layout.replicas) +
            replica;
    layout.devices[shard] = strategy.devices[i];
  }
  if (layout.overlap == Overlap::kSum) {
    // Parts that tile the tensor hold the value itself: the plainer form.
    bool overlaps = false;
    for (std::size_t d = 0; d < layout.parts.size(); ++d) {
      std::int64_t covered = 0;
      for (const Interval& piece : layout.parts[d]) {
        if (piece.empty()) continue;
        overlaps |= piece.begin != covered;
        covered = piece.end;
      }
      overlaps |= covered != operand.desc.shape[d];
    }
    if (!overlaps) layout.overlap = Overlap::kCopy;
  }
  return layout;
}

bool step_is_needed(const Graph& graph, const OpNode& node, const Step& step) {
  if (step.phase == Phase::kForward) return true;
  if (!node.differentiated) return false;
  const auto& definition = node.definition;
  for (const Ref& w : step.writes) {
    const Operand& operand = definition.operands[w.operand];
    if (operand.role == OperandRole::kInternal) {
      // Needed if a later step that reads it is.
      for (const Step& reader : definition.steps)
        if (&reader > &step)
          for (const Ref& r : reader.reads)
            if (r == w && step_is_needed(graph, node, reader)) return true;
    } else if (w.gradient && operand.differentiable &&
               graph.tensor(node.tensors[w.operand]).needs_gradient) {
      return true;
    }
  }
  return false;
}

std::optional<Table> table_of(const Graph& graph, TensorId weight) {
  const Tensor& tensor = graph.tensor(weight);
  if (tensor.role != TensorRole::kWeight || !tensor.needs_gradient || tensor.uses.size() != 1)
    return std::nullopt;
  const OperandRef use = tensor.uses[0];
  const auto& steps = graph.op(use.op).definition.steps;
  for (std::size_t k = 0; k < steps.size(); ++k)
    if (steps[k].rows != RowGradient::kNone && steps[k].writes[0].operand == use.operand)
      return Table{use.op.value, static_cast<int>(k)};
  return std::nullopt;
}

std::int64_t positions_of(const Graph& graph, const Table& table) {
  const OpDefinition& definition = graph.ops()[table.op].definition;
  const Ref& ids = definition.steps[static_cast<std::size_t>(table.step)].reads[0];
  return elements(definition.operands[ids.operand].desc.shape);
}

double visible_pairs(const OpDefinition& definition, std::span<const Interval> axes) {
  const Rounds& rounds = definition.rounds;
  const auto runs = [&](int axis) {
    const Axis& a = definition.axes[static_cast<std::size_t>(axis)];
    return zigzag_runs(axes[static_cast<std::size_t>(axis)], a.extent, a.zigzag);
  };
  double pairs = 0;
  const auto over = runs(rounds.over);
  for (const Run& i : runs(rounds.along))
    for (const Run& j : over) {
      // Of `many` positions the first sees `first`, and each one more than the one before.
      const std::int64_t first = i.position + rounds.visible + 1 - j.position,
                         many = i.indices.extent(), most = j.indices.extent();
      const auto up_to = [&](std::int64_t n) {  // Σ_{m < n} min(max(m, 0), most)
        const auto rising = static_cast<double>(std::clamp<std::int64_t>(n, 0, most));
        const auto level = static_cast<double>(std::max<std::int64_t>(0, n - most));
        return rising * (rising - 1) / 2 + level * static_cast<double>(most);
      };
      pairs += up_to(first + many) - up_to(first);
    }
  return pairs;
}

Flops step_flops(const OpDefinition& definition, const Step& step, std::span<const Interval> axes) {
  const Rounds& rounds = definition.rounds;
  if (rounds.along < 0) return step_flops(step, axes);
  const auto along = static_cast<std::size_t>(rounds.along),
             over = static_cast<std::size_t>(rounds.over);
  std::vector<Interval> whole(axes.begin(), axes.end());
  for (const std::size_t a : {along, over}) whole[a] = {0, definition.axes[a].extent};
  const auto pairs = [&](std::span<const Interval> part) {
    return static_cast<double>(part[along].extent()) * static_cast<double>(part[over].extent());
  };
  const double all = visible_pairs(definition, whole);
  if (all == pairs(whole) || pairs(axes) == 0) return step_flops(step, axes);
  const double share = visible_pairs(definition, axes) / all * (pairs(whole) / pairs(axes));
  Step counted = step;
  for (WorkTerm& term : counted.flops)
    if (term.over.has(rounds.along) && term.over.has(rounds.over)) term.coefficient *= share;
  return step_flops(counted, axes);
}

Flops step_flops(const Step& step, std::span<const Interval> axes) {
  double total = 0;
  for (const auto& term : step.flops) {
    double points = term.coefficient;
    for (std::size_t a = 0; a < axes.size(); ++a)
      if (term.over.has(static_cast<int>(a))) points *= static_cast<double>(axes[a].extent());
    total += points;
  }
  return Flops(total);
}

Bytes step_bytes(const OpDefinition& definition, const Step& step, std::span<const Interval> axes) {
  Bytes total;
  for (const auto* refs : {&step.reads, &step.writes})
    for (const Ref& r : *refs) {
      const Operand& operand = definition.operands[r.operand];
      total += size_of(operand.desc.dtype) * elements(operand_box(operand, axes));
    }
  return total;
}

}  // namespace soapstone::core
