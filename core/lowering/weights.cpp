#include <algorithm>

#include "core/derive.hpp"
#include "core/lowering/impl.hpp"

namespace soapstone::core {

using lowering::Instance;

std::int32_t Lowering::Impl::zero_of(TensorId weight) const {
  return by_rows[weight.value] || !g->tensor(weight).needs_gradient
             ? 0
             : strategy_of(g->tensor(weight).producer.op.value).zero;
}

bool Lowering::Impl::has_server(TensorId weight) const {
  return !by_rows[weight.value] && g->tensor(weight).needs_gradient &&
         strategy_of(g->tensor(weight).producer.op.value).server;
}

Status Lowering::Impl::find_homes() {
  for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
    const Tensor& tensor = g->tensors()[t];
    if (tensor.role != TensorRole::kWeight) continue;
    const OpStrategy& s = strategy_of(tensor.producer.op.value);
    Home& home = homes[t];
    home.copies = ops[tensor.producer.op.value]->read[tensor.producer.operand];
    home.cut = home.copies;
    const std::int32_t replicas = home.copies->layout.replicas;
    if (zero_of(TensorId(t)) > 0 && replicas > 1) {
      const std::int32_t over = s.zero_over == 0 ? replicas : s.zero_over;
      if (replicas % over != 0)
        return usage_error(
            "{}: zero_over = {}: {} has {} copies: a number that divides them is accepted, or 0 "
            "for all",
            g->op(tensor.producer.op).name, over, tensor.name, replicas);
      home.cut = lowering::make_cut(lowering::shared_among_replicas(home.copies->layout, over));
      if (over > 1 && over < replicas) {
        home.group = over;
        Layout partial = home.cut->layout;
        std::swap(partial.partials, partial.replicas);
        home.partial = lowering::make_cut(std::move(partial));
      }
    } else if (has_server(TensorId(t)) && replicas > 1) {
      // Every copy is the server of some of the weights.
      home.cut = lowering::make_cut(
          lowering::some_copies(home.copies->layout, static_cast<std::int32_t>(t) % replicas, 1));
    }
  }
  return {};
}

bool Lowering::Impl::can_sum_in_groups(const Cut& sum, const Home& home) {
  const Layout &from = sum.layout, &copies = home.copies->layout;
  return from.replicas == 1 && from.partials == copies.replicas && from.parts == copies.parts &&
         from.devices == copies.devices;
}

Instance Lowering::Impl::sum_in_groups(TensorId t, const Instance& sum, const Moving& how) {
  const Home& home = homes[t.value];
  const auto pieces = [&] {
    std::vector<lowering::Segments::Piece> out;
    for (std::int32_t j = 0; j < home.cut->layout.replicas; ++j)
      out.push_back({lowering::some_sums(sum.cut->layout, j * home.group, home.group),
                     lowering::some_copies(home.cut->layout, j, 1)});
    return out;
  };
  const auto& inside =
      segments.move(*sum.cut, *home.partial, lowering::Segments::Pieces::kSumsOfGroups, pieces,
                    how.dtype, how.dims);
  const Instance parts = programs->moved(sum, *home.partial, inside, how);
  return programs->moved(parts, *home.cut, how);
}

// A shared weight's gradient that comes from other devices than the weight's (another stage's):
// were every summand sent to every copy, n copies would cost n times n messages of its whole size.
// Each device sums a share, sends it to one device there, and those gather: both layouts of the
// shares, or null.
auto Lowering::Impl::shares_of(const Cut& sum, const Home& home)
    -> std::pair<const Cut*, const Cut*> {
  const Layout &from = sum.layout, &copies = home.copies->layout;
  if (from.partials < 2 || from.replicas != 1 || from.partials != copies.replicas ||
      from.parts != copies.parts || home.group > 0)
    return {};
  for (const DeviceId d : from.devices)
    if (std::find(copies.devices.begin(), copies.devices.end(), d) != copies.devices.end())
      return {};
  Layout here = from;
  std::swap(here.partials, here.replicas);
  own_cuts.push_back(lowering::make_cut(lowering::shared_among_replicas(here, here.replicas)));
  own_cuts.push_back(lowering::make_cut(lowering::shared_among_replicas(copies, copies.replicas)));
  return {own_cuts[own_cuts.size() - 2].get(), own_cuts.back().get()};
}

// A weight in a layout in which it does not live.
Instance Lowering::Impl::gather_weight(TensorId t, const Cut& cut, const Moving& how) {
  const Home& home = homes[t.value];
  const Instance from = weights->value(t, home.cut->hash)->instance;
  if (home.group == 0 || cut.hash != home.copies->hash) return programs->moved(from, cut, how);
  const auto pieces = [&] {
    std::vector<lowering::Segments::Piece> out;
    for (std::int32_t j = 0; j < home.cut->layout.replicas; ++j)
      out.push_back({lowering::some_copies(home.cut->layout, j, 1),
                     lowering::some_copies(home.copies->layout, j * home.group, home.group)});
    return out;
  };
  const auto& segment = segments.move(*home.cut, cut, lowering::Segments::Pieces::kCopiesOfGroups,
                                      pieces, how.dtype, how.dims);
  return programs->moved(from, cut, segment, how);
}

void Lowering::Impl::place_weights() {
  for (std::uint32_t t = 0; t < g->tensors().size(); ++t)
    if (homes[t].cut)
      weights->values[t].push_back({programs->new_instance(*homes[t].cut, BufferKind::kWeight, t,
                                                           g->tensors()[t].desc.dtype)});
}

// A weight that several operators share lives with the first of them; the others read copies made
// in every step. Where only parts of the copies are kept, or one of them, they are gathered when
// they are wanted first.
void Lowering::Impl::distribute_weights() {
  for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
    const TensorId id(t);
    const Home& home = homes[t];
    if (!home.cut || home.cut->hash != home.copies->hash || g->tensors()[t].uses.size() < 2)
      continue;
    const Instance made = weights->value(id, home.cut->hash)->instance;
    distribute(id, made, g->tensors()[t].producer.op.value, false);
  }
}

// Weights that are gathered before every use are given up after it.
void Lowering::Impl::release_weights(std::uint32_t op) {
  for (const TensorId t : g->ops()[op].tensors)
    if (t.valid() && is_weight(t) && zero_of(t) == 3)
      std::erase_if(weights->values[t.value], [&](const Held::Value& value) {
        return value.instance.cut->hash != homes[t.value].cut->hash;
      });
}

void Lowering::Impl::update_weights() {
  while (!buckets.empty()) send_bucket(0);
  std::optional<Instance> scalar;
  if (options.clip_gradient_norm) scalar = gradient_norm();
  for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
    const Tensor& tensor = g->tensors()[t];
    if (tensor.role != TensorRole::kWeight || !tensor.needs_gradient) continue;
    const std::uint32_t op = tensor.producer.op.value;
    const Cut& home = *homes[t].cut;
    const Instance weight = weights->value(TensorId(t), home.hash)->instance;
    const Offload offload = strategy_of(op).offload;
    const bool on_host =
        !tables[t] && (offload == Offload::kOptimizer || offload == Offload::kBoth);
    std::vector<Instance> kept, optimizer;  // where it lies, and what is updated
    const std::uint32_t state_count =
        table_of(*g, TensorId(t)) ? plan.table_states : plan.optimizer_states;
    const Moving fetch{BufferKind::kStaging, op, t,     Phase::kUpdate,
                       tensor.desc.dtype,    {}, false, Window::kOperator};
    for (std::uint32_t k = 0; k < state_count; ++k) {
      kept.push_back(programs->new_instance(home, BufferKind::kOptimizerState, t, tensor.desc.dtype,
                                            on_host ? Memory::kHost : Memory::kDevice));
      optimizer.push_back(on_host ? programs->copied(kept[k], Memory::kDevice, fetch) : kept[k]);
    }
    const auto& spots = programs->place(home).spots;
    for (const auto& spot : spots) {
      const std::uint32_t c = spot.device_class, own = programs->buffer_on(weight, c);
      if (own == kNoIndex) continue;
      std::vector<BufferUse> uses{{own, UseAccess::kReadWrite}};
      if (!tables[t])
        uses.push_back({programs->buffer_on(weights->gradients[t], c), UseAccess::kRead});
      for (const auto& o : optimizer)
        uses.push_back({programs->buffer_on(o, c), UseAccess::kReadWrite});
      if (tables[t]) use_rows(t, c, uses);
      if (scalar) uses.push_back({programs->buffer_on(*scalar, c), UseAccess::kRead});
      if (tables[t]) {
        add_row_task(TaskKind::kUpdateRows, t, c, uses);
      } else {
        Task& task = programs->add_task(c, TaskKind::kUpdate, Phase::kUpdate, uses);
        task.op = op;
        task.tensor = t;
      }
      programs->ends(Window::kOperator, c);
    }
    programs->next();
    if (on_host)
      for (std::uint32_t k = 0; k < state_count; ++k)
        programs->copy_onto(optimizer[k], kept[k], fetch);
  }
}

void Lowering::Impl::use_rows(std::uint32_t t, std::uint32_t device_class,
                              std::vector<BufferUse>& uses) {
  for (const Rows& r : rows[t]) {
    uses.push_back({programs->buffer_on(r.ids, device_class), UseAccess::kRead});
    uses.push_back({programs->buffer_on(r.rows, device_class), UseAccess::kRead});
  }
}

void Lowering::Impl::add_row_task(TaskKind kind, std::uint32_t t, std::uint32_t device_class,
                                  std::span<const BufferUse> uses) {
  const Table& table = *tables[t];
  const auto spots = programs->spots(table.op);
  const auto spot = std::find_if(spots.begin(), spots.end(),
                                 [&](const auto& s) { return s.device_class == device_class; });
  Task& task = programs->add_task(device_class, kind, Phase::kUpdate, uses);
  task.op = table.op;
  task.tensor = t;
  task.step = static_cast<std::uint16_t>(table.step);
  task.row = spot->row;
  const OpDefinition& def = g->ops()[table.op].definition;
  const Ref& y = def.steps[static_cast<std::size_t>(table.step)].reads[1];
  const Shape& shape = def.operands[y.operand].desc.shape;
  const auto count = static_cast<std::int64_t>(rows[t].size());
  programs->needs_workspace(
      device_class, Bytes(row_merge_workspace(count * positions_of(*g, table),
                                              count * (elements(shape) / shape.back()), count)));
}

// The squares of all gradients, each counted once, summed over all devices.
Instance Lowering::Impl::gradient_norm() {
  std::vector<DeviceId> devices;
  for (std::uint32_t c = 0; c < programs->size(); ++c)
    for (const DeviceId d : programs->program(c).members) devices.push_back(d);
  std::sort(devices.begin(), devices.end());
  Layout partial;
  partial.parts = {{Interval{0, 1}}};
  partial.partials = static_cast<std::int32_t>(devices.size());
  partial.devices = devices;
  const auto& [from, to] = own_sum(std::move(partial));
  const Instance local = programs->new_instance(from, BufferKind::kScalar, kNoIndex, DType::kF64);
  for (std::uint32_t c = 0; c < programs->size(); ++c) {
    std::vector<BufferUse> uses;
    for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
      const Tensor& tensor = g->tensors()[t];
      if (tensor.role != TensorRole::kWeight || !tensor.needs_gradient || tables[t]) continue;
      const Instance& gradient = weights->gradients[t];
      const std::uint32_t buffer = programs->buffer_on(gradient, c);
      if (buffer == kNoIndex || !programs->counts(*gradient.cut, c)) continue;
      uses.push_back({buffer, UseAccess::kRead});
    }
    uses.push_back({programs->buffer_on(local, c), UseAccess::kWrite});
    programs->add_task(c, TaskKind::kNorm, Phase::kUpdate, uses);
  }
  programs->next();
  for (std::uint32_t t = 0; t < g->tensors().size(); ++t) {
    if (!tables[t]) continue;
    const Cut& home = *homes[t].cut;
    const Instance weight = weights->value(TensorId(t), home.hash)->instance;
    for (const auto& spot : programs->place(home).spots) {
      const std::uint32_t c = spot.device_class;
      if (programs->buffer_on(weight, c) == kNoIndex || !programs->counts(home, c)) continue;
      std::vector<BufferUse> uses;
      use_rows(t, c, uses);
      uses.push_back({programs->buffer_on(local, c), UseAccess::kReadWrite});
      add_row_task(TaskKind::kNormRows, t, c, uses);
    }
    programs->next();
  }
  return programs->moved(local, to,
                         {BufferKind::kScalar,
                          kNoIndex,
                          kNoIndex,
                          Phase::kUpdate,
                          DType::kF64,
                          {},
                          true,
                          Window::kOperator});
}

}  // namespace soapstone::core
