#include "explorer_gui/model/inspection.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/core.h>

#include "core/derive.hpp"
#include "core/placement.hpp"
#include "core/units.hpp"

namespace soapstone::explorer {

using namespace core;

// --- from the strategy alone --------------------------------------------------------------------

namespace {

std::string meaning(const OpDefinition& def, int axis) {
  const Axis& a = def.axes[static_cast<std::size_t>(axis)];
  if (a.coupling == Coupling::kUnsplittable) return "It stays whole.";
  std::string out;
  switch (a.role) {
    case AxisRole::kSample:
      out = "Every part has samples of its own and a copy of the weights; gradients are summed.";
      break;
    case AxisRole::kAttribute:
      out = "Every part has a piece of each sample and a copy of the weights.";
      break;
    case AxisRole::kParameter:
      out = "Every part has weights of its own.";
      break;
    case AxisRole::kReduction:
      out = "Every part sums over its own indices: what it makes is a partial sum.";
      break;
  }
  if (a.coupling == Coupling::kHalo) out += " Neighbours read overlapping windows.";
  if (a.coupling == Coupling::kAllReduce) out += " Parts exchange sums between two steps.";
  if (def.rounds.along == axis) out += " It can be computed in a ring.";
  return out;
}

std::string plural(std::int64_t n, const std::string& what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

OperandCut cut_of(const OpDefinition& def, const Operand& operand, Layout layout) {
  OperandCut out;
  out.name = operand.name;
  out.role = operand.role;
  out.desc = operand.desc;
  out.whole = bytes_of(operand.desc);
  out.partials = layout.partials;
  out.copies = layout.replicas;
  for (std::size_t shard = 0; shard < layout.size(); ++shard) {
    if (layout.replica(shard) == 0) {
      out.boxes.push_back({layout.box(shard), layout.partial(shard), {}});
      out.largest =
          std::max(out.largest, size_of(operand.desc.dtype) * elements(out.boxes.back().box));
    }
    out.boxes.back().devices.push_back(layout.devices[shard]);
  }
  const auto say = [&](const std::string& text) {
    out.told += (out.told.empty() ? "" : ", ") + text;
  };
  for (std::size_t d = 0; d < layout.parts.size(); ++d) {
    if (layout.parts[d].size() < 2) continue;
    const int axis = operand.dims[d].axis;
    const std::string name =
        axis < 0 ? fmt::format("dimension {}", d) : def.axes[static_cast<std::size_t>(axis)].name;
    bool overlaps = false;
    for (std::size_t p = 1; p < layout.parts[d].size(); ++p)
      overlaps |= layout.parts[d][p].begin < layout.parts[d][p - 1].end;
    say(fmt::format("{} along {}{}", plural(std::int64_t(layout.parts[d].size()), "part"), name,
                    !overlaps                         ? ""
                    : layout.overlap == Overlap::kSum ? " whose overlaps add up"
                                                      : " that overlap"));
  }
  if (out.partials > 1) say(fmt::format("a sum of {} partial results", out.partials));
  if (out.copies > 1) say(fmt::format("{} equal copies", out.copies));
  if (out.told.empty()) out.told = "whole on one device";
  out.layout = std::move(layout);
  return out;
}

const Step* writer_of(const OpDefinition& def, const OpStrategy& s, Ref ref) {
  const AxisSet split = split_axes(def, s);
  for (const Step& step : def.steps)
    if (step_is_used(step, split) &&
        std::find(step.writes.begin(), step.writes.end(), ref) != step.writes.end())
      return &step;
  return nullptr;
}

}  // namespace

Result<Inspection> inspect(const Ground& ground, const Strategy& strategy, std::uint32_t op) {
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  const OpNode& node = micro->ops()[op];
  const OpDefinition& def = node.definition;
  const OpStrategy& s = strategy.ops[op];
  Inspection out;
  out.op = op;
  out.name = node.name;
  out.kind = std::string(node.op.name());
  out.attributes = print(node.op);
  out.strategy = s;
  for (std::size_t a = 0; a < def.axes.size(); ++a) {
    const Axis& axis = def.axes[a];
    out.axes.push_back({static_cast<int>(a), axis.name, axis.role, axis.coupling, axis.extent,
                        axis.granularity, s.degrees[a],
                        part_of(axis.extent, axis.granularity, s.degrees[a], 0).extent(),
                        meaning(def, static_cast<int>(a))});
  }
  for (std::size_t i = 0; i < s.devices.size(); ++i) {
    PartRow row{s.devices[i], coordinates(s, i), axis_intervals(def, s, i), 0};
    row.replica = row.part.back();
    row.part.pop_back();
    out.parts.push_back(std::move(row));
  }
  for (std::size_t k = 0; k < def.operands.size(); ++k) {
    const Operand& operand = def.operands[k];
    const auto add = [&](bool gradient) {
      const Ref ref{static_cast<std::uint16_t>(k), gradient};
      const Step* const writer = writer_of(def, s, ref);
      const bool is_made = gradient || operand.role == OperandRole::kOutput ||
                           operand.role == OperandRole::kInternal;
      if (is_made && !writer) return;
      OperandCut cut = cut_of(
          def, operand,
          is_made ? operand_layout(def, static_cast<int>(k), s, Access::kWritten, writer->reduces)
                  : operand_layout(def, static_cast<int>(k), s, Access::kRead));
      cut.is_gradient = gradient;
      if (node.tensors[k].valid()) cut.tensor = micro->tensor(node.tensors[k]).name;
      out.operands.push_back(std::move(cut));
    };
    add(false);
    if (!operand.differentiable || !node.tensors[k].valid()) continue;
    if (operand.role == OperandRole::kOutput) continue;  // read as the value is made whole
    if (micro->tensor(node.tensors[k]).needs_gradient) add(true);
    if (operand.role == OperandRole::kWeight) {
      out.has_weights |= micro->tensor(node.tensors[k]).needs_gradient;
      out.weight_copies = std::max(
          out.weight_copies, operand_layout(def, static_cast<int>(k), s, Access::kRead).replicas);
    }
  }
  out.has_rounds = def.rounds.along >= 0;
  if (!out.has_rounds)
    out.why_no_rounds = def.rounds.why_not.empty()
                            ? std::string(node.op.name()) + " is not computed in rounds"
                            : def.rounds.why_not;
  for (const TensorId t : node.tensors)
    if (t.valid() && micro->is_reported(t))
      out.why_no_recompute = micro->tensor(t).name + " is a result: it is kept to the end";
  return out;
}

namespace {

constexpr std::size_t kMostChoices = 20;

}  // namespace

std::vector<DegreeChoice> degree_choices(const Ground& ground, const Strategy& strategy,
                                         std::uint32_t op, int axis) {
  const auto micro = ground.micro(strategy);
  if (!micro) return {};
  const Axis& a = (*micro)->ops()[op].definition.axes[static_cast<std::size_t>(axis)];
  const std::int32_t now = strategy.ops[op].degrees[static_cast<std::size_t>(axis)];
  const std::int64_t granules = std::max<std::int64_t>(1, a.extent / a.granularity);
  const auto reach = devices_within_reach(ground, strategy, op);
  std::set<std::int32_t> wanted{1, 2, now};
  const auto most =
      static_cast<std::int32_t>(std::min<std::int64_t>(granules, 2 * std::int64_t(reach.size())));
  for (std::int32_t d = 1; d <= most; ++d)
    if (granules % d == 0) wanted.insert(d);
  for (std::int32_t d = 1; d <= 2 * most; d *= 2) wanted.insert(d);
  std::vector<DegreeChoice> out;
  std::size_t refused = 0;
  for (const std::int32_t d : wanted) {
    DegreeChoice choice{d, granules % d == 0, {}};
    if (d != now) {
      const auto next = with_degree(ground, strategy, op, axis, d, reach);
      if (!next) choice.why_not = next.error().message;
    }
    // What lies beyond the first refusals is refused for the same reasons.
    if (!choice.why_not.empty() && ++refused > 2) continue;
    if (out.size() < kMostChoices) out.push_back(std::move(choice));
  }
  return out;
}

std::vector<DegreeChoice> replica_choices(const Ground& ground, const Strategy& strategy,
                                          std::uint32_t op) {
  const auto reach = devices_within_reach(ground, strategy, op);
  const std::int32_t now = strategy.ops[op].replicas;
  std::set<std::int32_t> wanted{1, 2, now};
  for (std::int32_t d = 1; d <= 2 * static_cast<std::int32_t>(reach.size()); d *= 2)
    wanted.insert(d);
  std::vector<DegreeChoice> out;
  std::size_t refused = 0;
  for (const std::int32_t d : wanted) {
    DegreeChoice choice{d, true, {}};
    if (d != now) {
      const auto next = with_replicas(ground, strategy, op, d, reach);
      if (!next) choice.why_not = next.error().message;
    }
    if (!choice.why_not.empty() && ++refused > 2) continue;
    out.push_back(std::move(choice));
  }
  return out;
}

std::vector<DegreeChoice> zero_choices(const Inspection& op) {
  std::vector<DegreeChoice> out;
  for (std::int32_t z = 0; z <= 3; ++z)
    out.push_back(
        {z, true, z > 0 && !op.has_weights ? op.name + " has no weights to train" : std::string()});
  return out;
}

std::vector<DegreeChoice> zero_over_choices(const Inspection& op) {
  std::vector<DegreeChoice> out;
  for (std::int32_t n = 0; n <= op.weight_copies; ++n) {
    const bool divides = n == 0 || op.weight_copies % n == 0;
    if (!divides && n > 4) continue;
    std::string why_not;
    if (op.strategy.zero == 0 && n > 0)
      why_not = "zero is 0: nothing of the weights is spread";
    else if (!divides)
      why_not = fmt::format("{} has {} copies of its weights, which {} does not divide", op.name,
                            op.weight_copies, n);
    out.push_back({n, true, std::move(why_not)});
    if (out.size() >= kMostChoices) break;
  }
  return out;
}

std::vector<CommonAxis> common_axes(const Graph& graph, const Strategy& strategy,
                                    const OpSet& ops) {
  std::vector<CommonAxis> out;
  for (const std::uint32_t op : ops) {
    const auto& axes = graph.ops()[op].definition.axes;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const auto known = std::find_if(out.begin(), out.end(),
                                      [&](const CommonAxis& c) { return c.name == axes[a].name; });
      const std::int32_t degree = strategy.ops[op].degrees[a];
      if (known == out.end()) {
        out.push_back({axes[a].name, axes[a].role, 1, degree, op, static_cast<int>(a)});
        continue;
      }
      ++known->ops;
      if (known->degree != degree) known->degree.reset();
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const CommonAxis& a, const CommonAxis& b) { return a.ops > b.ops; });
  return out;
}

std::vector<DegreeChoice> degree_choices(const Ground& ground, const Strategy& strategy,
                                         const OpSet& ops, const CommonAxis& axis) {
  std::vector<DegreeChoice> out = degree_choices(ground, strategy, axis.first, axis.axis);
  for (const std::uint32_t op : ops) {
    if (op == axis.first) continue;
    const auto& axes = ground.graph().ops()[op].definition.axes;
    const auto a = std::find_if(axes.begin(), axes.end(),
                                [&](const Axis& other) { return other.name == axis.name; });
    if (a == axes.end()) continue;
    const auto reach = devices_within_reach(ground, strategy, op);
    for (DegreeChoice& choice : out) {
      if (!choice.why_not.empty()) continue;
      const auto next = with_degree(ground, strategy, op, static_cast<int>(a - axes.begin()),
                                    choice.degree, reach);
      if (!next) choice.why_not = next.error().message;
    }
  }
  return out;
}

// --- drawings -----------------------------------------------------------------------------------

DeviceGrid device_grid(const Cluster& cluster, double width, double most_height, double largest,
                       double smallest) {
  constexpr double kGap = 0.5;  // between nodes, in cells
  DeviceGrid out;
  const auto lay_out = [&](double cell) {
    out.cell = cell;
    out.cells.clear();
    double x = 0, y = 0;
    std::uint32_t d = 0;
    while (d < cluster.size()) {
      std::uint32_t end = d;
      while (end < cluster.size() && cluster.same_node(DeviceId(d), DeviceId(end))) ++end;
      // A node that does not fit behind the others begins a row; a longer one is broken.
      if (x > 0 && x + (end - d) * cell > width) x = 0, y += cell * (1 + kGap / 2);
      for (; d < end; ++d) {
        if (x > 0 && x + cell > width) x = 0, y += cell;
        out.cells.push_back({DeviceId(d), x, y});
        x += cell;
      }
      x += kGap * cell;
    }
    out.height = y + cell;
  };
  for (double cell = largest;; cell *= 0.85) {
    lay_out(std::max(cell, smallest));
    if (out.height <= most_height || cell <= smallest) return out;
  }
}

std::optional<DeviceId> DeviceGrid::at(double x, double y) const {
  for (const DeviceCell& c : cells)
    if (x >= c.x && x < c.x + cell && y >= c.y && y < c.y + cell) return c.device;
  return std::nullopt;
}

DrawnOperand drawn(const OperandCut& operand) {
  DrawnOperand out;
  const auto& parts = operand.layout.parts;
  std::vector<int> dims(parts.size());
  std::iota(dims.begin(), dims.end(), 0);
  std::stable_sort(dims.begin(), dims.end(), [&](int a, int b) {
    return parts[static_cast<std::size_t>(a)].size() > parts[static_cast<std::size_t>(b)].size();
  });
  dims.resize(std::min<std::size_t>(2, dims.size()));
  std::sort(dims.begin(), dims.end());  // rows before columns
  if (!dims.empty()) out.down = dims[0];
  if (dims.size() > 1) out.along = dims[1];
  std::map<std::pair<Interval, Interval>, std::size_t> known;
  const auto range = [&](const Box& box, int dim) {
    return dim < 0 ? Interval{0, 1} : box[static_cast<std::size_t>(dim)];
  };
  const auto share = [&](std::int64_t i, int dim) {
    const std::int64_t extent = dim < 0 ? 1 : operand.desc.shape[static_cast<std::size_t>(dim)];
    return extent == 0 ? 0.0 : static_cast<double>(i) / static_cast<double>(extent);
  };
  for (std::size_t b = 0; b < operand.boxes.size(); ++b) {
    const Interval down = range(operand.boxes[b].box, out.down),
                   along = range(operand.boxes[b].box, out.along);
    const auto [it, is_new] = known.emplace(std::pair(down, along), out.boxes.size());
    if (is_new)
      out.boxes.push_back({share(along.begin, out.along),
                           share(down.begin, out.down),
                           share(along.end, out.along),
                           share(down.end, out.down),
                           {}});
    out.boxes[it->second].boxes.push_back(b);
  }
  return out;
}

StageStrip stage_strip(const Strategy& strategy, std::span<const Nanoseconds> time_of_op) {
  StageStrip out;
  const std::size_t ops = strategy.ops.size();
  const bool timed = time_of_op.size() == ops;
  // Even what takes no time can be seen and met.
  double all = 0;
  for (std::size_t op = 0; op < ops; ++op)
    all += timed ? static_cast<double>(time_of_op[op].value) : 1;
  const double least = all > 0 ? 0.25 * all / static_cast<double>(ops) : 1;
  out.begin.push_back(0);
  for (std::size_t op = 0; op < ops; ++op)
    out.begin.push_back(out.begin.back() + least +
                        (timed ? static_cast<double>(time_of_op[op].value) : 1));
  const double width = out.begin.back();
  for (double& x : out.begin) x = width > 0 ? x / width : 0;
  const auto ends = stage_ends(strategy);
  if (!ends) {
    out.why_not = ends.error().message;
    return out;
  }
  out.ends = *ends;
  if (!timed) return out;
  out.times.resize(out.ends.size());
  for (std::size_t op = 0; op < ops; ++op)
    out.times[static_cast<std::size_t>(strategy.ops[op].stage)] += time_of_op[op];
  return out;
}

std::uint32_t StageStrip::boundary_at(double x) const {
  const auto next = std::lower_bound(begin.begin(), begin.end(), x);
  if (next == begin.begin()) return 0;
  if (next == begin.end()) return static_cast<std::uint32_t>(begin.size() - 1);
  const auto before = std::prev(next);
  return static_cast<std::uint32_t>((x - *before < *next - x ? before : next) - begin.begin());
}

// --- from its step ------------------------------------------------------------------------------

namespace {

std::vector<PlanPlace> places_of(const Plan& plan) {
  std::vector<PlanPlace> out(plan.device_count);
  for (std::uint32_t c = 0; c < plan.classes.size(); ++c)
    for (std::uint32_t m = 0; m < plan.classes[c].members.size(); ++m)
      out[plan.classes[c].members[m].value] = {c, m};
  return out;
}

// Whose work it is; kNoIndex: of no one operator.
std::uint32_t owner(const Graph& graph, std::uint32_t op, std::uint32_t tensor) {
  if (op != kNoIndex) return op;
  if (tensor == kNoIndex) return kNoIndex;
  const Tensor& t = graph.tensors()[tensor];
  if (t.producer.op.valid()) return t.producer.op.value;
  return t.uses.empty() ? kNoIndex : t.uses.front().op.value;
}
std::uint32_t owner(const Graph& graph, const Task& t) { return owner(graph, t.op, t.tensor); }

std::string without_prefix(std::string text, const std::string& prefix) {
  if (text.starts_with(prefix) && text.size() > prefix.size() &&
      (text[prefix.size()] == ' ' || text[prefix.size()] == '.'))
    text.erase(0, prefix.size() + 1);
  return text;
}

std::vector<HeldRow> held_by(const Graph& graph, const DeviceClass& program, std::uint32_t op) {
  const std::vector<Lifetime> life = lifetimes(program);
  const auto place_of_life = [&](std::size_t b) {
    const std::uint32_t whole = program.buffers[b].inside;
    return life[whole == kNoIndex ? b : whole];
  };
  std::map<std::int64_t, std::int64_t> change;
  for (std::size_t b = 0; b < life.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.memory != Memory::kDevice || buffer.inside != kNoIndex || life[b].always ||
        life[b].start >= life[b].end)
      continue;
    change[life[b].start] += buffer.size.value;
    change[life[b].end] -= buffer.size.value;
  }
  std::int64_t alive = 0, most = 0, peak = 0;
  for (const auto& [place, bytes] : change) {
    alive += bytes;
    if (alive > most) most = alive, peak = place;
  }
  // Of buffers without a tensor: who uses them first.
  std::vector<std::uint32_t> user(program.buffers.size(), kNoIndex);
  std::vector<bool> has_parts(program.buffers.size(), false);
  for (const Task& t : program.tasks)
    for (const BufferUse& use : program.uses_of(t))
      if (use.buffer != kNoIndex && user[use.buffer] == kNoIndex)
        user[use.buffer] = owner(graph, t);
  for (const Buffer& b : program.buffers)
    if (b.inside != kNoIndex) has_parts[b.inside] = true;
  std::map<std::pair<Memory, BufferKind>, HeldRow> rows;
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (buffer.kind == BufferKind::kWorkspace || has_parts[b]) continue;
    const std::uint32_t whose =
        buffer.tensor != kNoIndex ? owner(graph, kNoIndex, buffer.tensor) : user[b];
    if (whose != op) continue;
    const Lifetime lives = place_of_life(b);
    HeldRow& row = rows[{buffer.memory, buffer.kind}];
    row.kind = buffer.kind;
    row.memory = buffer.memory;
    row.bytes += buffer.size;
    if (lives.always || (lives.start <= peak && lives.end > peak)) row.at_peak += buffer.size;
  }
  std::vector<HeldRow> out;
  for (const auto& [key, row] : rows) out.push_back(row);
  std::stable_sort(out.begin(), out.end(),
                   [](const HeldRow& a, const HeldRow& b) { return a.bytes > b.bytes; });
  return out;
}

}  // namespace

OpStep op_step(const Graph& graph, const Evaluation& evaluation, std::uint32_t op,
               std::optional<DeviceId> device) {
  const Plan& plan = evaluation.plan;
  const Trace& trace = evaluation.trace;
  const Spans& spans = trace.spans;
  const OpNode& node = graph.ops()[op];
  const auto places = places_of(plan);
  const auto device_of = [&](std::size_t i) { return trace.lanes[spans.lane[i]].device; };
  const auto task_of = [&](std::size_t i) -> const Task& {
    return plan.classes[places[device_of(i).value].class_index].tasks[spans.task[i]];
  };
  std::vector<bool> is_input(graph.tensors().size(), false);
  for (std::size_t k = 0; k < node.tensors.size(); ++k)
    if (node.definition.operands[k].role == OperandRole::kInput)
      is_input[node.tensors[k].value] = true;

  struct Sum {
    std::int64_t calls = 0;
    Nanoseconds time, waiting;
    Flops flops;
    Bytes bytes;
  };
  struct Cost {
    CostRow row;
    std::map<DeviceId, Sum> devices;
  };
  struct Move {
    MoveRow row;
    std::map<DeviceId, Sum> devices;
    std::set<std::pair<DeviceId, std::size_t>> groups;
  };
  std::map<std::tuple<Phase, TaskKind, std::uint32_t>, Cost> costs;  // by label
  std::map<std::tuple<bool, Phase, std::uint32_t>, Move> moves;
  std::map<DeviceId, Nanoseconds> busy;
  std::vector<std::size_t> arriving;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Task& t = task_of(i);
    const bool own = owner(graph, t) == op;
    if (t.kind == TaskKind::kTransfer) {
      if (!own && !moves_gradient(t) && t.tensor != kNoIndex && is_input[t.tensor])
        arriving.push_back(i);
      if (!own) continue;
      arriving.push_back(i);
      continue;
    }
    if (!own) continue;
    const Nanoseconds time = spans.end[i] - spans.start[i];
    busy[device_of(i)] += time;
    Cost& c = costs[{spans.phase[i], t.kind, spans.label[i]}];
    if (c.devices.empty()) {
      c.row.what = without_prefix(trace.labels[spans.label[i]], node.name);
      c.row.kind = t.kind;
      c.row.phase = spans.phase[i];
      c.row.source = spans.source[i];
    }
    c.row.source = std::max(c.row.source, spans.source[i]);
    Sum& sum = c.devices[device_of(i)];
    ++sum.calls;
    sum.time += time;
    sum.flops += spans.flops[i];
    sum.bytes += spans.bytes[i];
  }
  for (const std::size_t i : arriving) {
    const Task& t = task_of(i);
    const bool own = owner(graph, t) == op;
    const DeviceId at = device_of(i);
    if (!own && !busy.contains(at)) continue;  // it goes to another reader
    const Transfer& transfer = plan.transfers[plan.entry(t, places[at.value].member)];
    Move& m = moves[{!own, spans.phase[i], spans.label[i]}];
    if (m.devices.empty()) {
      m.row.what = without_prefix(trace.labels[spans.label[i]], node.name);
      m.row.pattern = transfer.pattern;
      m.row.algorithm = transfer.algorithm;
      m.row.phase = spans.phase[i];
      m.row.arrives = !own;
      std::vector<DeviceId> group;
      for (const TransferMember& member : transfer.members) group.push_back(member.device);
      std::sort(group.begin(), group.end());
      m.row.group = device_text(group);
      m.row.source = spans.source[i];
    }
    m.row.source = std::max(m.row.source, spans.source[i]);
    m.row.members = std::max(m.row.members, transfer.members.size());
    m.groups.emplace(transfer.members.front().device, transfer.members.size());
    Sum& sum = m.devices[at];
    ++sum.calls;
    sum.time += spans.end[i] - spans.start[i] - spans.waiting[i];
    sum.waiting += spans.waiting[i];
    sum.bytes += spans.bytes[i];
  }

  OpStep out;
  out.op = op;
  for (auto& [key, c] : costs) {
    const auto longest = std::max_element(
        c.devices.begin(), c.devices.end(),
        [](const auto& a, const auto& b) { return a.second.time < b.second.time; });
    const Sum& sum = longest->second;
    c.row.calls = sum.calls;
    c.row.longest = sum.time;
    c.row.each = Nanoseconds(sum.time.value / sum.calls);
    c.row.flops = Flops(sum.flops.value / static_cast<double>(sum.calls));
    c.row.bytes = Bytes(sum.bytes.value / sum.calls);
    out.costs.push_back(std::move(c.row));
  }
  for (auto& [key, m] : moves) {
    for (const auto& [at, sum] : m.devices) {
      m.row.calls = std::max(m.row.calls, sum.calls);
      m.row.sent = std::max(m.row.sent, sum.bytes);
      if (sum.time + sum.waiting > m.row.longest + m.row.waiting)
        m.row.longest = sum.time, m.row.waiting = sum.waiting;
    }
    m.row.groups = m.groups.size();
    out.moves.push_back(std::move(m.row));
  }
  if (busy.empty()) return out;
  const auto busiest = std::max_element(
      busy.begin(), busy.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  out.busy = busiest->second;
  out.device = device && busy.contains(*device) ? *device : busiest->first;
  const DeviceClass& program = plan.classes[places[out.device.value].class_index];
  out.arena = program.arena;
  out.held = held_by(graph, program, op);

  // What its tasks on that device waited for.
  std::vector<std::size_t> span_of(program.tasks.size(), 0);
  for (std::size_t i = 0; i < spans.size(); ++i)
    if (device_of(i) == out.device) span_of[spans.task[i]] = i;
  std::optional<std::uint32_t> before;  // the computing task before
  for (std::uint32_t k = 0; k < program.tasks.size(); ++k) {
    const Task& t = program.tasks[k];
    if (runs_beside(t.kind)) continue;
    const std::optional<std::uint32_t> previous = std::exchange(before, k);
    if (t.kind != TaskKind::kCompute || t.op != op) continue;
    const std::size_t i = span_of[k];
    WaitRow row;
    row.what = without_prefix(trace.labels[spans.label[i]], node.name);
    row.phase = spans.phase[i];
    row.micro_batch = t.micro_batch;
    row.start = spans.start[i];
    row.idle = row.start - (previous ? spans.end[span_of[*previous]] : Nanoseconds(0));
    row.span = i;
    const auto add = [&](std::uint32_t task, bool in_order) {
      const std::size_t s = span_of[task];
      row.after.push_back({trace.labels[spans.label[s]], owner(graph, program.tasks[task]),
                           in_order, spans.end[s], s});
    };
    for (const std::uint32_t d : program.dependencies_of(t)) add(d, false);
    if (previous && std::none_of(row.after.begin(), row.after.end(), [&](const Predecessor& p) {
          return p.span == span_of[*previous];
        }))
      add(*previous, true);
    std::stable_sort(row.after.begin(), row.after.end(),
                     [](const Predecessor& a, const Predecessor& b) { return a.end > b.end; });
    out.waits.push_back(std::move(row));
  }
  std::stable_sort(out.waits.begin(), out.waits.end(), [](const WaitRow& a, const WaitRow& b) {
    return a.micro_batch != b.micro_batch ? a.micro_batch < b.micro_batch : a.start < b.start;
  });
  return out;
}

// --- what an edit changed -----------------------------------------------------------------------

std::vector<Nanoseconds> time_of_ops(const Graph& graph, const Evaluation& evaluation) {
  const Trace& trace = evaluation.trace;
  const Spans& spans = trace.spans;
  const auto places = places_of(evaluation.plan);
  std::vector<Nanoseconds> most(graph.ops().size()), here(graph.ops().size());
  // The lanes of a device stand together.
  std::optional<DeviceId> device;
  std::vector<std::uint32_t> touched;
  const auto take = [&] {
    for (const std::uint32_t op : touched) {
      most[op] = std::max(most[op], here[op]);
      here[op] = Nanoseconds(0);
    }
    touched.clear();
  };
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const DeviceId at = trace.lanes[spans.lane[i]].device;
    if (device != at) take();
    device = at;
    const Task& t = evaluation.plan.classes[places[at.value].class_index].tasks[spans.task[i]];
    const std::uint32_t op = owner(graph, t);
    if (op == kNoIndex) continue;
    const Nanoseconds time = spans.end[i] - spans.start[i] - spans.waiting[i];
    if (here[op].value == 0 && time.value > 0) touched.push_back(op);
    here[op] += time;
  }
  take();
  return most;
}

Change change_of(const Graph& graph, const Evaluation& before, const Evaluation& after,
                 std::size_t most) {
  Change out{before.step_time, after.step_time, before.peak_memory, after.peak_memory, {}, {}};
  const auto then = time_of_ops(graph, before), now = time_of_ops(graph, after);
  for (std::uint32_t op = 0; op < now.size(); ++op) {
    if (now[op] > then[op]) out.slower.push_back({op, then[op], now[op]});
    if (now[op] < then[op]) out.faster.push_back({op, then[op], now[op]});
  }
  for (auto* list : {&out.slower, &out.faster}) {
    std::stable_sort(list->begin(), list->end(), [](const OpChange& a, const OpChange& b) {
      return std::abs(a.by().value) > std::abs(b.by().value);
    });
    if (list->size() > most) list->resize(most);
  }
  return out;
}

// --- memory -------------------------------------------------------------------------------------

std::vector<DeviceId> devices_of(const std::string& text) {
  std::vector<DeviceId> out;
  const char *at = text.data(), *const end = at + text.size();
  while (at < end) {
    std::uint32_t first = 0, last = 0;
    const auto from = std::from_chars(at, end, first);
    if (from.ec != std::errc{}) break;
    at = from.ptr;
    last = first;
    if (at < end && *at == '-') {
      const auto to = std::from_chars(at + 1, end, last);
      if (to.ec != std::errc{}) break;
      at = to.ptr;
    }
    for (std::uint32_t d = first; d <= last; ++d) out.push_back(DeviceId(d));
    if (at < end && *at == ',') ++at;
  }
  return out;
}

std::vector<MemoryBar> memory_bars(const Cluster& cluster, const Evaluation& evaluation) {
  std::vector<MemoryBar> out;
  for (const simulator::DevicesMemory& row : evaluation.memory) {
    MemoryBar bar;
    bar.devices = row.devices;
    bar.allocated = row.holders.allocated();
    for (const DeviceId d : devices_of(row.devices)) {
      const Bytes has = cluster.kind(d).memory;
      if (has.value > 0 && (bar.limit.value == 0 || has < bar.limit)) bar.limit = has;
    }
    const auto& h = row.holders;
    bar.holders = {{"weights", h.weights},
                   {"optimizer", h.optimizer},
                   {"gradients", h.gradients},
                   {"activations", h.activations},
                   {"communication", h.communication},
                   {"workspace", h.workspace},
                   {"other", h.other},
                   {"unused", h.unused}};
    Bytes below;
    const Holder* largest = &bar.holders.front();
    for (Holder& holder : bar.holders) {
      below += holder.bytes;
      holder.is_over = bar.limit.value > 0 && holder.bytes.value > 0 && below > bar.limit;
      if (holder.bytes > largest->bytes) largest = &holder;
    }
    if (bar.is_over())
      bar.text =
          fmt::format("device{} {}: {} more than the {} that there are; {} hold{} most of it, {}",
                      devices_of(row.devices).size() == 1 ? "" : "s", row.devices,
                      human_text(bar.allocated - bar.limit), human_text(bar.limit), largest->name,
                      largest->name.ends_with('s') ? "" : "s", human_text(largest->bytes));
    out.push_back(std::move(bar));
  }
  std::stable_sort(out.begin(), out.end(), [](const MemoryBar& a, const MemoryBar& b) {
    return a.allocated - a.limit > b.allocated - b.limit;
  });
  return out;
}

// --- the pipeline as cells ----------------------------------------------------------------------

Result<ScheduleCells> schedule_cells(const Ground& ground, const Strategy& strategy) {
  SOAPSTONE_ASSIGN(const Graph* const micro, ground.micro(strategy));
  SOAPSTONE_ASSIGN(const Pipeline pipeline, pipeline_of(*micro, strategy, true));
  ScheduleCells out;
  out.ranks = *std::max_element(pipeline.rank_of_stage.begin(), pipeline.rank_of_stage.end()) + 1;
  const auto ranks = static_cast<std::size_t>(out.ranks);
  std::vector<std::size_t> next(ranks, 0);
  std::vector<std::map<std::int64_t, std::int64_t>> change(ranks);
  std::int64_t busy = 0;
  for (const TimedAction& a : pipeline.actions) {
    const auto r = static_cast<std::size_t>(a.rank);
    out.cells.push_back({a.action, a.rank, next[r]++, a.start, a.end});
    out.end = std::max(out.end, a.end);
    busy += a.end - a.start;
    if (a.action.kind == ActionKind::kForward) ++change[r][a.start];
    if (a.action.kind == ActionKind::kBackward || a.action.kind == ActionKind::kBackwardWeight)
      --change[r][a.end];
  }
  std::stable_sort(out.cells.begin(), out.cells.end(),
                   [](const ScheduleCell& a, const ScheduleCell& b) { return a.rank < b.rank; });
  for (const auto& of_rank : change) {
    KeptCurve& curve = out.kept.emplace_back();
    std::int64_t now = 0;
    for (const auto& [time, by] : of_rank) {
      now += by;
      curve.time.push_back(time);
      curve.value.push_back(now);
      curve.most = std::max(curve.most, now);
    }
  }
  if (out.end > 0)
    out.bubble = 1 - static_cast<double>(busy) / static_cast<double>(out.end * out.ranks);
  return out;
}

}  // namespace soapstone::explorer
