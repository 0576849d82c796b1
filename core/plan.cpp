#include "core/plan.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>

namespace soapstone::core {

namespace {

bool uses_own_buffer(Pattern p) { return p == Pattern::kAllReduce || p == Pattern::kBroadcast; }

}  // namespace

Transfer transfer_of(const ReshardGroup& group, const Layout& from, const Layout& to, DType dtype,
                     const DimOrder& order) {
  SOAPSTONE_ASSERT(group.pattern != Pattern::kNone, "nothing moves in this group");
  Transfer t;
  t.pattern = group.pattern;
  t.root = group.root;
  t.sum = group.sum;
  t.dtype = dtype;
  t.order = order;
  std::unordered_map<std::uint32_t, std::uint32_t> member_of;
  const Box nothing(from.parts.size(), Interval{});
  std::vector<bool> gives(group.members.size(), false);
  for (std::uint32_t k = 0; k < group.members.size(); ++k) member_of[group.members[k].value] = k;
  for (const BoxMove& move : group.moves) gives[member_of.at(from.devices[move.src].value)] = true;
  for (std::uint32_t k = 0; k < group.members.size(); ++k) {
    const DeviceId d = group.members[k];
    const auto src = from.shard_on(d), dst = to.shard_on(d);
    t.members.push_back({d,
                         src >= 0 && gives[k] ? from.box(static_cast<std::size_t>(src)) : nothing,
                         dst >= 0 ? to.box(static_cast<std::size_t>(dst)) : nothing});
  }
  if (group.pattern == Pattern::kBoxes) {
    for (const BoxMove& move : group.moves)
      t.messages.push_back({member_of.at(from.devices[move.src].value),
                            member_of.at(to.devices[move.dst].value), move.box});
    return t;
  }
  Bytes total;
  for (const auto& member : t.members)
    total =
        std::max(total, size_of(dtype) * std::max(elements(member.held), elements(member.wanted)));
  t.algorithm = default_algorithm(t.pattern, static_cast<std::uint32_t>(t.members.size()), total);
  return t;
}

Collective collective_of(const Transfer& t) {
  SOAPSTONE_ASSERT(t.pattern != Pattern::kBoxes && t.pattern != Pattern::kNone,
                   "{} has no schedule", name_of(t.pattern));
  Collective c{t.pattern, t.algorithm, static_cast<std::uint32_t>(t.members.size()), t.root, {}};
  switch (t.pattern) {
    case Pattern::kAllReduce:
    case Pattern::kBroadcast:
      c.counts = even_counts(elements(t.members[t.root].held), c.members);
      break;
    case Pattern::kAllGather:
      for (const auto& m : t.members) c.counts.push_back(elements(m.held));
      break;
    case Pattern::kReduceScatter:
      for (const auto& m : t.members) c.counts.push_back(elements(m.wanted));
      break;
    case Pattern::kAllToAll:
      for (const auto& src : t.members)
        for (const auto& dst : t.members)
          c.counts.push_back(elements(intersect(src.held, dst.wanted)));
      break;
    case Pattern::kNone:
    case Pattern::kBoxes:
      break;
  }
  return c;
}

Bytes staging_bytes(const Transfer& t, std::uint32_t member) {
  std::int64_t count = 0;
  if (t.pattern == Pattern::kBoxes) {
    for (const Message& m : t.messages)
      if (m.src != m.dst && (m.src == member || m.dst == member)) count += elements(m.box);
    return size_of(t.dtype) * count;
  }
  const Collective c = collective_of(t);
  std::int64_t scratch = 0;
  for (const auto& step : make_steps(c, member))
    if (step.reduce) scratch = std::max(scratch, step.receive.extent());
  if (t.pattern == Pattern::kAllToAll) {
    for (std::uint32_t k = 0; k < c.members; ++k)
      count += c.counts[member * c.members + k] + c.counts[k * c.members + member];
  } else if (!uses_own_buffer(t.pattern)) {
    count = std::accumulate(c.counts.begin(), c.counts.end(), std::int64_t{0});
  }
  return size_of(t.dtype) * (count + scratch);
}

Bytes bytes_sent(const Transfer& t, std::uint32_t member) {
  std::int64_t count = 0;
  if (t.pattern == Pattern::kBoxes) {
    for (const Message& m : t.messages)
      if (m.src == member && m.dst != member) count += elements(m.box);
  } else {
    for (const auto& step : make_steps(collective_of(t), member)) count += step.send.extent();
  }
  return size_of(t.dtype) * count;
}

PlanPlace place_of(const Plan& plan, DeviceId device) {
  for (std::uint32_t c = 0; c < plan.classes.size(); ++c)
    for (std::uint32_t m = 0; m < plan.classes[c].members.size(); ++m)
      if (plan.classes[c].members[m] == device) return {c, m};
  return {};
}

RowUses row_uses(const Plan& plan, const DeviceClass& program, const Task& t) {
  const bool updates = t.kind == TaskKind::kUpdateRows;
  SOAPSTONE_ASSERT(updates || t.kind == TaskKind::kNormRows, "{} has no rows", name_of(t.kind));
  auto rest = program.uses_of(t);
  RowUses out;
  if (updates) {
    out.states = rest.subspan(1, plan.table_states);
    rest = rest.subspan(1 + plan.table_states);
  }
  out.pairs = rest.first(std::size_t{2} * plan.micro_batches);
  if (rest.size() > out.pairs.size()) out.scalar = rest.back().buffer;
  return out;
}

RowWork row_work(const Graph& graph, const Plan& plan, const DeviceClass& program, const Task& t,
                 std::size_t member) {
  const OpDefinition& definition = graph.ops()[t.op].definition;
  const Step& step = definition.steps[t.step];
  const Operand& table = definition.operands[step.writes[0].operand];
  const Box box = operand_box(table, plan.shards[plan.entry(t, member)].axes);
  const RowUses uses = row_uses(plan, program, t);
  RowWork work;
  std::int64_t positions = 0;
  Bytes row;  // of dy
  for (std::size_t k = 0; k < uses.pairs.size(); k += 2) {
    const Buffer& ids = program.buffers[uses.pairs[k].buffer];
    positions += ids.size.value / size_of(ids.dtype).value;
    row = size_of(program.buffers[uses.pairs[k + 1].buffer].dtype) * box[1].extent();
    work.bytes += ids.size;
  }
  const std::int64_t all = table.desc.shape[0];
  work.rows = (positions * box[0].extent() + all - 1) / all;
  work.features = box[1].extent();
  work.bytes += row * work.rows;
  if (t.kind == TaskKind::kUpdateRows)
    work.bytes += size_of(table.desc.dtype) * work.features * work.rows *
                  (2 * (1 + static_cast<std::int64_t>(uses.states.size())));
  return work;
}

std::string task_label(const Graph& graph, const Plan& plan, const DeviceClass& program,
                       const Task& t) {
  const auto tensor_name = [&] {
    return t.tensor == kNoIndex ? std::string("gradient norm") : graph.tensors()[t.tensor].name;
  };
  switch (t.kind) {
    case TaskKind::kLoad:
      return tensor_name() + " load";
    case TaskKind::kCompute: {
      const OpNode& node = graph.ops()[t.op];
      return node.name + " " + node.definition.steps[t.step].name;
    }
    case TaskKind::kTransfer: {
      const Transfer& transfer = plan.transfers[plan.entry(t, 0)];
      std::string what;
      const std::uint32_t held = program.uses_of(t)[0].buffer;
      if (t.tensor == kNoIndex && held != kNoIndex &&
          program.buffers[held].kind == BufferKind::kWeightGradient)
        what = fmt::format("bucket of {} gradients",
                           std::count_if(program.buffers.begin(), program.buffers.end(),
                                         [&](const Buffer& b) { return b.inside == held; }));
      else if (t.tensor == kNoIndex)
        what = t.op == kNoIndex ? "gradient norm" : graph.ops()[t.op].name + " internal";
      else
        what = tensor_name() + (moves_gradient(t) ? " gradient" : "");
      const bool local = transfer.members.size() == 1;
      return what + " " + (local ? "copy" : std::string(name_of(transfer.pattern)));
    }
    case TaskKind::kAccumulate:
      return (t.tensor == kNoIndex ? graph.ops()[t.op].name + " internal"
                                   : tensor_name() + " gradient") +
             " accumulate";
    case TaskKind::kNorm:
      return "gradient norm";
    case TaskKind::kUpdate:
      return tensor_name() + " update";
    case TaskKind::kNormRows:
      return tensor_name() + " norm of rows";
    case TaskKind::kUpdateRows:
      return tensor_name() + " update of rows";
    case TaskKind::kHostCopy: {
      const bool leaves = program.buffers[program.uses_of(t)[1].buffer].memory == Memory::kHost;
      const std::string what =
          t.tensor != kNoIndex ? tensor_name() : graph.ops()[t.op].name + " internal";
      return what + (leaves ? " to host" : " from host");
    }
  }
  SOAPSTONE_ASSERT(false, "task kind of {}", program.members[0].value);
}

namespace {

Status check_transfer(const Transfer& t, std::size_t index, std::uint32_t device_count) {
  const auto bad = [&](std::string what) { return usage_error("transfer {}: {}", index, what); };
  if (t.members.empty()) return bad("has no members");
  if (t.pattern == Pattern::kNone)
    return bad("a transfer of pattern none moves nothing: leave it out");
  for (const auto& m : t.members) {
    if (m.device.value >= device_count)
      return bad(fmt::format("device {} of {}", print(m.device), device_count));
    if (m.held.size() != m.wanted.size() || m.held.size() != t.members[0].held.size())
      return bad(fmt::format("boxes {} and {} of device {} have other ranks", print(m.held),
                             print(m.wanted), m.device.value));
    if (!t.order.empty() && t.order.size() != m.held.size())
      return bad(fmt::format("order {} of boxes {}", print(t.order), print(m.held)));
  }
  if (t.root >= t.members.size())
    return bad(fmt::format("root {} of {} members", t.root, t.members.size()));
  if (t.pattern != Pattern::kBoxes) {
    if (!t.messages.empty()) return bad(fmt::format("{} lists messages", name_of(t.pattern)));
    if (const auto reason = why_not(t.pattern, t.algorithm); !reason.empty())
      return bad(std::string(reason));
  }
  for (const Message& m : t.messages) {
    if (m.src >= t.members.size() || m.dst >= t.members.size())
      return bad(
          fmt::format("a message from {} to {} of {} members", m.src, m.dst, t.members.size()));
    if (m.box.size() != t.members[0].held.size() || !contains(t.members[m.src].held, m.box) ||
        !contains(t.members[m.dst].wanted, m.box))
      return bad(fmt::format("message {} is not in what member {} holds and member {} wants",
                             print(m.box), m.src, m.dst));
  }
  return {};
}

// How many uses a task of this kind has, least and most.
std::pair<std::size_t, std::size_t> use_counts(const Graph& graph, const Plan& plan,
                                               const Task& t) {
  switch (t.kind) {
    case TaskKind::kLoad:
      return {1, 1};
    case TaskKind::kCompute: {
      const Step& step = graph.ops()[t.op].definition.steps[t.step];
      return {step.reads.size() + step.writes.size(), step.reads.size() + step.writes.size()};
    }
    case TaskKind::kTransfer:
      return {3, 3};
    case TaskKind::kAccumulate:
      return {2, 2};
    case TaskKind::kNorm:
      return {1, kNoIndex};
    case TaskKind::kUpdate: {
      const bool is_table =
          t.tensor < graph.tensors().size() && table_of(graph, TensorId(t.tensor));
      const std::size_t states = is_table ? plan.table_states : plan.optimizer_states;
      return {2 + states, 3 + states};
    }
    case TaskKind::kHostCopy:
      return {2, 2};
    case TaskKind::kNormRows:
      return {2 * plan.micro_batches + 1, 2 * plan.micro_batches + 1};
    case TaskKind::kUpdateRows:
      return {1 + plan.table_states + 2 * plan.micro_batches,
              2 + plan.table_states + 2 * plan.micro_batches};
  }
  return {0, 0};
}

}  // namespace

Status check(const Graph& graph, const Plan& plan) {
  if (plan.graph_hash != graph.hash())
    return usage_error("the plan was made for graph {} ({}), this is {} ({})", plan.graph,
                       hex(plan.graph_hash), graph.name(), hex(graph.hash()));
  if (plan.micro_batches < 1)
    return usage_error("micro_batches = {}: must be at least 1", plan.micro_batches);
  for (std::size_t i = 0; i < plan.shards.size(); ++i) {
    const Shard& s = plan.shards[i];
    if (s.op >= graph.ops().size())
      return usage_error("shard {}: operator {} of {}", i, s.op, graph.ops().size());
    const std::size_t axes = graph.ops()[s.op].definition.axes.size();
    if (s.axes.size() != axes)
      return usage_error("shard {}: {} axes, {} has {}", i, s.axes.size(), graph.ops()[s.op].name,
                         axes);
    if (s.candidate >= plan.candidates.size())
      return usage_error("shard {}: candidate {} of {}", i, s.candidate, plan.candidates.size());
  }
  for (std::size_t i = 0; i < plan.transfers.size(); ++i)
    SOAPSTONE_TRY(check_transfer(plan.transfers[i], i, plan.device_count));
  std::vector<bool> device_seen(plan.device_count, false);
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<DeviceId>>
      transfer_parts;  // (transfer, order)
  for (std::size_t c = 0; c < plan.classes.size(); ++c) {
    const DeviceClass& p = plan.classes[c];
    const auto bad = [&](std::size_t task, std::string what) {
      return usage_error("class {} task {}: {}", c, task, what);
    };
    if (p.members.empty()) return usage_error("class {} has no members", c);
    for (const DeviceId d : p.members) {
      if (d.value >= plan.device_count)
        return usage_error("class {}: device {} of {}", c, d.value, plan.device_count);
      if (device_seen[d.value]) return usage_error("device {} is in two classes", d.value);
      device_seen[d.value] = true;
    }
    std::vector<bool> written(p.buffers.size(), false);
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      const Buffer& buffer = p.buffers[b];
      const auto bad_buffer = [&](std::string what) {
        return usage_error("class {} buffer {}: {}", c, b, what);
      };
      if (buffer.tensor != kNoIndex && buffer.tensor >= graph.tensors().size())
        return bad_buffer(fmt::format("tensor {} of {}", buffer.tensor, graph.tensors().size()));
      const bool is_kept =
          buffer.kind == BufferKind::kWeight || buffer.kind == BufferKind::kOptimizerState;
      if (is_kept &&
          (buffer.tensor == kNoIndex || graph.tensors()[buffer.tensor].role != TensorRole::kWeight))
        return bad_buffer(fmt::format("{} of no weight", name_of(buffer.kind)));
      if (!buffer.box.empty() && buffer.size != size_of(buffer.dtype) * elements(buffer.box))
        return bad_buffer(fmt::format("{} bytes for {} elements of {}", buffer.size.value,
                                      elements(buffer.box), name_of(buffer.dtype)));
      if (buffer.inside != kNoIndex &&
          (buffer.inside >= p.buffers.size() || p.buffers[buffer.inside].inside != kNoIndex ||
           p.buffers[buffer.inside].memory != buffer.memory || buffer.at.value < 0 ||
           buffer.at + buffer.size > p.buffers[buffer.inside].size))
        return bad_buffer(fmt::format("is no part of buffer {}", buffer.inside));
      const Bytes arena = buffer.memory == Memory::kHost ? p.host_arena : p.arena;
      if (p.arena.value >= 0 && (buffer.offset.value < 0 || buffer.offset + buffer.size > arena))
        return bad_buffer(fmt::format("bytes {} to {} of an arena of {}", buffer.offset.value,
                                      (buffer.offset + buffer.size).value, arena.value));
      written[b] = is_kept;
    }
    for (std::uint32_t i = 0; i < p.tasks.size(); ++i) {
      const Task& t = p.tasks[i];
      if (i > 0 && t.order < p.tasks[i - 1].order)
        return bad(i, "comes before an earlier task in the total order");
      if (std::uint64_t{t.first_use} + t.use_count > p.uses.size())
        return bad(i, "uses are out of range");
      if (std::uint64_t{t.first_dependency} + t.dependency_count > p.dependencies.size())
        return bad(i, "dependencies are out of range");
      for (const auto d : p.dependencies_of(t))
        if (d >= i) return bad(i, fmt::format("depends on task {}, which is not earlier", d));
      const bool is_of_rows = t.kind == TaskKind::kNormRows || t.kind == TaskKind::kUpdateRows;
      if ((t.kind == TaskKind::kCompute || is_of_rows) &&
          (t.op >= graph.ops().size() || t.step >= graph.ops()[t.op].definition.steps.size()))
        return bad(i, fmt::format("computes step {} of operator {}", t.step, t.op));
      if (t.op != kNoIndex && t.op >= graph.ops().size())
        return bad(i, fmt::format("operator {} of {}", t.op, graph.ops().size()));
      // Sums of an operator's own values name the operator alone.
      const bool names_tensor = t.kind == TaskKind::kLoad ||
                                (t.kind == TaskKind::kAccumulate && t.op == kNoIndex) ||
                                t.kind == TaskKind::kUpdate || is_of_rows;
      if ((t.tensor != kNoIndex || names_tensor) && t.tensor >= graph.tensors().size())
        return bad(i, fmt::format("tensor {} of {}", t.tensor, graph.tensors().size()));
      if (is_of_rows && graph.ops()[t.op].definition.steps[t.step].rows == RowGradient::kNone)
        return bad(
            i, fmt::format("{} of step {}, whose gradient does not come as rows", name_of(t.kind),
                           graph.ops()[t.op].definition.steps[t.step].name));
      if (t.micro_batch >= plan.micro_batches)
        return bad(i, fmt::format("micro-batch {} of {}", t.micro_batch, plan.micro_batches));
      const auto [least, most] = use_counts(graph, plan, t);
      if (t.use_count < least || t.use_count > most)
        return bad(i, fmt::format("{} uses {} buffers: {} to {} are accepted", name_of(t.kind),
                                  t.use_count, least, most));
      for (const BufferUse& use : p.uses_of(t)) {
        // An operand that this part does not have, or nothing held, wanted or staged.
        const bool may_be_none = t.kind == TaskKind::kCompute || t.kind == TaskKind::kTransfer;
        if (use.buffer == kNoIndex && !may_be_none)
          return bad(i, fmt::format("{} without a buffer", name_of(t.kind)));
        if (use.buffer == kNoIndex) continue;
        if (use.buffer >= p.buffers.size())
          return bad(i, fmt::format("uses buffer {} of {}", use.buffer, p.buffers.size()));
        if (use.access != UseAccess::kWrite && !written[use.buffer])
          return bad(i, fmt::format("reads buffer {} before it is written", use.buffer));
      }
      for (const BufferUse& use : p.uses_of(t)) {
        if (use.buffer == kNoIndex || use.access == UseAccess::kRead) continue;
        written[use.buffer] = true;
        if (p.buffers[use.buffer].inside != kNoIndex) written[p.buffers[use.buffer].inside] = true;
      }
      if (t.kind == TaskKind::kCompute || t.kind == TaskKind::kTransfer || is_of_rows) {
        if (std::uint64_t{t.row} + p.members.size() > plan.member_table.size())
          return bad(i, "member table row is out of range");
        const std::size_t limit =
            t.kind == TaskKind::kTransfer ? plan.transfers.size() : plan.shards.size();
        for (std::size_t m = 0; m < p.members.size(); ++m) {
          const std::uint32_t e = plan.entry(t, m);
          if (e >= limit) return bad(i, fmt::format("member table entry {} of {}", e, limit));
          if (t.kind == TaskKind::kTransfer) transfer_parts[{e, t.order}].push_back(p.members[m]);
          if (t.kind != TaskKind::kTransfer && plan.shards[e].op != t.op)
            return bad(i, fmt::format("computes operator {} on a shard of operator {}", t.op,
                                      plan.shards[e].op));
        }
      }
    }
  }
  for (auto& [key, devices] : transfer_parts) {
    std::vector<DeviceId> expected;
    for (const auto& m : plan.transfers[key.first].members) expected.push_back(m.device);
    std::sort(expected.begin(), expected.end());
    std::sort(devices.begin(), devices.end());
    if (devices != expected)
      return usage_error("transfer {} at order {}: devices {} take part, its members are {}",
                         key.first, key.second, print(devices), print(expected));
  }
  return {};
}

}  // namespace soapstone::core
