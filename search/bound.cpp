#include "search/bound.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/derive.hpp"
#include "core/kernel_catalog.hpp"
#include "core/local_problem.hpp"
#include "core/plan.hpp"
#include "core/strategy.hpp"

namespace soapstone::search {

using namespace core;

namespace {

double peak_of(const DeviceKind& kind, DType dtype) {
  if (const auto rate = peak(kind, dtype)) return rate->value;
  if (const auto f32 = peak(kind, DType::kF32))
    return f32->value * 4.0 / static_cast<double>(size_of(dtype).value);
  return 0;
}

}  // namespace

Result<Nanoseconds> lower_bound(const Graph& graph, const Cluster& cluster,
                                const LowerOptions& options) {
  // One device computes everything once.
  LowerOptions bare = options;
  bare.place_memory = false;
  const Strategy strategy = single_device(graph);
  SOAPSTONE_ASSIGN(const Plan plan, lower(graph, strategy, cluster, NominalCatalog(), bare));
  std::map<DType, double> flops;
  for (const DeviceClass& program : plan.classes)
    for (const Task& t : program.tasks) {
      if (t.kind != TaskKind::kCompute) continue;
      const OpNode& node = graph.ops()[t.op];
      const Step& step = node.definition.steps[t.step];
      const LocalProblem whole = local_problem(node, strategy.ops[t.op], 0);
      flops[whole.dtype()] += step_flops(node.definition, step, whole.axes).value;
    }
  const bool alike = cluster.kinds().size() == 1;
  double seconds = 0;
  for (const auto& [dtype, amount] : flops) {
    double rate = 0;
    for (std::uint32_t d = 0; d < cluster.size(); ++d)
      rate += peak_of(cluster.kind(DeviceId(d)), dtype);
    if (rate <= 0) continue;
    seconds = alike ? seconds + amount / rate : std::max(seconds, amount / rate);
  }
  return Nanoseconds(static_cast<std::int64_t>(std::floor(seconds * 1e9)));
}

}  // namespace soapstone::search
