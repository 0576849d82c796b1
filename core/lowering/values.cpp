#include <algorithm>

#include "core/assert.hpp"
#include "core/lowering/impl.hpp"

namespace soapstone::core {

using lowering::Held;
using lowering::Instance;

BufferKind Lowering::Impl::kind_of_value(TensorId t) const {
  if (g->is_reported(t)) return BufferKind::kScalar;
  switch (g->tensor(t).role) {
    case TensorRole::kSource:
      return BufferKind::kSource;
    case TensorRole::kWeight:
      return BufferKind::kWeight;
    case TensorRole::kActivation:
      return BufferKind::kActivation;
  }
  return BufferKind::kActivation;
}

BufferKind Lowering::Impl::kind_of_copy(TensorId t) const {
  return is_weight(t) ? BufferKind::kGatheredWeight : kind_of_value(t);
}

// The layouts in which a tensor's value is read, each once, in order of first use.
std::vector<const lowering::Cut*> Lowering::Impl::readers_of(TensorId t,
                                                             bool producer_reads) const {
  std::vector<const Cut*> cuts;
  const auto add = [&](const CutPtr& cut) {
    for (const Cut* c : cuts)
      if (c->hash == cut->hash) return;
    cuts.push_back(cut.get());
  };
  const Tensor& tensor = g->tensor(t);
  if (producer_reads) add(ops[tensor.producer.op.value]->read[tensor.producer.operand]);
  for (const OperandRef& use : tensor.uses) add(ops[use.op.value]->read[use.operand]);
  // The ids of a table that is updated by rows go whole to every device that holds some of it.
  for (const OperandRef& use : tensor.uses) {
    const OpNode& node = g->op(use.op);
    for (const TensorId weight : node.tensors) {
      const auto& table = weight.valid() ? tables[weight.value] : std::nullopt;
      if (table && table->op == use.op.value && ids_of(*table) == use.operand)
        add(ops[use.op.value]->gathered[0]);
    }
  }
  return cuts;
}

// Whether operators of other stages read a tensor in a layout, or of this one.
bool Lowering::Impl::is_read(TensorId t, const Cut& cut, std::int32_t stage, bool elsewhere) const {
  const Tensor& tensor = g->tensor(t);
  const auto reads = [&](const OperandRef& use) {
    return (stage_of(use.op.value) != stage) == elsewhere &&
           ops[use.op.value]->read[use.operand]->hash == cut.hash;
  };
  if (tensor.role == TensorRole::kActivation && reads(tensor.producer)) return true;
  if (std::any_of(tensor.uses.begin(), tensor.uses.end(), reads)) return true;
  return std::any_of(tensor.uses.begin(), tensor.uses.end(), [&](const OperandRef& use) {
    const auto& gathered = ops[use.op.value]->gathered;
    return (stage_of(use.op.value) != stage) == elsewhere && !gathered.empty() &&
           gathered[0]->hash == cut.hash;
  });
}

void Lowering::Impl::distribute(TensorId t, const Instance& made, std::uint32_t op,
                                bool producer_reads, bool to_other_stages) {
  const auto cuts = readers_of(t, producer_reads);
  Held& all = held(t);
  auto& known = all.values[t.value];
  if ((is_weight(t) || cuts.empty()) && all.value(t, made.cut->hash) == nullptr)
    known.push_back({made});
  bool is_waited_for = false;
  for (const Cut* cut : cuts) {
    if (all.value(t, cut->hash) != nullptr) continue;
    if (!is_weight(t) && pipeline.ops.size() > 1 &&
        !is_read(t, *cut, stage_of(op), to_other_stages)) {
      is_waited_for = true;
      continue;
    }
    const Moving how{kind_of_copy(t),
                     op,
                     t.value,
                     Phase::kForward,
                     g->tensor(t).desc.dtype,
                     g->tensor(t).desc.order,
                     cuts.size() == 1 && !is_weight(t),
                     to_other_stages || (is_weight(t) && pipeline.ops.size() > 1)
                         ? Window::kAction
                         : Window::kOperator};
    known.push_back(
        {is_weight(t) ? gather_weight(t, *cut, how) : programs->moved(made, *cut, how)});
  }
  if (!is_waited_for || to_other_stages) return;
  now->made[t.value] = made;
  now->outgoing.push_back(t);
}

// A tensor's value in a layout. What is not there is gathered (weights), fetched from the host or
// computed again.
Instance Lowering::Impl::value_in(TensorId t, const Cut& cut, std::uint32_t op, Phase phase) {
  Held& all = held(t);
  const Tensor& tensor = g->tensor(t);
  const auto known = [&]() -> std::optional<Instance> {
    Held::Value* value = all.value(t, cut.hash);
    if (value == nullptr) return std::nullopt;
    return on_device(*value, op, t.value, tensor.desc.dtype);
  };
  if (const auto found = known()) return *found;
  const std::uint32_t producer = tensor.producer.op.value;
  if (!is_weight(t) && !now->made[t.value]) compute_again(producer);
  if (const auto found = known()) return *found;
  const Moving how{kind_of_copy(t),
                   op,
                   t.value,
                   phase == Phase::kForward && !recomputing ? phase : Phase::kRecompute,
                   tensor.desc.dtype,
                   tensor.desc.order,
                   !is_weight(t) && readers_of(t, true).size() == 1,
                   Window::kOperator};
  const Instance out =
      is_weight(t) ? gather_weight(t, cut, how) : programs->moved(now->made[t.value], cut, how);
  all.values[t.value].push_back({out});
  return out;
}

// The forward pass of one operator again, but for what changes its states.
void Lowering::Impl::compute_again(std::uint32_t op) {
  SOAPSTONE_ASSERT(strategy_of(op).recompute, "{}: something of it is read that is not there",
                   g->ops()[op].name);
  const bool before = std::exchange(recomputing, true);
  const OpNode& node = g->ops()[op];
  for (const int k : ops[op]->steps) {
    const Step& step = node.definition.steps[static_cast<std::size_t>(k)];
    const bool changes_states = std::any_of(step.writes.begin(), step.writes.end(), [&](Ref w) {
      return node.definition.operands[w.operand].role == OperandRole::kWeight;
    });
    if (step.phase == Phase::kForward && !changes_states) run_step(op, k);
  }
  recomputing = before;
}

// Gives up what will be computed again.
void Lowering::Impl::forget(std::int32_t stage) {
  for (const std::uint32_t op : pipeline.ops[static_cast<std::size_t>(stage)]) {
    if (!strategy_of(op).recompute) continue;
    now->own[op].clear();
    const OpNode& node = g->ops()[op];
    for (std::size_t k = 0; k < node.tensors.size(); ++k) {
      if (node.definition.operands[k].role != OperandRole::kOutput) continue;
      const TensorId t = node.tensors[k];
      std::erase_if(now->values[t.value], [&](const Held::Value& value) {
        return !is_read(t, *value.instance.cut, stage, true);
      });
      now->made[t.value] = {};
    }
  }
}

bool Lowering::Impl::is_offloaded(std::uint32_t op) const {
  const Offload what = strategy_of(op).offload;
  return options.training && (what == Offload::kActivations || what == Offload::kBoth) &&
         !strategy_of(op).recompute;
}

// Whether a backward pass of this stage reads a tensor in a layout.
bool Lowering::Impl::is_read_again(TensorId t, const Cut& cut, std::int32_t stage) const {
  const auto reads = [&](const OperandRef& use) {
    const OpSegment& segment = *ops[use.op.value];
    if (stage_of(use.op.value) != stage || segment.read[use.operand]->hash != cut.hash)
      return false;
    const auto& steps = g->op(use.op).definition.steps;
    return std::any_of(segment.steps.begin(), segment.steps.end(), [&](int k) {
      const Step& step = steps[static_cast<std::size_t>(k)];
      return step.phase != Phase::kForward &&
             std::any_of(step.reads.begin(), step.reads.end(),
                         [&](const Ref& r) { return !r.gradient && r.operand == use.operand; });
    });
  };
  const Tensor& tensor = g->tensor(t);
  return reads(tensor.producer) || std::any_of(tensor.uses.begin(), tensor.uses.end(), reads);
}

// What an operator made, of a tensor or (kNoIndex) of its own, in another memory.
Instance Lowering::Impl::copied(const Instance& from, Memory memory, std::uint32_t op,
                                std::uint32_t tensor, DType dtype, Phase phase) {
  const BufferKind kind = tensor == kNoIndex ? BufferKind::kInternal : BufferKind::kActivation;
  return programs->copied(from, memory,
                          {kind, op, tensor, phase, dtype, {}, false, Window::kOperator});
}

// What an offloaded operator has just made goes to the host as well, if its backward pass, or that
// of its readers here, will read it.
void Lowering::Impl::send_to_host(std::uint32_t op) {
  if (!is_offloaded(op)) return;
  const auto send = [&](Held::Value& value, std::uint32_t tensor, DType dtype) {
    value.host = copied(value.instance, Memory::kHost, op, tensor, dtype, Phase::kForward);
  };
  const OpNode& node = g->ops()[op];
  const std::int32_t stage = stage_of(op);
  for (auto& [ref, value] : now->own[op])
    send(value, kNoIndex, node.definition.operands[ref.operand].desc.dtype);
  for (std::size_t k = 0; k < node.tensors.size(); ++k) {
    if (node.definition.operands[k].role != OperandRole::kOutput) continue;
    const TensorId t = node.tensors[k];
    if (g->is_reported(t)) continue;
    for (Held::Value& value : now->values[t.value])
      if (is_read_again(t, *value.instance.cut, stage) &&
          !is_read(t, *value.instance.cut, stage, true))
        send(value, t.value, g->tensor(t).desc.dtype);
  }
}

// After the forward pass of a stage: what its offloaded operators made lies on the host alone.
void Lowering::Impl::leave_on_host(std::int32_t stage) {
  const auto leave = [](Held::Value& value) {
    if (!value.host) return;
    value.instance = std::exchange(value.host, {});
    value.on_host = true;
  };
  for (const std::uint32_t op : pipeline.ops[static_cast<std::size_t>(stage)]) {
    if (!is_offloaded(op)) continue;
    for (auto& [ref, value] : now->own[op]) leave(value);
    for (const TensorId t : g->ops()[op].tensors)
      if (t.valid() && !is_weight(t))
        for (Held::Value& value : now->values[t.value]) leave(value);
  }
}

Instance Lowering::Impl::on_device(Held::Value& value, std::uint32_t op, std::uint32_t tensor,
                                   DType dtype) {
  if (value.on_host) {
    value.instance = copied(value.instance, Memory::kDevice, op, tensor, dtype, Phase::kRecompute);
    value.on_host = false;
  }
  return value.instance;
}

// The instance that a step reads through `ref`. None: the gradient of an output that nothing uses,
// which is zero.
std::optional<Instance> Lowering::Impl::source_of(std::uint32_t op, const Ref& ref, Phase phase) {
  const OpNode& node = g->ops()[op];
  const Operand& operand = node.definition.operands[ref.operand];
  if (operand.role == OperandRole::kInternal) {
    const auto find = [&] {
      return std::find_if(now->own[op].begin(), now->own[op].end(),
                          [&](const auto& entry) { return entry.first == ref; });
    };
    auto it = find();
    if (it == now->own[op].end() && !recomputing) {
      compute_again(op);
      it = find();
    }
    SOAPSTONE_ASSERT(it != now->own[op].end(), "{}: {} is read before it is written", node.name,
                     operand.name);
    return on_device(it->second, op, kNoIndex, operand.desc.dtype);
  }
  const TensorId t = node.tensors[ref.operand];
  if (ref.gradient) {
    const auto& parts = (is_weight(t) ? weights->slots : new_slots)[t.value];
    const bool is_used =
        std::any_of(parts.begin(), parts.end(), [](const auto& slot) { return slot.expected > 0; });
    if (!is_used && operand.role == OperandRole::kOutput) return std::nullopt;
    SOAPSTONE_ASSERT(now->gradients[t.value],
                     "{}: the gradient of {} is read before it is complete", node.name,
                     g->tensor(t).name);
    return now->gradients[t.value];
  }
  return value_in(t, *ops[op]->read[ref.operand], op, phase);
}

bool Lowering::Impl::reads_later(const OpSegment& segment, const OpDefinition& def,
                                 const Ref& ref) const {
  for (const int k : segment.steps)
    for (const Ref& r : def.steps[static_cast<std::size_t>(k)].reads)
      if (r == ref) return true;
  return false;
}

void Lowering::Impl::keep_internal(std::uint32_t op, const Ref& ref, const Instance& made,
                                   Phase phase) {
  const OpSegment& segment = *ops[op];
  const OpDefinition& def = g->ops()[op].definition;
  if (!reads_later(segment, def, ref)) return;
  const Operand& operand = def.operands[ref.operand];
  const Instance kept =
      programs->moved(made, *segment.read[ref.operand],
                      {BufferKind::kInternal, op, kNoIndex, phase, operand.desc.dtype,
                       operand.desc.order, true, Window::kOperator});
  auto& own = now->own[op];
  const auto found =
      std::find_if(own.begin(), own.end(), [&](const auto& entry) { return entry.first == ref; });
  if (found == own.end())
    own.push_back({ref, {kept}});
  else
    found->second = {kept};
}

void Lowering::Impl::run_step(std::uint32_t op, int step_index) {
  const OpSegment& segment = *ops[op];
  const OpNode& node = g->ops()[op];
  const OpDefinition& def = node.definition;
  const Step& step = def.steps[static_cast<std::size_t>(step_index)];
  if (comes_as_rows(node, step)) return gather_rows(op, step);
  if (is_in_rounds(def, strategy_of(op), step)) return run_rounds(op, step_index);

  std::vector<std::optional<Instance>> read;
  for (const Ref& r : step.reads) read.push_back(source_of(op, r, step.phase));

  // Where the writes go: gradients of graph tensors into their slots, or
  // beside them when the slot has something already.
  struct Target {
    Instance instance;
    GradientSlot* slot = nullptr;
    bool beside = false;
    bool dropped = false;
    bool in_place = false;  // a state, which the step has read
  };
  std::vector<Target> targets;
  for (std::size_t w = 0; w < step.writes.size(); ++w) {
    const Ref& ref = step.writes[w];
    const Operand& operand = def.operands[ref.operand];
    const Cut& cut = *segment.written[static_cast<std::size_t>(step_index)][w];
    const TensorId t = node.tensors[ref.operand];
    Target target;
    if (operand.role == OperandRole::kInternal) {
      target.instance =
          programs->new_instance(cut, BufferKind::kInternal, kNoIndex, operand.desc.dtype);
    } else if (operand.role == OperandRole::kWeight && !ref.gradient) {
      target.instance = weights->value(t, cut.hash)->instance;
      target.in_place = true;
    } else if (!ref.gradient) {
      target.instance = programs->new_instance(cut, kind_of_value(t), t.value, operand.desc.dtype);
    } else if (g->tensor(t).needs_gradient && operand.differentiable) {
      target.slot = &slot_of(t, cut);
      // The slot takes its first contribution directly; an operator that reads one tensor twice
      // makes two at once.
      target.beside = target.slot->contributed > 0 ||
                      std::any_of(targets.begin(), targets.end(),
                                  [&](const Target& other) { return other.slot == target.slot; });
      const BufferKind kind = g->tensor(t).role == TensorRole::kWeight
                                  ? BufferKind::kWeightGradient
                                  : BufferKind::kActivationGradient;
      target.instance = programs->new_instance(cut, kind, t.value, operand.desc.dtype);
      if (!target.beside) target.slot->instance = target.instance;
    } else {
      target.dropped = true;  // nobody wants it: the kernel gets no block and writes nothing
    }
    targets.push_back(std::move(target));
  }

  std::vector<BufferUse> uses;
  for (const auto& spot : programs->spots(op)) {
    const std::uint32_t c = spot.device_class;
    uses.clear();
    for (const auto& r : read)
      uses.push_back({r ? programs->buffer_on(*r, c) : kNoIndex, UseAccess::kRead});
    for (const Target& target : targets)
      uses.push_back({target.dropped ? kNoIndex : programs->buffer_on(target.instance, c),
                      target.in_place ? UseAccess::kReadWrite : UseAccess::kWrite});
    Task& task = programs->add_task(c, TaskKind::kCompute, phase_of(step), uses);
    task.op = op;
    task.step = static_cast<std::uint16_t>(step_index);
    task.row = spot.row;
    programs->needs_workspace(c, segment.workspace[spot.first]);
  }
  programs->next();

  for (std::size_t w = 0; w < step.writes.size(); ++w) {
    const Ref& ref = step.writes[w];
    Target& target = targets[w];
    if (target.dropped || target.in_place) continue;
    const Operand& operand = def.operands[ref.operand];
    const TensorId t = node.tensors[ref.operand];
    if (operand.role == OperandRole::kInternal) {
      keep_internal(op, ref, target.instance, phase_of(step));
    } else if (!ref.gradient && recomputing) {
      now->made[t.value] = target.instance;  // moves to those who ask for it
      if (now->value(t, target.instance.cut->hash) == nullptr)
        now->values[t.value].push_back({target.instance});
    } else if (!ref.gradient) {
      distribute(t, target.instance, op, reads_later(segment, def, ref));
    } else {
      if (target.beside) accumulate(target.instance, target.slot->instance, op, t.value);
      contributed(t, *target.slot, op);
    }
  }
}

// What the operators of a stage read of the data.
void Lowering::Impl::load_sources(std::int32_t stage) {
  for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
    const Tensor& tensor = g->tensors()[t];
    if (tensor.role != TensorRole::kSource) continue;
    for (const Cut* cut : readers_of(TensorId(t), false)) {
      if (now->value(TensorId(t), cut->hash) != nullptr) continue;
      if (pipeline.ops.size() > 1 && !is_read(TensorId(t), *cut, stage, false)) continue;
      const Instance instance =
          programs->new_instance(*cut, BufferKind::kSource, t, tensor.desc.dtype);
      const auto& spots = programs->place(*cut).spots;
      const auto buffers = programs->buffers(instance);
      for (std::size_t k = 0; k < spots.size(); ++k) {
        if (buffers[k] == kNoIndex) continue;
        const BufferUse uses[] = {{buffers[k], UseAccess::kWrite}};
        programs->add_task(spots[k].device_class, TaskKind::kLoad, Phase::kForward, uses).tensor =
            t;
      }
      now->values[t].push_back({instance});
      programs->next();
    }
  }
}

}  // namespace soapstone::core
