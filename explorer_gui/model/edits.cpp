#include "explorer_gui/model/edits.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>

#include "core/derive.hpp"
#include "core/sequence_order.hpp"
#include "explorer_gui/model/session.hpp"
#include "search/axis_roles.hpp"

namespace soapstone::explorer {

using namespace core;

// --- what is legal ------------------------------------------------------------------------------

Ground::Ground(Setting setting)
    : setting_(std::move(setting)), lower_(setting_.optimizer.lower_options()) {}

Result<const Graph*> Ground::micro(const Strategy& strategy) const {
  const std::pair key(strategy.micro_batches, strategy.zigzag);
  const auto known = micro_.find(key);
  if (known != micro_.end()) return known->second.get();
  SOAPSTONE_ASSIGN(Graph made, planned_graph(graph(), strategy.micro_batches, strategy.zigzag));
  return micro_.emplace(key, std::make_unique<const Graph>(std::move(made))).first->second.get();
}

namespace {

// Whether training updates it by rows, without a gradient of its size.
bool goes_by_rows(const Graph& micro, std::int64_t micro_batches, const LowerOptions& lower,
                  TensorId weight) {
  if (!lower.by_rows) return false;
  const auto table = table_of(micro, weight);
  return table && positions_of(micro, *table) * micro_batches <= micro.tensor(weight).desc.shape[0];
}

}  // namespace

Status Ground::check(const Graph& micro, std::uint32_t op, const OpStrategy& s) const {
  const OpNode& node = micro.ops()[op];
  SOAPSTONE_TRY(core::check(node, s, static_cast<std::uint32_t>(cluster().size())));
  if (s.zero == 0 || s.zero_over == 0) return {};
  for (std::size_t k = 0; k < node.tensors.size(); ++k) {
    if (node.definition.operands[k].role != OperandRole::kWeight) continue;
    const Tensor& weight = micro.tensor(node.tensors[k]);
    if (!weight.needs_gradient || weight.producer != OperandRef{OpId(op), std::uint16_t(k)})
      continue;
    if (goes_by_rows(micro, graph().batch() / micro.batch(), lower_, node.tensors[k])) continue;
    const std::int32_t copies =
        operand_layout(node.definition, static_cast<int>(k), s, Access::kRead).replicas;
    if (copies > 1 && copies % s.zero_over != 0)
      return usage_error(
          "{}: zero_over = {}: {} has {} copies: a number that divides them is accepted, or 0 for "
          "all",
          node.name, s.zero_over, weight.name, copies);
  }
  return {};
}

Status Ground::check(const Strategy& strategy) const {
  SOAPSTONE_TRY(core::check(graph(), strategy, static_cast<std::uint32_t>(cluster().size())));
  SOAPSTONE_ASSIGN(const Graph* const of_micro, micro(strategy));
  for (std::uint32_t op = 0; op < strategy.ops.size(); ++op)
    if (strategy.micro_batches > 1 || strategy.ops[op].zero_over > 0)
      SOAPSTONE_TRY(check(*of_micro, op, strategy.ops[op]));
  const auto pipeline = pipeline_of(*of_micro, strategy, true);
  if (!pipeline) return tl::unexpected(pipeline.error());
  return {};
}

namespace {

Result<Strategy> checked(const Ground& ground, Strategy strategy) {
  SOAPSTONE_TRY(ground.check(strategy));
  return strategy;
}

// Does `change` to each of the operators that it returns something for. None at all: `why_none`.
Result<Strategy> each(
    const Ground& ground, const Strategy& strategy, const OpSet& ops, std::string_view why_none,
    const std::function<Result<std::optional<OpStrategy>>(const OpNode&, std::uint32_t)>& change) {
  if (ops.empty()) return refuse("no operator is selected");
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  Strategy next = strategy;
  bool any = false;
  for (const std::uint32_t op : ops) {
    SOAPSTONE_ASSIGN(auto changed, change(micro->ops()[op], op));
    if (!changed) continue;
    any = true;
    next.ops[op] = std::move(*changed);
    SOAPSTONE_TRY(ground.check(*micro, op, next.ops[op]));
  }
  if (!any) return refuse("{}", why_none);
  return checked(ground, std::move(next));
}

std::int32_t stages_of(const Strategy& strategy) {
  std::int32_t last = 0;
  for (const OpStrategy& s : strategy.ops) last = std::max(last, s.stage);
  return last + 1;
}

// Ascending, by stage.
std::vector<std::vector<DeviceId>> devices_of_stages(const Strategy& strategy,
                                                     const Cluster& cluster) {
  std::vector<std::vector<bool>> has(static_cast<std::size_t>(stages_of(strategy)),
                                     std::vector<bool>(cluster.size(), false));
  for (const OpStrategy& s : strategy.ops)
    for (const DeviceId d : s.devices) has[static_cast<std::size_t>(s.stage)][d.value] = true;
  std::vector<std::vector<DeviceId>> out(has.size());
  for (std::size_t s = 0; s < has.size(); ++s)
    for (std::uint32_t d = 0; d < cluster.size(); ++d)
      if (has[s][d]) out[s].push_back(DeviceId(d));
  return out;
}

std::int64_t largest(const OpNode& node, const OpStrategy& s, int axis) {
  return s.ring && axis == node.definition.rounds.along
             ? largest_ring(node.definition)
             : largest_degree(node.definition.axes[static_cast<std::size_t>(axis)]);
}

std::int64_t parts_of(const OpStrategy& s) {
  return std::accumulate(s.degrees.begin(), s.degrees.end(), std::int64_t{s.replicas},
                         std::multiplies<>());
}

bool has_weight(const Graph& graph, std::uint32_t op) {
  const OpNode& node = graph.ops()[op];
  for (std::size_t k = 0; k < node.tensors.size(); ++k)
    if (node.definition.operands[k].role == OperandRole::kWeight &&
        graph.tensor(node.tensors[k]).needs_gradient)
      return true;
  return false;
}

// Devices for as many parts as it has.
Result<OpStrategy> with_following_devices(const Ground& ground, const Strategy& strategy,
                                          std::uint32_t op, OpStrategy next,
                                          std::span<const DeviceId> reach) {
  const auto count = static_cast<std::size_t>(parts_of(next));
  next.devices = following_devices(next.devices, count, reach, ground.cluster());
  if (next.devices.empty()) {
    const std::string& name = ground.graph().ops()[op].name;
    if (stages_of(strategy) == 1)
      return refuse("{}: {} parts: the cluster has {} devices", name, count, reach.size());
    return refuse("{}: {} parts: stage {} has {} devices", name, count, next.stage, reach.size());
  }
  return next;
}

}  // namespace

// --- one operator -------------------------------------------------------------------------------

std::vector<DeviceId> devices_within_reach(const Ground& ground, const Strategy& strategy,
                                           std::uint32_t op) {
  const auto stages = devices_of_stages(strategy, ground.cluster());
  const auto own = static_cast<std::size_t>(strategy.ops[op].stage);
  std::vector<bool> out(ground.cluster().size(), stages.size() == 1), taken = out;
  // Stages of one rank have the same devices: none of them can grow alone.
  bool alone = true;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    for (const DeviceId d : stages[s]) {
      taken[d.value] = true;
      if (s == own) out[d.value] = true;
    }
    alone &= s == own || stages[s] != stages[own];
  }
  std::vector<DeviceId> list;
  for (std::uint32_t d = 0; d < out.size(); ++d)
    if (out[d] || (alone && !taken[d])) list.push_back(DeviceId(d));
  return list;
}

std::vector<DeviceId> following_devices(std::span<const DeviceId> now, std::size_t count,
                                        std::span<const DeviceId> reach, const Cluster& cluster) {
  std::vector<DeviceId> out(now.begin(), now.end());
  if (count <= out.size()) {
    out.resize(count);
    return out;
  }
  std::vector<DeviceId> others;
  for (const DeviceId d : reach)
    if (std::find(now.begin(), now.end(), d) == now.end()) others.push_back(d);
  if (out.size() + others.size() < count) return {};
  if (!now.empty()) {
    const auto [least, most] = std::minmax_element(now.begin(), now.end());
    const auto distance = [&](DeviceId d) {
      const std::uint32_t outside = d > *most    ? d.value - most->value
                                    : d < *least ? least->value - d.value
                                                 : 0;
      return std::tuple(!cluster.same_node(d, now[0]), outside, d < *least, d.value);
    };
    std::sort(others.begin(), others.end(),
              [&](DeviceId a, DeviceId b) { return distance(a) < distance(b); });
  }
  const bool ascends = std::is_sorted(out.begin(), out.end());
  out.insert(out.end(), others.begin(),
             others.begin() + static_cast<std::ptrdiff_t>(count - out.size()));
  if (ascends) std::sort(out.begin(), out.end());
  return out;
}

Result<OpStrategy> cut_for(const OpNode& node, const OpStrategy& strategy, std::int32_t count) {
  const auto axes = static_cast<int>(node.definition.axes.size());
  const std::int64_t parts = parts_of(strategy);
  if (parts == count) return strategy;
  // The axes that may change, the best first.
  std::vector<int> order(static_cast<std::size_t>(axes));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const auto rank = [&](int axis) {
      const auto i = static_cast<std::size_t>(axis);
      return std::pair(-strategy.degrees[i], node.definition.axes[i].role != AxisRole::kSample);
    };
    return rank(a) < rank(b);
  });
  OpStrategy next = strategy;
  const int first = order.empty() ? -1 : order[0];
  if (first >= 0) {
    auto& degree = next.degrees[static_cast<std::size_t>(first)];
    const std::int64_t others = parts / degree;
    const std::int64_t least = strategy.ring && first == node.definition.rounds.along ? 2 : 1;
    if (count % others == 0 && count / others >= least &&
        count / others <= largest(node, strategy, first)) {
      degree = static_cast<std::int32_t>(count / others);
      return next;
    }
  }
  next.degrees.assign(static_cast<std::size_t>(axes), 1);
  next.replicas = 1;
  next.ring = false;
  if (count == 1) return next;
  for (const int axis : order) {
    if (count > largest(node, next, axis)) continue;
    next.degrees[static_cast<std::size_t>(axis)] = count;
    return next;
  }
  return refuse("{}: no axis has {} parts, one for each device", node.name, count);
}

OpSet equal_ops(const Graph& graph, std::uint32_t op) {
  OpSet out;
  const OpNode& node = graph.ops()[op];
  for (std::uint32_t other = 0; other < graph.ops().size(); ++other)
    if (graph.ops()[other].op == node.op && graph.ops()[other].definition == node.definition)
      out.insert(other);
  return out;
}

Result<OpStrategy> with_degree(const Ground& ground, const Strategy& strategy, std::uint32_t op,
                               int axis, std::int32_t degree, std::span<const DeviceId> reach) {
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  OpStrategy next = strategy.ops[op];
  next.degrees[static_cast<std::size_t>(axis)] = degree;
  // One part has nobody to pass anything on to.
  if (axis == micro->ops()[op].definition.rounds.along && degree == 1) next.ring = false;
  // What the axis does not allow is told before what devices there are.
  const OpNode& node = micro->ops()[op];
  const Axis& a = node.definition.axes[static_cast<std::size_t>(axis)];
  if (degree < 1 || degree > largest(node, next, axis)) {
    if (a.coupling == Coupling::kUnsplittable)
      return refuse("{}: axis {} stays whole: what it computes depends on all of it", node.name,
                    a.name);
    if (a.granularity > 1)
      return refuse("{}: axis {} has {} indices in granules of {}: 1 to {} parts are possible",
                    node.name, a.name, a.extent, a.granularity, largest(node, next, axis));
    return refuse("{}: axis {} has {} {}: 1 to {} parts are possible", node.name, a.name, a.extent,
                  a.extent == 1 ? "index" : "indices", largest(node, next, axis));
  }
  SOAPSTONE_ASSIGN(next, with_following_devices(ground, strategy, op, std::move(next), reach));
  SOAPSTONE_TRY(ground.check(*micro, op, next));
  return next;
}

Result<OpStrategy> with_replicas(const Ground& ground, const Strategy& strategy, std::uint32_t op,
                                 std::int32_t replicas, std::span<const DeviceId> reach) {
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  if (replicas < 1)
    return refuse("{}: replicas = {}: must be at least 1", ground.graph().ops()[op].name, replicas);
  OpStrategy next = strategy.ops[op];
  next.replicas = replicas;
  SOAPSTONE_ASSIGN(next, with_following_devices(ground, strategy, op, std::move(next), reach));
  SOAPSTONE_TRY(ground.check(*micro, op, next));
  return next;
}

// --- some operators -----------------------------------------------------------------------------

Result<Strategy> set_degree(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                            std::string_view axis, std::int32_t degree) {
  return each(ground, strategy, ops,
              fmt::format("none of the selected operators has an axis {}", axis),
              [&](const OpNode& node, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                for (std::size_t a = 0; a < node.definition.axes.size(); ++a) {
                  if (node.definition.axes[a].name != axis) continue;
                  SOAPSTONE_ASSIGN(OpStrategy next,
                                   with_degree(ground, strategy, op, static_cast<int>(a), degree,
                                               devices_within_reach(ground, strategy, op)));
                  return next;
                }
                return std::nullopt;
              });
}

Result<Strategy> set_replicas(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                              std::int32_t replicas) {
  return each(ground, strategy, ops, "",
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                SOAPSTONE_ASSIGN(OpStrategy next,
                                 with_replicas(ground, strategy, op, replicas,
                                               devices_within_reach(ground, strategy, op)));
                return next;
              });
}

Result<Strategy> set_devices(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                             std::span<const DeviceId> devices) {
  if (devices.empty()) return refuse("an operator needs a device");
  return each(ground, strategy, ops, "",
              [&](const OpNode& node, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                SOAPSTONE_ASSIGN(
                    OpStrategy next,
                    cut_for(node, strategy.ops[op], static_cast<std::int32_t>(devices.size())));
                next.devices.assign(devices.begin(), devices.end());
                return next;
              });
}

Result<Strategy> swap_devices(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                              DeviceId a, DeviceId b) {
  return each(ground, strategy, ops,
              fmt::format("none of the selected operators is on device {} or {}", a.value, b.value),
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                OpStrategy next = strategy.ops[op];
                for (DeviceId& d : next.devices) d = d == a ? b : d == b ? a : d;
                if (next == strategy.ops[op]) return std::nullopt;
                return next;
              });
}

namespace {

constexpr std::string_view kNoWeights = "none of the selected operators has weights to train";

}  // namespace

Result<Strategy> set_zero(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                          std::int32_t zero) {
  return each(ground, strategy, ops, kNoWeights,
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                if (!has_weight(ground.graph(), op)) return std::nullopt;
                OpStrategy next = strategy.ops[op];
                next.zero = zero;
                if (zero == 0) next.zero_over = 0;
                if (zero > 0) next.server = false;
                return next;
              });
}

Result<Strategy> set_zero_over(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                               std::int32_t copies) {
  return each(ground, strategy, ops, kNoWeights,
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                if (!has_weight(ground.graph(), op)) return std::nullopt;
                OpStrategy next = strategy.ops[op];
                next.zero_over = copies;
                return next;
              });
}

Result<Strategy> set_update(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                            Update update) {
  return each(ground, strategy, ops, kNoWeights,
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                if (!has_weight(ground.graph(), op)) return std::nullopt;
                OpStrategy next = strategy.ops[op];
                next.server = update == Update::kOnServers;
                if (next.server) next.zero = next.zero_over = 0;
                return next;
              });
}

Result<Strategy> set_keep(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                          Keep keep) {
  return each(ground, strategy, ops, "",
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                OpStrategy next = strategy.ops[op];
                next.recompute = keep == Keep::kRecompute;
                return next;
              });
}

Result<Strategy> set_offload(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                             Offload offload) {
  return each(ground, strategy, ops, "",
              [&](const OpNode&, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                OpStrategy next = strategy.ops[op];
                next.offload = offload;
                return next;
              });
}

Result<Strategy> set_style(const Ground& ground, const Strategy& strategy, const OpSet& ops,
                           search::ContextStyle style) {
  return each(ground, strategy, ops, "none of the selected operators is computed in rounds",
              [&](const OpNode& node, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                const Rounds& rounds = node.definition.rounds;
                if (rounds.along < 0 && rounds.why_not.empty()) return std::nullopt;
                OpStrategy next = strategy.ops[op];
                next.ring = style == search::ContextStyle::kRing;
                return next;
              });
}

Result<Strategy> copy_to(const Ground& ground, const Strategy& strategy, std::uint32_t from,
                         const OpSet& ops) {
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  const OpStrategy& source = strategy.ops[from];
  const OpNode& source_node = micro->ops()[from];
  const auto stages = devices_of_stages(strategy, ground.cluster());
  return each(ground, strategy, ops, "there is no other operator",
              [&](const OpNode& node, std::uint32_t op) -> Result<std::optional<OpStrategy>> {
                if (op == from) return std::nullopt;
                std::vector<search::GridDim> grid;
                for (std::size_t a = 0; a < source.degrees.size(); ++a) {
                  const std::string& name = source_node.definition.axes[a].name;
                  const int axis = search::first_axis(node.definition, [&](int b) {
                    return node.definition.axes[static_cast<std::size_t>(b)].name == name;
                  });
                  const bool ring = source.ring &&
                                    static_cast<int>(a) == source_node.definition.rounds.along &&
                                    axis >= 0 && axis == node.definition.rounds.along;
                  grid.push_back({source.degrees[a], axis, ring});
                }
                grid.push_back({source.replicas, -1, false});
                // The devices at the same places of the other stage.
                const OpStrategy& old = strategy.ops[op];
                std::vector<DeviceId> devices = source.devices;
                const auto& here = stages[static_cast<std::size_t>(source.stage)];
                const auto& there = stages[static_cast<std::size_t>(old.stage)];
                if (here != there) {
                  if (here.size() != there.size())
                    return refuse("{}: stage {} has {} devices, stage {} of {} has {}", node.name,
                                  old.stage, there.size(), source.stage, source_node.name,
                                  here.size());
                  for (DeviceId& d : devices)
                    d = there[static_cast<std::size_t>(
                        std::lower_bound(here.begin(), here.end(), d) - here.begin())];
                }
                OpStrategy next = search::cut(node.definition, grid, devices);
                next.stage = old.stage;
                if (has_weight(ground.graph(), op)) {
                  next.zero = source.zero;
                  next.zero_over = source.zero_over;
                  next.server = source.server;
                }
                const bool reported =
                    std::any_of(node.tensors.begin(), node.tensors.end(),
                                [&](TensorId t) { return t.valid() && micro->is_reported(t); });
                next.recompute = source.recompute && !reported;
                next.offload = source.offload;
                return next;
              });
}

Result<Strategy> copy_to_equal(const Ground& ground, const Strategy& strategy, const OpSet& block) {
  if (block.empty()) return refuse("no operator is selected");
  const auto ops = ground.graph().ops();
  const std::uint32_t first = *block.begin(), last = *block.rbegin();
  const auto equal = [&](std::uint32_t a, std::uint32_t b) {
    return ops[a].op == ops[b].op && ops[a].definition == ops[b].definition;
  };
  Strategy next = strategy;
  bool any = false;
  for (std::uint32_t place = 0; place + (last - first) < ops.size(); ++place) {
    if (place == first) continue;
    const bool same = std::all_of(block.begin(), block.end(), [&](std::uint32_t op) {
      return equal(op, place + (op - first));
    });
    if (!same) continue;
    for (const std::uint32_t op : block) {
      const std::uint32_t other = place + (op - first);
      if (block.contains(other)) continue;
      SOAPSTONE_ASSIGN(next, copy_to(ground, next, op, {other}));
      any = true;
    }
  }
  if (!any) return refuse("no other operators are equal to {}", names_of(ground.graph(), block));
  return next;
}

// --- the step -----------------------------------------------------------------------------------

Result<std::vector<std::uint32_t>> stage_ends(const Strategy& strategy) {
  std::vector<std::uint32_t> ends(static_cast<std::size_t>(stages_of(strategy)), 0);
  std::int32_t last = 0;
  for (std::uint32_t op = 0; op < strategy.ops.size(); ++op) {
    const std::int32_t stage = strategy.ops[op].stage;
    if (stage < last)
      return refuse("stages {} and {} do not stand one after the other", stage, last);
    last = stage;
    ends[static_cast<std::size_t>(stage)] = op + 1;
  }
  return ends;
}

Result<Strategy> move_boundary(const Ground& ground, const Strategy& strategy, std::int32_t stage,
                               std::uint32_t end) {
  SOAPSTONE_ASSIGN(const auto ends, stage_ends(strategy));
  const auto s = static_cast<std::size_t>(stage);
  if (stage < 0 || s + 1 >= ends.size()) return refuse("there is no stage behind stage {}", stage);
  const std::uint32_t begin = s == 0 ? 0 : ends[s - 1];
  if (end <= begin || end >= ends[s + 1])
    return refuse(
        "the boundary behind stage {} lies between operators {} and {}: every stage has "
        "an operator",
        stage, begin + 1, ends[s + 1] - 1);
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  const auto devices = devices_of_stages(strategy, ground.cluster());
  Strategy next = strategy;
  const bool grows = end > ends[s];
  const std::size_t from = grows ? s + 1 : s, to = grows ? s : s + 1;
  for (std::uint32_t op = std::min(end, ends[s]); op < std::max(end, ends[s]); ++op) {
    OpStrategy& o = next.ops[op];
    o.stage = static_cast<std::int32_t>(to);
    if (devices[from].size() == devices[to].size()) {
      for (DeviceId& d : o.devices)
        d = devices[to][static_cast<std::size_t>(
            std::lower_bound(devices[from].begin(), devices[from].end(), d) -
            devices[from].begin())];
      continue;
    }
    // As much of the other stage as of its own.
    std::size_t count = o.devices.size() == devices[from].size()
                            ? devices[to].size()
                            : std::min(o.devices.size(), devices[to].size());
    auto fitting = cut_for(micro->ops()[op], o, static_cast<std::int32_t>(count));
    while (!fitting) fitting = cut_for(micro->ops()[op], o, static_cast<std::int32_t>(--count));
    o = std::move(*fitting);
    o.devices.assign(devices[to].begin(), devices[to].begin() + static_cast<std::ptrdiff_t>(count));
  }
  return checked(ground, std::move(next));
}

Result<Strategy> set_schedule(const Ground& ground, const Strategy& strategy, ScheduleKind kind) {
  Strategy next = strategy;
  next.schedule = kind;
  next.schedule_lines.clear();
  return checked(ground, std::move(next));
}

Result<Strategy> move_action(const Ground& ground, const Strategy& strategy, std::int32_t rank,
                             std::size_t from, std::size_t to) {
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  SOAPSTONE_ASSIGN(const Pipeline pipeline, pipeline_of(*micro, strategy, true));
  SOAPSTONE_ASSIGN(
      const PipelineSchedule named,
      make_schedule(strategy.schedule, pipeline.rank_of_stage, strategy.micro_batches));
  PipelineSchedule schedule = named;
  if (!strategy.schedule_lines.empty()) {
    SOAPSTONE_ASSIGN(schedule, parse_schedule(strategy.schedule_lines));
  }
  const auto r = static_cast<std::size_t>(rank);
  if (rank < 0 || r >= schedule.size() || from >= schedule[r].size() || to >= schedule[r].size())
    return refuse("rank {} has {} actions, from 0 on", rank,
                  r < schedule.size() ? schedule[r].size() : 0);
  const PipelineAction action = schedule[r][from];
  schedule[r].erase(schedule[r].begin() + static_cast<std::ptrdiff_t>(from));
  schedule[r].insert(schedule[r].begin() + static_cast<std::ptrdiff_t>(to), action);
  Strategy next = strategy;
  next.schedule_lines = schedule == named ? std::vector<std::string>{} : schedule_lines(schedule);
  return checked(ground, std::move(next));
}

Result<Strategy> set_micro_batches(const Ground& ground, const Strategy& strategy,
                                   std::int32_t count) {
  if (count < 1 || ground.graph().batch() % count != 0)
    return refuse("micro_batches = {}: the batch of {} must be a multiple of it", count,
                  ground.graph().batch());
  if (!strategy.schedule_lines.empty() && count != strategy.micro_batches)
    return refuse("the schedule of its own is for {} micro-batches: choose a named schedule first",
                  strategy.micro_batches);
  Strategy next = strategy;
  next.micro_batches = count;
  return checked(ground, std::move(next));
}

Result<Strategy> set_bucket(const Ground& ground, const Strategy& strategy, Bytes bucket) {
  Strategy next = strategy;
  next.bucket = bucket;
  return checked(ground, std::move(next));
}

Result<Strategy> set_recompute(const Ground& ground, const Strategy& strategy,
                               search::Recompute how) {
  Strategy next = strategy;
  search::mark_recompute(ground.graph(), how, next);
  return checked(ground, std::move(next));
}

namespace {

// Without the name of an option of the command line.
Error without_option(Error error) {
  constexpr std::string_view kOption = "--parallel: ";
  if (error.message.starts_with(kOption)) error.message.erase(0, kOption.size());
  return error;
}

}  // namespace

Result<Strategy> from_short_form(const Ground& ground, std::string_view text) {
  const auto wanted = search::parse_parallelism(text);
  if (!wanted) return tl::unexpected(without_option(wanted.error()));
  auto strategy = search::hybrid(ground.graph(), ground.cluster(), *wanted);
  if (!strategy) return tl::unexpected(without_option(strategy.error()));
  return checked(ground, std::move(*strategy));
}

std::string short_form_error(std::string_view text) {
  const auto wanted = search::parse_parallelism(text);
  return wanted ? std::string() : without_option(wanted.error()).message;
}

// --- doing it -----------------------------------------------------------------------------------

Status apply(Session& session, const std::string& what, Result<Strategy> next,
             const std::string& key) {
  Status done = next ? session.edit(
                           what,
                           [&](Strategy& s) -> Status {
                             s = *next;
                             return {};
                           },
                           key)
                     : Status(tl::unexpected(next.error()));
  if (!done) session.complain(done.error().message);
  return done;
}

std::string names_of(const Graph& graph, const OpSet& ops) {
  if (ops.empty()) return "nothing";
  const std::string& first = graph.ops()[*ops.begin()].name;
  if (ops.size() == 1) return first;
  if (ops.size() == 2) return first + " and " + graph.ops()[*ops.rbegin()].name;
  return fmt::format("{} operators", ops.size());
}

}  // namespace soapstone::explorer
