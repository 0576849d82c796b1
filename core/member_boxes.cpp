#include "core/member_boxes.hpp"

#include "core/derive.hpp"

namespace soapstone::core {

std::vector<Box> member_boxes(const Graph& graph, const Plan& plan, const DeviceClass& program,
                              std::uint32_t member) {
  std::vector<Box> boxes;
  for (const Buffer& b : program.buffers) boxes.push_back(b.box);
  if (member == 0) return boxes;
  for (const Task& task : program.tasks) {
    const auto uses = program.uses_of(task);
    if (task.kind == TaskKind::kCompute) {
      const OpDefinition& definition = graph.ops()[task.op].definition;
      const Step& step = definition.steps[task.step];
      const Shard& shard = plan.shards[plan.entry(task, member)];
      for (std::size_t u = 0; u < uses.size(); ++u) {
        if (uses[u].buffer == kNoIndex) continue;
        const Ref& ref = u < step.reads.size() ? step.reads[u] : step.writes[u - step.reads.size()];
        boxes[uses[u].buffer] = operand_box(definition.operands[ref.operand], shard.axes);
      }
    } else if (task.kind == TaskKind::kTransfer) {
      const Transfer& transfer = plan.transfers[plan.entry(task, member)];
      for (const TransferMember& m : transfer.members) {
        if (m.device != program.members[member]) continue;
        if (uses[0].buffer != kNoIndex) boxes[uses[0].buffer] = m.held;
        if (uses[1].buffer != kNoIndex) boxes[uses[1].buffer] = m.wanted;
      }
    } else if (task.kind == TaskKind::kNormRows || task.kind == TaskKind::kUpdateRows) {
      const OpDefinition& definition = graph.ops()[task.op].definition;
      const Step& step = definition.steps[task.step];
      const Shard& shard = plan.shards[plan.entry(task, member)];
      const auto pairs = row_uses(plan, program, task).pairs;
      for (std::size_t u = 0; u < pairs.size(); ++u)
        boxes[pairs[u].buffer] = operand_box(
            gathered(definition.operands[step.reads[u % 2].operand], step.reduces), shard.axes);
    }
  }
  // What is only updated, added to or copied lies as what it comes from. Sums of gradients come
  // before updates, and what is fetched for an update before it.
  for (const Task& task : program.tasks) {
    const auto uses = program.uses_of(task);
    if (task.kind == TaskKind::kAccumulate || task.kind == TaskKind::kHostCopy)
      boxes[uses[1].buffer] = boxes[uses[0].buffer];
    if (task.kind != TaskKind::kUpdate && task.kind != TaskKind::kUpdateRows) continue;
    for (std::size_t u = 1; u < uses.size(); ++u) {
      const BufferKind kind = program.buffers[uses[u].buffer].kind;
      if (kind == BufferKind::kOptimizerState || kind == BufferKind::kWeightGradient ||
          kind == BufferKind::kStaging)
        boxes[uses[u].buffer] = boxes[uses[0].buffer];
    }
  }
  for (const Task& task : program.tasks)
    if (task.kind == TaskKind::kHostCopy && task.phase == Phase::kUpdate)
      boxes[program.uses_of(task)[0].buffer] = boxes[program.uses_of(task)[1].buffer];
  return boxes;
}

}  // namespace soapstone::core
