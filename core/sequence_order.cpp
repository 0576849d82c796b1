#include "core/sequence_order.hpp"

#include <algorithm>
#include <vector>

namespace soapstone::core {

namespace {

// The dimensions of every tensor and the axes of every operator that the sequence runs along.
class Followed {
 public:
  explicit Followed(const Graph& graph)
      : graph_(graph), dims_(graph.tensors().size()), axes_(graph.ops().size()) {}

  Status follow() {
    bool any = false;
    for (std::size_t op = 0; op < axes_.size(); ++op) {
      axes_[op] = graph_.ops()[op].definition.causal;
      any |= !axes_[op].empty();
    }
    if (!any)
      return usage_error(
          "{} has no causal attention: without one all parts of a sequence have "
          "equally much to compute in order",
          graph_.name());
    // Forwards and backwards until nothing is new.
    do {
      changed_ = false;
      for (std::size_t op = 0; op < axes_.size(); ++op) SOAPSTONE_TRY(pass(op));
      for (std::size_t op = axes_.size(); op-- > 0;) SOAPSTONE_TRY(pass(op));
    } while (changed_);
    return {};
  }

  AxisSet axes(std::size_t op) const { return axes_[op]; }
  bool has(TensorId tensor, std::size_t dim) const {
    return dims_[tensor.value].has(static_cast<int>(dim));
  }

 private:
  static bool is_plain(const DimMap& map, std::int64_t extent, const Axis& axis) {
    return map == DimMap::along(map.axis) && extent == axis.extent;
  }

  Status refused(std::size_t op, std::string_view why) const {
    const OpNode& node = graph_.ops()[op];
    return usage_error("{} ({}) {}", node.name, node.op.name(), why);
  }

  // From the dimensions of an operator's tensors to its axes, and from there to its tensors.
  Status pass(std::size_t op) {
    const OpNode& node = graph_.ops()[op];
    const OpDefinition& def = node.definition;
    for (std::size_t k = 0; k < def.operands.size(); ++k) {
      const Operand& operand = def.operands[k];
      if (operand.role == OperandRole::kInternal) continue;
      for (std::size_t d = 0; d < operand.dims.size(); ++d) {
        if (!has(node.tensors[k], d)) continue;
        const DimMap& map = operand.dims[d];
        if (map.axis < 0)
          return refused(op, fmt::format("takes the sequence as a whole, dimension {} of {}", d,
                                         operand.name));
        if (!axes_[op].has(map.axis)) changed_ = true;
        axes_[op].insert(map.axis);
      }
    }
    if (axes_[op].empty()) return {};
    const bool knows = node.op.in_zigzag(axes_[op], 2).has_value();
    for (std::size_t a = 0; a < def.axes.size(); ++a) {
      const Axis& axis = def.axes[a];
      if (!axes_[op].has(static_cast<int>(a)) || knows) continue;
      if (axis.coupling == Coupling::kHalo || axis.coupling == Coupling::kUnsplittable)
        return refused(op, fmt::format("computes along the sequence, its axis {}", axis.name));
    }
    for (std::size_t k = 0; k < def.operands.size(); ++k) {
      const Operand& operand = def.operands[k];
      if (operand.role == OperandRole::kInternal) continue;
      for (std::size_t d = 0; d < operand.dims.size(); ++d) {
        const DimMap& map = operand.dims[d];
        if (!axes_[op].has(map.axis)) continue;
        const bool sees_neighbours = knows && def.causal.has(map.axis);  // of its window
        if (!is_plain(map, operand.desc.shape[d], def.axes[static_cast<std::size_t>(map.axis)]) &&
            !sees_neighbours)
          return refused(op, fmt::format("changes the sequence, dimension {} of {} {}", d,
                                         operand.name, print(operand.desc.shape)));
        if (operand.role == OperandRole::kWeight)
          return refused(op, fmt::format("has a weight for every position, {}", operand.name));
        AxisSet& dims = dims_[node.tensors[k].value];
        if (!dims.has(static_cast<int>(d))) changed_ = true;
        dims.insert(static_cast<int>(d));
      }
    }
    return {};
  }

  const Graph& graph_;
  std::vector<AxisSet> dims_, axes_;
  bool changed_ = false;
};

}  // namespace

Result<Graph> in_zigzag(const Graph& graph, std::int64_t chunks) {
  if (chunks == 0) return graph;
  Followed sequence(graph);
  SOAPSTONE_TRY(sequence.follow());
  GraphSpec spec = graph.spec();
  for (SourceSpec& source : spec.sources) {
    const TensorId tensor = *graph.find_tensor(source.name);
    std::vector<std::int64_t> order;
    for (std::size_t d = 0; d < source.desc.shape.size(); ++d)
      order.push_back(sequence.has(tensor, d) ? chunks : 0);
    if (std::any_of(order.begin(), order.end(), [](auto n) { return n > 0; }))
      source.zigzag = order;
  }
  for (std::size_t op = 0; op < spec.ops.size(); ++op) {
    if (sequence.axes(op).empty()) continue;
    if (auto known = spec.ops[op].op.in_zigzag(sequence.axes(op), chunks))
      spec.ops[op].op = std::move(*known);
  }
  return Graph::build(std::move(spec));
}

Result<Graph> planned_graph(const Graph& graph, std::int64_t micro_batches, std::int64_t chunks) {
  if (chunks == 0) return graph.micro_batch(micro_batches);
  SOAPSTONE_ASSIGN(const Graph ordered, in_zigzag(graph, chunks));
  return ordered.micro_batch(micro_batches);
}

}  // namespace soapstone::core
