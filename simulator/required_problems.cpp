#include "simulator/required_problems.hpp"

#include "core/sequence_order.hpp"

namespace soapstone::simulator {

using namespace core;

Status RequiredProblems::add(const Plan& plan) {
  if (plan.graph_hash != graph_.hash())
    return usage_error("the plan was made for graph {} ({}), this is {} ({})", plan.graph,
                       hex(plan.graph_hash), graph_.name(), hex(graph_.hash()));
  if (plan.device_count != cluster_.size())
    return usage_error("the plan is for {} devices, cluster {} has {}", plan.device_count,
                       cluster_.name(), cluster_.size());
  auto& planned = graphs_[{plan.micro_batches, plan.zigzag}];
  if (!planned) {
    SOAPSTONE_ASSIGN(Graph made, planned_graph(graph_, plan.micro_batches, plan.zigzag));
    planned = std::make_shared<const Graph>(std::move(made));
  }
  const Graph& graph = *planned;
  for (const DeviceClass& program : plan.classes)
    for (const Task& task : program.tasks) {
      if (task.kind != TaskKind::kCompute) continue;
      for (std::size_t m = 0; m < program.members.size(); ++m) {
        const Shard& shard = plan.shards[plan.entry(task, m)];
        const std::uint32_t kind = cluster_.device(program.members[m]).kind;
        const std::string& candidate = plan.candidates[shard.candidate];
        if (!known_.emplace(shard.signature, task.step, candidate, kind).second) continue;
        const OpNode& node = graph.ops()[shard.op];
        const DeviceKind& device = cluster_.kinds()[kind];
        list_.push_back({node.name,
                         {node.op, &node.definition, shard.axes},
                         task.step,
                         candidate,
                         device.name,
                         device.threads});
      }
    }
  return {};
}

Status RequiredProblems::add(const Strategy& strategy, const KernelCatalog& catalog,
                             LowerOptions options) {
  options.place_memory = false;
  SOAPSTONE_ASSIGN(const Plan plan, lower(graph_, strategy, cluster_, catalog, options));
  return add(plan);
}

}  // namespace soapstone::simulator
