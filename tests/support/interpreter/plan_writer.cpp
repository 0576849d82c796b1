#include "tests/support/interpreter/plan_writer.hpp"

#include <algorithm>
#include <map>

#include "core/local_problem.hpp"

namespace soapstone::interpreter {

PlanWriter::PlanWriter(const core::Graph& graph, std::uint32_t devices,
                       std::uint32_t optimizer_states)
    : graph_(graph) {
  plan_.graph = graph.name();
  plan_.graph_hash = graph.hash();
  plan_.device_count = devices;
  plan_.optimizer_states = optimizer_states;
  plan_.candidates = {"by hand"};
  plan_.classes.resize(devices);
  for (std::uint32_t d = 0; d < devices; ++d) plan_.classes[d].members = {core::DeviceId(d)};
}

PlanWriter::BufferId PlanWriter::buffer(Device device, core::BufferKind kind, core::TensorId tensor,
                                        const core::Box& box) {
  if (core::is_empty(box)) return core::kNoIndex;
  const core::DType dtype = tensor.valid() ? graph_.tensor(tensor).desc.dtype : core::DType::kF64;
  auto& buffers = plan_.classes[device].buffers;
  buffers.push_back({kind, tensor.valid() ? tensor.value : core::kNoIndex, dtype, box,
                     core::size_of(dtype) * core::elements(box), core::Bytes(-1)});
  return static_cast<BufferId>(buffers.size()) - 1;
}

core::Task& PlanWriter::add(Device device, core::TaskKind kind, core::Phase phase,
                            std::vector<core::BufferUse> uses) {
  core::DeviceClass& p = plan_.classes[device];
  core::Task t;
  t.kind = kind;
  t.phase = phase;
  t.order = order_;
  t.first_use = static_cast<std::uint32_t>(p.uses.size());
  t.use_count = static_cast<std::uint32_t>(uses.size());
  p.uses.insert(p.uses.end(), uses.begin(), uses.end());
  p.tasks.push_back(t);
  return p.tasks.back();
}

void PlanWriter::load(Device device, core::TensorId tensor, BufferId into) {
  add(device, core::TaskKind::kLoad, core::Phase::kForward, {{into, core::UseAccess::kWrite}})
      .tensor = tensor.value;
}

void PlanWriter::compute(Device device, core::OpId op, std::string_view step_name,
                         std::vector<core::Interval> axes, std::vector<BufferId> buffers) {
  const core::OpNode& node = graph_.op(op);
  const auto& steps = node.definition.steps;
  const auto step = std::find_if(steps.begin(), steps.end(),
                                 [&](const core::Step& s) { return s.name == step_name; });
  SOAPSTONE_ASSERT(step != steps.end(), "{} has no step {}", node.name, step_name);
  std::vector<core::BufferUse> uses;
  for (std::size_t k = 0; k < buffers.size(); ++k)
    uses.push_back(
        {buffers[k], k < step->reads.size() ? core::UseAccess::kRead : core::UseAccess::kWrite});
  core::Task& t = add(device, core::TaskKind::kCompute, step->phase, std::move(uses));
  t.op = op.value;
  t.step = static_cast<std::uint16_t>(step - steps.begin());
  t.row = static_cast<std::uint32_t>(plan_.member_table.size());
  plan_.member_table.push_back(static_cast<std::uint32_t>(plan_.shards.size()));
  const core::LocalProblem problem{node.op, &node.definition, axes};
  plan_.shards.push_back({op.value, axes, 0, problem.signature()});
}

void PlanWriter::transfer(core::Transfer transfer, core::TensorId tensor, core::Phase phase,
                          std::vector<BufferId> held, std::vector<BufferId> wanted) {
  transfer.dtype = graph_.tensor(tensor).desc.dtype;
  transfer.order = graph_.tensor(tensor).desc.order;
  for (std::uint32_t k = 0; k < transfer.members.size(); ++k) {
    const Device device = transfer.members[k].device.value;
    const core::Bytes staging = core::staging_bytes(transfer, k);
    BufferId stage = core::kNoIndex;
    if (staging.value > 0) {
      auto& buffers = plan_.classes[device].buffers;
      stage = static_cast<BufferId>(buffers.size());
      buffers.push_back({core::BufferKind::kStaging,
                         core::kNoIndex,
                         transfer.dtype,
                         {},
                         staging,
                         core::Bytes(-1)});
    }
    const bool in_place = held[k] == wanted[k];
    core::Task& t =
        add(device, core::TaskKind::kTransfer, phase,
            {{held[k], core::UseAccess::kRead},
             {wanted[k], in_place ? core::UseAccess::kReadWrite : core::UseAccess::kWrite},
             {stage, core::UseAccess::kWrite}});
    t.tensor = tensor.value;
    t.row = static_cast<std::uint32_t>(plan_.member_table.size());
    plan_.member_table.push_back(static_cast<std::uint32_t>(plan_.transfers.size()));
  }
  plan_.transfers.push_back(std::move(transfer));
}

void PlanWriter::update(Device device, core::TensorId tensor, std::vector<BufferId> buffers) {
  std::vector<core::BufferUse> uses;
  for (std::size_t k = 0; k < buffers.size(); ++k)
    uses.push_back({buffers[k], k == 1 ? core::UseAccess::kRead : core::UseAccess::kReadWrite});
  core::Task& t = add(device, core::TaskKind::kUpdate, core::Phase::kUpdate, std::move(uses));
  t.tensor = tensor.value;
  t.op = graph_.tensor(tensor).producer.op.value;
}

core::Plan PlanWriter::take() {
  for (auto& c : plan_.classes) depend_by_uses(c);
  core::place_buffers(plan_);
  return std::move(plan_);
}

void depend_by_uses(core::DeviceClass& p) {
  p.dependencies.clear();
  for (std::uint32_t i = 0; i < p.tasks.size(); ++i) {
    core::Task& t = p.tasks[i];
    t.first_dependency = static_cast<std::uint32_t>(p.dependencies.size());
    for (std::uint32_t j = 0; j < i; ++j) {
      bool conflict = false;
      for (const auto& mine : p.uses_of(t))
        for (const auto& theirs : p.uses_of(p.tasks[j]))
          conflict |=
              mine.buffer != core::kNoIndex && mine.buffer == theirs.buffer &&
              (mine.access != core::UseAccess::kRead || theirs.access != core::UseAccess::kRead);
      if (conflict) p.dependencies.push_back(j);
    }
    t.dependency_count = static_cast<std::uint32_t>(p.dependencies.size()) - t.first_dependency;
  }
}

core::Plan reordered(const core::Plan& plan,
                     const std::function<int(const core::Task&, core::DeviceId)>& key) {
  core::Plan out = plan;
  std::map<std::pair<int, std::uint32_t>, std::uint32_t> places;  // (key, old order) -> new order
  for (const auto& c : plan.classes)
    for (const auto& t : c.tasks) places[{key(t, c.members[0]), t.order}] = 0;
  std::uint32_t next = 0;
  for (auto& [old, order] : places) order = next++;
  for (auto& c : out.classes) {
    for (auto& t : c.tasks) t.order = places.at({key(t, c.members[0]), t.order});
    std::stable_sort(c.tasks.begin(), c.tasks.end(),
                     [](const auto& a, const auto& b) { return a.order < b.order; });
    depend_by_uses(c);
  }
  core::place_buffers(out);
  return out;
}

}  // namespace soapstone::interpreter
