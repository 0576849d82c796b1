#include "search/expert.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/derive.hpp"
#include "search/axis_roles.hpp"

namespace soapstone::search {

using namespace core;

Strategy expert(const Graph& graph, const Cluster& cluster) {
  std::vector<DeviceId> devices(cluster.size());
  for (std::uint32_t d = 0; d < devices.size(); ++d) devices[d] = DeviceId(d);
  Strategy strategy = data_parallel(graph, devices);

  const bool heads = std::any_of(graph.ops().begin(), graph.ops().end(),
                                 [](const OpNode& n) { return has_heads(n.definition); });
  const auto count = static_cast<std::int32_t>(devices.size());
  std::int32_t groups = 1, width = count;
  if (heads) {
    // Nodes of different sizes are cut in groups of the largest size that divides them all.
    std::vector<std::int32_t> sizes(cluster.nodes(), 0);
    for (const Device& d : cluster.devices()) ++sizes[d.node];
    width = std::accumulate(sizes.begin(), sizes.end(), 0,
                            [](auto a, auto b) { return std::gcd(a, b); });
    groups = count / width;
    groups = static_cast<std::int32_t>(
        std::min<std::int64_t>(groups, std::max<std::int64_t>(1, graph.batch())));
  }

  // The dimension along which a tensor comes cut inside a group, or -1.
  std::vector<int> cut_dim(graph.tensors().size(), -1);
  for (std::size_t op = 0; op < graph.ops().size(); ++op) {
    const OpNode& node = graph.ops()[op];
    const OpDefinition& def = node.definition;
    // Along which axis the inputs come cut.
    int incoming = -1;
    for (std::size_t k = 0; k < def.operands.size() && incoming < 0; ++k) {
      if (def.operands[k].role != OperandRole::kInput) continue;
      const int dim = cut_dim[node.tensors[k].value];
      if (dim >= 0) incoming = def.operands[k].dims[static_cast<std::size_t>(dim)].axis;
    }
    if (incoming >= 0 && !splittable(def.axes[incoming])) incoming = -1;

    int axis = -1;
    if (is_matrix(def) && !is_spatial(def)) {
      if (heads && incoming >= 0 && is_contracted(def, incoming))
        axis = incoming;
      else
        axis = first_axis(def, [&](int a) {
          return def.axes[a].role == AxisRole::kParameter && splittable(def.axes[a]);
        });
    } else if (heads && table_axis(def) >= 0) {
      axis = table_axis(def);
    } else if (!has_weights(def) && (!is_spatial(def) || has_heads(def)) && incoming >= 0) {
      axis = incoming;
    }
    if (axis < 0 && !heads) continue;  // data parallel
    strategy.ops[op] =
        cut(def, std::array{GridDim{groups, sample_axis(def)}, GridDim{width, axis}}, devices);
    if (axis < 0 || strategy.ops[op].degrees[axis] < 2) continue;
    for (std::size_t k = 0; k < def.operands.size(); ++k) {
      if (def.operands[k].role != OperandRole::kOutput) continue;
      for (std::size_t d = 0; d < def.operands[k].dims.size(); ++d)
        if (def.operands[k].dims[d].axis == axis)
          cut_dim[node.tensors[k].value] = static_cast<int>(d);
    }
  }
  return strategy;
}

}  // namespace soapstone::search
