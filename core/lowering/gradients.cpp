#include <algorithm>
#include <map>

#include "core/assert.hpp"
#include "core/lowering/impl.hpp"

namespace soapstone::core {

using lowering::Held;
using lowering::Instance;

// How many contributions each gradient will get, by the layout they come in: of weights in a step,
// or where only parts of their gradients are kept, in a micro-batch.
void Lowering::Impl::expect_gradients(std::vector<std::vector<GradientSlot>>& of, bool of_weights) {
  for (std::uint32_t op = 0; op < g->ops().size(); ++op) {
    const OpNode& node = g->ops()[op];
    const OpSegment& segment = *ops[op];
    for (const int k : segment.steps) {
      const Step& step = node.definition.steps[static_cast<std::size_t>(k)];
      if (comes_as_rows(node, step)) continue;
      for (std::size_t w = 0; w < step.writes.size(); ++w) {
        const Ref& ref = step.writes[w];
        const Operand& operand = node.definition.operands[ref.operand];
        if (!ref.gradient || operand.role == OperandRole::kInternal || !operand.differentiable)
          continue;
        const TensorId t = node.tensors[ref.operand];
        if (!g->tensor(t).needs_gradient || is_weight(t) != of_weights) continue;
        const std::uint64_t layout = segment.written[static_cast<std::size_t>(k)][w]->hash;
        auto& slots = of[t.value];
        auto slot = std::find_if(slots.begin(), slots.end(),
                                 [&](const auto& s) { return s.layout == layout; });
        if (slot == slots.end()) slot = slots.insert(slots.end(), GradientSlot{layout, {}, 0, 0});
        slot->expected += of_weights && zero_of(t) < 2 ? static_cast<int>(plan.micro_batches) : 1;
      }
    }
  }
}

lowering::GradientSlot& Lowering::Impl::slot_of(TensorId t, const Cut& cut) {
  auto& slots = held(t).slots[t.value];
  if (slots.empty()) slots = new_slots[t.value];  // all at once: they stay where they are
  for (GradientSlot& slot : slots)
    if (slot.layout == cut.hash) return slot;
  SOAPSTONE_ASSERT(false, "{}: a gradient that nobody expects", g->tensor(t).name);
}

// A contribution to the gradient of a graph tensor lies in `slot`; when it was the last, the
// gradient moves to where its producer (or the weight's owner) wants it, to another stage when this
// one has done its part of the micro-batch.
void Lowering::Impl::contributed(TensorId t, GradientSlot& slot, std::uint32_t op) {
  if (++slot.contributed < slot.expected) return;
  if (is_weight(t)) slot.contributed = 0;  // the next micro-batch begins anew
  if (!is_weight(t) && stage_of(g->tensor(t).producer.op.value) != stage_of(op))
    now->outgoing_gradients.push_back({t, slot.instance, op});
  else
    return_gradient(t, slot.instance, op);
}

void Lowering::Impl::return_gradient(TensorId t, const Instance& sum, std::uint32_t op) {
  const Tensor& tensor = g->tensor(t);
  const std::uint32_t producer = tensor.producer.op.value;
  auto& gradient = held(t).gradients[t.value];
  const bool crosses = stage_of(producer) != stage_of(op);
  const Moving how{is_weight(t) ? BufferKind::kWeightGradient : BufferKind::kActivationGradient,
                   op,
                   t.value,
                   Phase::kBackwardInput,
                   tensor.desc.dtype,
                   tensor.desc.order,
                   true,
                   crosses ? Window::kAction : Window::kOperator};
  const Instance arrived =
      is_weight(t) ? return_to_weight(t, sum, how)
                   : programs->moved(sum, *ops[producer]->read[tensor.producer.operand], how);
  if (!gradient)
    gradient = arrived;
  else
    accumulate(arrived, gradient, op, t.value);
}

// The gradient of a weight goes to where it lives: by itself, in a bucket with others, or where
// only groups of copies keep parts of it, first inside a group, then between the groups.
Instance Lowering::Impl::return_to_weight(TensorId t, const Instance& sum, const Moving& how) {
  const Home& home = homes[t.value];
  if (sum.cut->hash == home.cut->hash) return sum;
  if (home.group > 0 && can_sum_in_groups(*sum.cut, home)) return sum_in_groups(t, sum, how);
  if (const auto [here, there] = shares_of(*sum.cut, home); here != nullptr) {
    const Instance arrived = programs->moved(programs->moved(sum, *here, how), *there, how);
    return there->hash == home.cut->hash ? arrived : programs->moved(arrived, *home.cut, how);
  }
  const lowering::MoveSegment& segment = segments.move(*sum.cut, *home.cut, how.dtype, how.dims);
  if (!goes_into_bucket(t, segment)) return programs->moved(sum, *home.cut, segment, how);
  // In place: the bucket is made of the gradients themselves.
  const Instance out = programs->unfilled(*home.cut);
  const auto& spots = programs->place(*home.cut).spots;
  const auto buffers = programs->buffers(out);
  for (std::size_t k = 0; k < spots.size(); ++k)
    buffers[k] = programs->buffer_on(sum, spots[k].device_class);
  add_to_bucket(out, segment, how);
  return out;
}

bool Lowering::Impl::goes_into_bucket(TensorId t, const lowering::MoveSegment& segment) const {
  // Contributions that come later, from another operator, are added to what has been summed.
  return strategy->bucket.value > 0 && zero_of(t) == 0 && !has_server(t) &&
         weights->slots[t.value].size() == 1 &&
         std::all_of(segment.groups.begin(), segment.groups.end(),
                     [](const auto& group) { return group.pattern == Pattern::kAllReduce; });
}

void Lowering::Impl::add_to_bucket(const Instance& gradient, const lowering::MoveSegment& segment,
                                   const Moving& how) {
  Hasher key;
  key.word(static_cast<std::uint64_t>(how.dtype));
  for (const auto& group : segment.groups) append_hash(key, group.members);
  const std::uint64_t wanted = key.finish();
  auto bucket = std::find_if(buckets.begin(), buckets.end(),
                             [&](const Bucket& b) { return b.key == wanted; });
  if (bucket == buckets.end()) {
    bucket = buckets.insert(buckets.end(), Bucket{});
    bucket->key = wanted;
    bucket->dtype = how.dtype;
    for (const auto& group : segment.groups) bucket->groups.push_back(group.members);
  }
  bucket->parts.push_back(gradient);
  bucket->op = how.op;
  Bytes most;
  for (const auto& spot : programs->place(*gradient.cut).spots)
    most = std::max(most, size_of(how.dtype) * elements(spot.box));
  bucket->bytes += most;
  if (bucket->bytes >= strategy->bucket)
    send_bucket(static_cast<std::size_t>(bucket - buckets.begin()));
}

// What lies as summands, and as copies of their sum.
std::pair<const lowering::Cut&, const lowering::Cut&> Lowering::Impl::own_sum(Layout partial) {
  Layout whole = partial;
  std::swap(whole.partials, whole.replicas);
  own_cuts.push_back(lowering::make_cut(std::move(partial)));
  own_cuts.push_back(lowering::make_cut(std::move(whole)));
  return {*own_cuts[own_cuts.size() - 2], *own_cuts.back()};
}

// One all-reduce over all that has been gathered, as if it were one tensor of one dimension with a
// part for every group.
void Lowering::Impl::send_bucket(std::size_t index) {
  Bucket bucket = std::move(buckets[index]);
  buckets.erase(buckets.begin() + static_cast<std::ptrdiff_t>(index));
  const std::int64_t width = size_of(bucket.dtype).value;
  std::map<std::uint32_t, std::vector<std::uint32_t>> parts;  // per class: buffers
  std::map<std::uint32_t, std::int64_t> bytes;
  for (const Instance& part : bucket.parts)
    for (const auto& spot : programs->place(*part.cut).spots) {
      const std::uint32_t b = programs->buffer_on(part, spot.device_class);
      if (b == kNoIndex) continue;
      parts[spot.device_class].push_back(b);
      bytes[spot.device_class] += programs->program(spot.device_class).buffers[b].size.value;
    }
  Layout partial;
  partial.parts.emplace_back();
  partial.partials = static_cast<std::int32_t>(bucket.groups[0].size());
  std::int64_t end = 0;
  for (const auto& group : bucket.groups) {
    const auto found = bytes.find(programs->class_of(group[0]));
    const std::int64_t count = found == bytes.end() ? 0 : found->second / width;
    partial.parts[0].push_back({end, end + count});
    end += count;
    partial.devices.insert(partial.devices.end(), group.begin(), group.end());
  }
  const auto& [from, to] = own_sum(std::move(partial));
  const Instance all =
      programs->new_instance(from, BufferKind::kWeightGradient, kNoIndex, bucket.dtype);
  for (const auto& [device_class, buffers] : parts)
    programs->put_inside(programs->buffer_on(all, device_class), buffers, device_class);
  programs->moved(all, to,
                  {BufferKind::kWeightGradient,
                   bucket.op,
                   kNoIndex,
                   Phase::kBackwardInput,
                   bucket.dtype,
                   {},
                   true,
                   Window::kOperator});
}

void Lowering::Impl::accumulate(const Instance& from, const Instance& to, std::uint32_t op,
                                std::uint32_t tensor) {
  const auto& spots = programs->place(*to.cut).spots;
  for (std::size_t k = 0; k < spots.size(); ++k) {
    const std::uint32_t onto = programs->buffers(to)[k], c = spots[k].device_class;
    if (onto == kNoIndex) continue;
    const BufferUse uses[] = {{programs->buffer_on(from, c), UseAccess::kRead},
                              {onto, UseAccess::kReadWrite}};
    Task& task = programs->add_task(c, TaskKind::kAccumulate, Phase::kBackwardInput, uses);
    task.op = op;
    task.tensor = tensor;
  }
  programs->next();
}

bool Lowering::Impl::comes_as_rows(const OpNode& node, const Step& step) const {
  return step.rows != RowGradient::kNone && tables[node.tensors[step.writes[0].operand].value];
}

std::uint16_t Lowering::Impl::ids_of(const Table& table) const {
  return g->ops()[table.op].definition.steps[static_cast<std::size_t>(table.step)].reads[0].operand;
}

// Instead of a step whose gradient comes as rows: ids and rows go to where the table lies.
void Lowering::Impl::gather_rows(std::uint32_t op, const Step& step) {
  const OpNode& node = g->ops()[op];
  const OpSegment& segment = *ops[op];
  const TensorId ids = node.tensors[step.reads[0].operand], y = node.tensors[step.reads[1].operand];
  const auto from = source_of(op, step.reads[1], step.phase);
  SOAPSTONE_ASSERT(from, "{}: its gradient is read and nothing uses it", node.name);
  const TensorDesc& desc = g->tensor(y).desc;
  rows[node.tensors[step.writes[0].operand].value].push_back(
      {value_in(ids, *segment.gathered[0], op, Phase::kForward),
       programs->moved(*from, *segment.gathered[1],
                       {BufferKind::kActivationGradient, op, y.value, step.phase, desc.dtype,
                        desc.order, false, Window::kOperator})});
}

}  // namespace soapstone::core
