#include "core/lower.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/derive.hpp"
#include "core/lowering/impl.hpp"
#include "core/sequence_order.hpp"

namespace soapstone::core {

using lowering::Held;

// Devices whose parts of all operators are alike are of one class, as far as is known yet. A few
// devices have a program each.
std::vector<std::uint32_t> Lowering::Impl::classes_of(const Strategy& of) const {
  std::vector<std::uint64_t> form(cluster.size(), 0);
  std::vector<bool> is_used(cluster.size(), false);
  std::size_t used = 0;
  for (std::uint32_t op = 0; op < of.ops.size(); ++op)
    for (std::size_t i = 0; i < of.ops[op].devices.size(); ++i) {
      const std::uint32_t d = of.ops[op].devices[i].value;
      used += !is_used[d];
      is_used[d] = true;
      Hasher h;
      h.word(form[d]);
      h.word(op);
      h.word(ops[op]->form[i]);
      form[d] = h.finish();
    }
  std::vector<std::uint32_t> out(cluster.size(), kNoIndex);
  std::unordered_map<std::uint64_t, std::uint32_t> known;
  std::uint32_t next = 0;
  for (std::uint32_t d = 0; d < out.size(); ++d) {
    if (!is_used[d]) continue;
    if (used < options.fold_from)
      out[d] = next++;
    else
      out[d] = known.emplace(form[d], static_cast<std::uint32_t>(known.size())).first->second;
  }
  return out;
}

namespace {

// The devices of one class do different things after all: every thing gets a class.
std::vector<std::uint32_t> divided(const std::vector<std::uint32_t>& class_of_device,
                                   const lowering::Uneven& uneven) {
  std::vector<std::uint32_t> out(class_of_device.size(), kNoIndex);
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> known;
  std::size_t member = 0;
  for (std::uint32_t d = 0; d < out.size(); ++d) {
    const std::uint32_t c = class_of_device[d];
    if (c == kNoIndex) continue;
    const std::uint64_t role = c == uneven.device_class ? uneven.roles[member++] : 0;
    out[d] =
        known.emplace(std::pair(c, role), static_cast<std::uint32_t>(known.size())).first->second;
  }
  return out;
}

}  // namespace

void Lowering::Impl::make(std::vector<std::uint32_t> class_of_device) {
  plan = {};
  plan.graph = graph.name();
  plan.graph_hash = graph.hash();
  plan.strategy_hash = hash_of(*strategy);
  plan.training = options.training;
  plan.zigzag = static_cast<std::uint32_t>(strategy->zigzag);
  plan.micro_batches = static_cast<std::uint32_t>(strategy->micro_batches);
  plan.device_count = static_cast<std::uint32_t>(cluster.size());
  plan.optimizer_states =
      options.training ? static_cast<std::uint32_t>(options.optimizer_states) : 0;
  plan.table_states =
      options.training
          ? static_cast<std::uint32_t>(options.table_states.value_or(options.optimizer_states))
          : 0;
  const std::size_t tensor_count = g->tensors().size();
  weights = std::make_unique<Held>(tensor_count, 0);
  batches.clear();
  batches.resize(static_cast<std::size_t>(strategy->micro_batches));
  actions_left.assign(batches.size(), 0);
  new_slots.assign(tensor_count, {});
  rows.assign(tensor_count, {});
  buckets.clear();
  own_cuts.clear();
  recomputing = false;
  programs = std::make_unique<lowering::Programs>(plan, segments, std::move(class_of_device),
                                                  ++plans, programs.get());
  for (std::uint32_t op = 0; op < g->ops().size(); ++op)
    programs->place_op(op, strategy_of(op), *ops[op]);
  if (options.training) {
    expect_gradients(weights->slots, true);
    expect_gradients(new_slots, false);
  }
  place_weights();
  distribute_weights();
  run_pipeline();
  if (options.training) update_weights();
  programs->finish();
}

Result<Plan> Lowering::Impl::lower(const Strategy& given) {
  strategy = &given;
  SOAPSTONE_TRY(check(graph, given, static_cast<std::uint32_t>(cluster.size())));
  const std::pair which(given.micro_batches, given.zigzag);
  if (!micro_graphs.contains(which)) {
    auto made = planned_graph(graph, given.micro_batches, given.zigzag);
    if (!made && given.zigzag > 0)
      return usage_error("zigzag = {}: {}: zigzag = 0 is accepted", given.zigzag,
                         made.error().message);
    SOAPSTONE_TRY(made);
    micro_graphs.emplace(which, std::move(*made));
  }
  g = &micro_graphs.at(which);
  const bool is_other = given.micro_batches > 1 || given.zigzag > 0;
  for (std::size_t i = 0; is_other && i < given.ops.size(); ++i)
    SOAPSTONE_TRY(check(g->ops()[i], given.ops[i], static_cast<std::uint32_t>(cluster.size())));
  SOAPSTONE_ASSIGN(pipeline, pipeline_of(*g, given, options.training));

  segments.begin(*g);
  ops.clear();
  for (std::uint32_t op = 0; op < g->ops().size(); ++op)
    ops.push_back(segments.of(op, given.ops[op]));
  const std::size_t tensor_count = g->tensors().size();
  tables.assign(tensor_count, std::nullopt);
  by_rows.assign(tensor_count, false);
  for (std::uint32_t t = 0; options.by_rows && t < tensor_count; ++t)
    if (const auto table = table_of(*g, TensorId(t));
        table && positions_of(*g, *table) * given.micro_batches <= g->tensors()[t].desc.shape[0]) {
      by_rows[t] = true;
      if (options.training) tables[t] = table;
    }
  homes.assign(tensor_count, {});
  SOAPSTONE_TRY(find_homes());

  // Classes are divided until the devices of each do the same.
  for (auto class_of_device = classes_of(given);;) {
    try {
      make(class_of_device);
      break;
    } catch (const lowering::Uneven& uneven) {
      class_of_device = divided(class_of_device, uneven);
    }
  }

  // Numbered as this plan uses them, whatever was lowered before.
  std::vector<std::uint32_t> renumbered(segments.candidates(), kNoIndex);
  for (Shard& shard : plan.shards) {
    std::uint32_t& number = renumbered[shard.candidate];
    if (number == kNoIndex) {
      number = static_cast<std::uint32_t>(plan.candidates.size());
      plan.candidates.push_back(segments.candidate(shard.candidate));
    }
    shard.candidate = number;
  }
  if (options.place_memory) place_buffers(plan);
  return std::move(plan);
}

LowerOptions lower_options(OptimizerKind kind, double momentum, double weight_decay,
                           TableOptimizer tables) {
  LowerOptions options;
  options.optimizer_states = optimizer_states(kind, momentum);
  if (tables != TableOptimizer::kSame) kind = kind_of(tables, kind), momentum = weight_decay = 0;
  options.table_states = optimizer_states(kind, momentum);
  options.by_rows = keeps_rows_of_zeros(kind, momentum, weight_decay);
  return options;
}

Lowering::Lowering(const Graph& graph, const Cluster& cluster, const KernelCatalog& catalog,
                   LowerOptions options)
    : impl_(new Impl(graph, cluster, catalog, options)) {}
Lowering::~Lowering() = default;
Lowering::Lowering(Lowering&&) noexcept = default;

Result<Plan> Lowering::lower(const Strategy& strategy) { return impl_->lower(strategy); }

Result<Plan> lower(const Graph& graph, const Strategy& strategy, const Cluster& cluster,
                   const KernelCatalog& catalog, LowerOptions options) {
  return Lowering(graph, cluster, catalog, options).lower(strategy);
}

}  // namespace soapstone::core
