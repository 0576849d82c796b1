#include "search/parallelism.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "core/derive.hpp"
#include "core/sequence_order.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"
#include "search/axis_roles.hpp"

namespace soapstone::search {

using namespace core;

namespace {

// --- the short form
// -------------------------------------------------------------------------------

Status read_number(std::string_view key, std::string_view text, std::int32_t least,
                   std::int32_t most, std::int32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < least || out > most)
    return usage_error("--parallel: {} = `{}`: an integer from {} to {} is accepted", key, text,
                       least, most);
  return {};
}

template <class Enum>
Status read_name(std::string_view key, std::string_view text, Enum& out) {
  std::vector<std::string_view> names;
  for (const auto& [value, name] : enum_names(Enum{})) {
    names.push_back(name);
    if (name == text) {
      out = value;
      return {};
    }
  }
  return usage_error("--parallel: {} = `{}`: {}", key, text, accepted_names(text, names));
}

Status read_bytes(std::string_view key, std::string_view text, Bytes& out) {
  const auto bytes = parse_quantity<Bytes>(text);
  if (!bytes)
    return usage_error("--parallel: {} = `{}`: bytes are accepted, for example 25MiB", key, text);
  out = *bytes;
  return {};
}

// --- where a graph is cut into stages
// -------------------------------------------------------------

// Of the whole step, as a measure of its time: FLOPs, and bytes for what has none.
double work_of(const OpNode& node) {
  std::vector<Interval> whole;
  for (const Axis& a : node.definition.axes) whole.push_back({0, a.extent});
  double work = 0;
  for (const Step& step : node.definition.steps)
    if (step_is_used(step, {}))
      work += static_cast<double>(step_flops(step, whole).value) +
              static_cast<double>(step_bytes(node.definition, step, whole).value);
  return work;
}

// What operators before position i make and others read at or after it: the sum of its `size`.
template <class Size>
std::vector<std::int64_t> crossings(const Graph& graph, const Size& size) {
  std::vector<std::int64_t> change(graph.ops().size() + 2, 0);
  for (const Tensor& t : graph.tensors()) {
    if (t.role != TensorRole::kActivation || t.uses.empty()) continue;
    std::uint32_t last = 0;
    for (const OperandRef& use : t.uses) last = std::max(last, use.op.value);
    change[t.producer.op.value + 1] += size(t);
    change[last + 1] -= size(t);
  }
  std::partial_sum(change.begin(), change.end(), change.begin());
  change.resize(graph.ops().size());
  return change;
}

// Positions before which a new stage begins, so that the largest stage is as small as can be, and
// beyond that all are as equal as can be (the sum of their squares the least); none: there are too
// few candidates.
std::optional<std::vector<std::size_t>> divide(const std::vector<double>& before,
                                               std::vector<std::size_t> candidates,
                                               std::size_t stages, double& largest) {
  constexpr std::size_t kMost = 600;
  if (candidates.size() + 1 < stages) return std::nullopt;
  while (candidates.size() > std::max(kMost, stages))
    for (std::size_t i = candidates.size(); i-- > 1 && candidates.size() > std::max(kMost, stages);)
      if (i % 2 == 1) candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
  candidates.insert(candidates.begin(), 0);
  candidates.push_back(before.size() - 1);
  const std::size_t n = candidates.size();
  std::vector<std::size_t> from((stages + 1) * n, 0);
  // cost[s * n + i] of s stages that end before candidate i: of the last stage's work and of those
  // before it. A stage of more than `most` is none.
  const auto least_cost = [&](double most, const auto& cost_of) {
    std::vector<double> cost((stages + 1) * n, std::numeric_limits<double>::infinity());
    cost[0] = 0;
    for (std::size_t s = 1; s <= stages; ++s)
      for (std::size_t i = s; i < n; ++i)
        for (std::size_t j = i; j-- > s - 1;) {
          const double last = before[candidates[i]] - before[candidates[j]];
          if (last > most || cost_of(last, 0) >= cost[s * n + i]) break;
          const double all = cost_of(last, cost[(s - 1) * n + j]);
          if (all < cost[s * n + i]) cost[s * n + i] = all, from[s * n + i] = j;
        }
    return cost[stages * n + n - 1];
  };
  largest = least_cost(std::numeric_limits<double>::infinity(),
                       [](double last, double others) { return std::max(last, others); });
  least_cost(largest, [](double last, double others) { return last * last + others; });
  std::vector<std::size_t> cuts;
  for (std::size_t s = stages, i = n - 1; s > 1; --s) {
    i = from[s * n + i];
    cuts.push_back(candidates[i]);
  }
  std::reverse(cuts.begin(), cuts.end());
  return cuts;
}

Result<std::vector<std::size_t>> stage_cuts(const Graph& graph, std::size_t stages) {
  if (stages == 1) return std::vector<std::size_t>{};
  const auto crossing = crossings(graph, [](const Tensor& t) { return bytes_of(t.desc).value; });
  std::vector<double> before{0};
  for (const OpNode& node : graph.ops()) before.push_back(before.back() + work_of(node));
  std::vector<std::int64_t> limits(crossing.begin() + 1, crossing.end());
  std::sort(limits.begin(), limits.end());
  limits.erase(std::unique(limits.begin(), limits.end()), limits.end());
  const auto cut_at_most = [&](std::int64_t bytes, double& largest) {
    std::vector<std::size_t> candidates;
    for (std::size_t i = 1; i < crossing.size(); ++i)
      if (crossing[i] <= bytes) candidates.push_back(i);
    return divide(before, std::move(candidates), stages, largest);
  };
  double least = 0, largest = 0;
  auto any = limits.empty() ? std::nullopt : cut_at_most(limits.back(), least);
  if (!any)
    return usage_error(
        "--parallel: {} stages of {} operators: a stage has at least one: pp · vp "
        "of at most {} is accepted",
        stages, graph.ops().size(), graph.ops().size());
  // The least that must cross so that no stage is a quarter larger than it could be.
  const auto enough =
      std::partition_point(limits.begin(), limits.end(), [&](const std::int64_t bytes) {
        auto cuts = cut_at_most(bytes, largest);
        return !cuts || largest > 1.25 * least;
      });
  return enough == limits.end() ? *any : *cut_at_most(*enough, largest);
}

// --- how an operator is cut inside its stage
// ------------------------------------------------------

// The axis of a sequence: an attribute along dimension 1 of what the operator writes, or reads.
int sequence_axis(const OpDefinition& def) {
  for (const OperandRole role : {OperandRole::kOutput, OperandRole::kInput})
    for (const Operand& o : def.operands) {
      if (o.role != role || o.dims.size() < 2 || o.dims.size() > 4) continue;
      const int axis = o.dims[1].axis;
      if (axis >= 0 && def.axes[static_cast<std::size_t>(axis)].role == AxisRole::kAttribute &&
          def.axes[static_cast<std::size_t>(axis)].coupling == Coupling::kNone)
        return axis;
    }
  return -1;
}

// Experts: a parameter axis that an input follows too.
int expert_axis(const OpDefinition& def) {
  return first_axis(def, [&](int a) {
    return def.axes[static_cast<std::size_t>(a)].role == AxisRole::kParameter &&
           any_follows(def, OperandRole::kWeight, a) && any_follows(def, OperandRole::kInput, a);
  });
}

// The first input that comes cut along a dimension, as the axis that follows it here; -1: none.
int incoming_axis(const OpNode& node, std::span<const int> cut_dim) {
  const OpDefinition& def = node.definition;
  for (std::size_t k = 0; k < def.operands.size(); ++k) {
    if (def.operands[k].role != OperandRole::kInput) continue;
    const int dim = cut_dim[node.tensors[k].value];
    if (dim < 0) continue;
    const int axis = def.operands[k].dims[static_cast<std::size_t>(dim)].axis;
    if (axis >= 0 && splittable(def.axes[static_cast<std::size_t>(axis)])) return axis;
    return -1;
  }
  return -1;
}

void leaves_cut(const OpNode& node, int axis, std::span<int> cut_dim) {
  const OpDefinition& def = node.definition;
  for (std::size_t k = 0; k < def.operands.size(); ++k) {
    if (def.operands[k].role != OperandRole::kOutput) continue;
    for (std::size_t d = 0; d < def.operands[k].dims.size(); ++d)
      if (def.operands[k].dims[d].axis == axis)
        cut_dim[node.tensors[k].value] = static_cast<int>(d);
  }
}

// Which axis the tensor-parallel ranks split; -1: none.
int tensor_axis(const OpNode& node, int incoming, int experts, bool heads) {
  const OpDefinition& def = node.definition;
  if (is_matrix(def)) {
    if (incoming >= 0 && is_contracted(def, incoming)) return incoming;
    return first_axis(def, [&](int a) {
      const Axis& axis = def.axes[static_cast<std::size_t>(a)];
      return a != experts && axis.role == AxisRole::kParameter && splittable(axis);
    });
  }
  if (heads && table_axis(def) >= 0) return table_axis(def);
  return incoming;
}

bool is_reported(const Graph& graph, const OpNode& node) {
  return std::any_of(node.tensors.begin(), node.tensors.end(),
                     [&](TensorId t) { return t.valid() && graph.is_reported(t); });
}

// The divisor of `of` that is nearest to `wanted`.
std::int64_t nearest_divisor(std::int64_t of, std::int64_t wanted) {
  std::int64_t best = 1;
  for (std::int64_t d = 1; d <= of; ++d)
    if (of % d == 0 && std::abs(d - wanted) < std::abs(best - wanted)) best = d;
  return best;
}

Status check_order(const Graph& graph, const Parallelism& p) {
  if (p.cp_order == ContextOrder::kContiguous) return {};
  if (p.cp == 1)
    return usage_error(
        "--parallel: cp_order = zigzag with cp = 1: an order that balances the parts of a sequence "
        "wants cp of at least 2");
  for (const OpNode& node : graph.ops())
    for (std::size_t a = 0; a < node.definition.axes.size(); ++a) {
      const std::int64_t length = node.definition.axes[a].extent;
      if (!node.definition.causal.has(static_cast<int>(a)) || length % (2 * p.cp) == 0) continue;
      const std::int64_t nearest = length % 2 == 0 ? nearest_divisor(length / 2, p.cp) : 1;
      return usage_error(
          "--parallel: cp_order = zigzag with cp = {}: a sequence of {} has {} indices, of which a "
          "rank has 2 of {} equal chunks: {} is accepted",
          p.cp, node.name, length, 2 * p.cp,
          nearest > 1 ? fmt::format("cp={} or cp_order=contiguous", nearest)
                      : "cp_order=contiguous");
    }
  // Without a causal attention, or with operators that a sequence must stand in order for.
  if (const auto ordered = in_zigzag(graph, 2 * p.cp); !ordered)
    return usage_error("--parallel: cp_order = zigzag: {}: cp_order=contiguous is accepted",
                       ordered.error().message);
  return {};
}

}  // namespace

void mark_recompute(const Graph& graph, Recompute how, Strategy& strategy) {
  for (OpStrategy& s : strategy.ops) s.recompute = false;
  if (how == Recompute::kNone) return;
  const auto crossing = crossings(graph, [](const Tensor&) { return 1; });
  constexpr std::size_t kSmallestBlock = 4;  // operators whose outputs are not kept
  std::size_t since = 0;
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const OpNode& node = graph.ops()[i];
    ++since;
    if (is_reported(graph, node)) continue;
    if (how == Recompute::kSelective) {
      strategy.ops[i].recompute = !is_matrix(node.definition) && !has_heads(node.definition) &&
                                  table_axis(node.definition) < 0 &&
                                  expert_axis(node.definition) < 0;
      continue;
    }
    const bool ends_stage =
        i + 1 == graph.ops().size() || strategy.ops[i + 1].stage != strategy.ops[i].stage;
    const bool ends_block =
        i + 1 < crossing.size() && crossing[i + 1] == 1 && since > kSmallestBlock;
    if (ends_stage || ends_block)
      since = 0;
    else
      strategy.ops[i].recompute = true;
  }
}

Result<Parallelism> parse_parallelism(std::string_view text) {
  static constexpr std::string_view kKeys[] = {
      "dp",     "tp",      "pp",        "cp",          "cp_style",  "cp_order",
      "ep",     "vp",      "sp",        "zero",        "zero_over", "server",
      "bucket", "offload", "recompute", "micro_batch", "schedule"};
  Parallelism p;
  std::set<std::string_view> seen;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const auto equals = word.find('=');
    if (equals == std::string_view::npos)
      return usage_error("--parallel: `{}`: KEY=VALUE is wanted, for example dp=2", word);
    const std::string_view key = word.substr(0, equals), value = word.substr(equals + 1);
    if (!seen.insert(key).second) return usage_error("--parallel: {} comes twice", key);
    const auto number = [&](std::int32_t& into, std::int32_t least = 1,
                            std::int32_t most = 1 << 20) {
      return read_number(key, value, least, most, into);
    };
    Status done;
    std::int32_t flag = 0;
    if (key == "dp")
      done = number(p.dp);
    else if (key == "tp")
      done = number(p.tp);
    else if (key == "pp")
      done = number(p.pp);
    else if (key == "cp")
      done = number(p.cp);
    else if (key == "cp_style")
      done = read_name(key, value, p.cp_style);
    else if (key == "cp_order")
      done = read_name(key, value, p.cp_order);
    else if (key == "ep")
      done = number(p.ep);
    else if (key == "vp")
      done = number(p.vp);
    else if (key == "sp")
      done = number(flag, 0, 1), p.sp = flag == 1;
    else if (key == "zero_over")
      done = number(p.zero_over);
    else if (key == "server")
      done = number(flag, 0, 1), p.server = flag == 1;
    else if (key == "bucket")
      done = read_bytes(key, value, p.bucket);
    else if (key == "offload")
      done = read_name(key, value, p.offload);
    else if (key == "zero")
      done = number(p.zero, 0, 3);
    else if (key == "micro_batch")
      done = number(p.micro_batch);
    else if (key == "recompute")
      done = read_name(key, value, p.recompute);
    else if (key == "schedule")
      done = read_name(key, value, p.schedule);
    else
      return usage_error("--parallel: unknown key `{}`; {}", key, accepted_names(key, kKeys));
    SOAPSTONE_TRY(done);
  }
  return p;
}

Result<Strategy> hybrid(const Graph& graph, const Cluster& cluster, const Parallelism& wanted) {
  Parallelism p = wanted;
  const auto devices = static_cast<std::int32_t>(cluster.size());
  const std::int32_t others = p.tp * p.pp * p.cp;
  if (p.dp == 0) p.dp = std::max(1, devices / others);
  if (std::int64_t{p.dp} * others > devices)
    return usage_error("--parallel: dp {} · tp {} · pp {} · cp {} = {} devices: cluster {} has {}",
                       p.dp, p.tp, p.pp, p.cp, std::int64_t{p.dp} * others, cluster.name(),
                       devices);
  if (p.dp % p.ep != 0)
    return usage_error("--parallel: ep = {} with dp = {}: ep divides dp, for example {}", p.ep,
                       p.dp, nearest_divisor(p.dp, p.ep));
  if (p.vp > 1 && p.pp == 1)
    return usage_error(
        "--parallel: vp = {} with pp = 1: stages per rank of a pipeline want pp of "
        "at least 2",
        p.vp);
  if (p.cp_style == ContextStyle::kRing && p.cp == 1)
    return usage_error("--parallel: cp_style = ring with cp = 1: a ring wants cp of at least 2");
  SOAPSTONE_TRY(check_order(graph, p));
  if (p.schedule == ScheduleKind::kZbV && p.vp == 1 && p.pp > 1) p.vp = 2;
  if (p.vp > 1 && (p.schedule == ScheduleKind::k1F1B || p.schedule == ScheduleKind::kZbH1))
    return usage_error(
        "--parallel: vp = {} with schedule = {}: one stage per rank; "
        "schedule=interleaved-1f1b takes several",
        p.vp, name_of(p.schedule));
  if (p.schedule == ScheduleKind::kZbV && p.pp > 1 && p.vp != 2)
    return usage_error("--parallel: vp = {} with schedule = zb-v: vp=2 is accepted", p.vp);

  if (p.zero_over > 0 && p.zero == 0)
    return usage_error("--parallel: zero_over = {} with zero = 0: zero=1, 2 or 3 is wanted",
                       p.zero_over);
  if (p.zero_over > 0 && (p.dp * p.cp) % p.zero_over != 0)
    return usage_error(
        "--parallel: zero_over = {} of {} copies: it divides dp · cp, for example {}", p.zero_over,
        p.dp * p.cp, nearest_divisor(p.dp * p.cp, p.zero_over));
  if (p.server && p.zero > 0)
    return usage_error("--parallel: server = 1 with zero = {}: zero=0 is accepted", p.zero);
  if (p.bucket.value > 0 && (p.zero > 0 || p.server))
    return usage_error(
        "--parallel: bucket = {} with {}: only gradients that all copies want whole are summed in "
        "buckets: zero=0,server=0 is accepted",
        human_text(p.bucket), p.server ? "server = 1" : fmt::format("zero = {}", p.zero));

  const std::int64_t batch = graph.batch();
  if (batch % p.dp != 0)
    return usage_error(
        "--parallel: dp = {} with a batch of {}: dp divides the batch, for example "
        "{}",
        p.dp, batch, nearest_divisor(batch, p.dp));
  const std::int64_t samples = batch / p.dp;
  std::int64_t count = 1;
  if (p.micro_batch > 0) {
    if (samples % p.micro_batch != 0)
      return usage_error(
          "--parallel: micro_batch = {} of {} samples per data-parallel rank: it "
          "divides them, for example {}",
          p.micro_batch, samples, nearest_divisor(samples, p.micro_batch));
    count = samples / p.micro_batch;
  } else if (p.pp > 1) {
    // As many as four per rank of the pipeline, in whole rounds of it.
    for (std::int64_t m = 1; m <= std::min<std::int64_t>(samples, std::int64_t{4} * p.pp); ++m)
      if (samples % m == 0 && (p.vp == 1 || m % p.pp == 0)) count = m;
  }

  Strategy strategy = single_device(graph);
  strategy.micro_batches = static_cast<std::int32_t>(count);
  strategy.bucket = p.bucket;
  if (p.cp_order == ContextOrder::kZigzag) strategy.zigzag = 2 * p.cp;
  // Without a pipeline there is nothing to go back over.
  strategy.schedule =
      p.pp == 1 && p.schedule == ScheduleKind::kZbV ? ScheduleKind::k1F1B : p.schedule;
  const std::int32_t stages = p.pp * p.vp;
  SOAPSTONE_ASSIGN(const auto cuts, stage_cuts(graph, static_cast<std::size_t>(stages)));
  SOAPSTONE_ASSIGN(const Graph micro,
                   planned_graph(graph, strategy.micro_batches, strategy.zigzag));
  const bool heads = std::any_of(micro.ops().begin(), micro.ops().end(),
                                 [](const OpNode& n) { return has_heads(n.definition); });

  // Dimension 1 of images is channels, of all else time.
  const bool images = std::any_of(micro.ops().begin(), micro.ops().end(), [](const OpNode& n) {
    return is_spatial(n.definition) && !has_heads(n.definition);
  });
  bool has_sequence = false, has_experts = false, has_ring = false;
  std::vector<int> by_tensor(micro.tensors().size(), -1), by_expert(micro.tensors().size(), -1);
  const std::int32_t per_rank = p.dp * p.cp * p.tp;
  for (std::size_t op = 0; op < micro.ops().size(); ++op) {
    const OpNode& node = micro.ops()[op];
    const OpDefinition& def = node.definition;
    OpStrategy& out = strategy.ops[op];
    const auto stage =
        static_cast<std::int32_t>(std::upper_bound(cuts.begin(), cuts.end(), op) - cuts.begin());
    const bool back = p.schedule == ScheduleKind::kZbV && stage >= p.pp;
    const std::int32_t rank = back ? stages - 1 - stage : stage % p.pp;

    const bool ring = p.cp_style == ContextStyle::kRing && def.rounds.along >= 0;
    if (p.cp_style == ContextStyle::kRing && !def.rounds.why_not.empty())
      return usage_error("--parallel: cp_style = ring: {} is {}: cp_style=gather is accepted",
                         node.name, def.rounds.why_not);
    if (ring && largest_ring(def) < p.cp)
      return usage_error(
          "--parallel: cp_style = ring with cp = {}: the sequences of {} have {} and {} indices: "
          "cp of at most {} is accepted",
          p.cp, node.name, def.axes[static_cast<std::size_t>(def.rounds.along)].extent,
          def.axes[static_cast<std::size_t>(def.rounds.over)].extent, largest_ring(def));
    has_ring |= ring;
    const int sample = sample_axis(def), sequence = images ? -1
                                                    : ring ? def.rounds.along
                                                           : sequence_axis(def);
    int experts = expert_axis(def);
    if (experts < 0 && !has_weights(def)) {
      const int incoming = incoming_axis(node, by_expert);
      if (incoming >= 0 &&
          def.axes[static_cast<std::size_t>(incoming)].role != AxisRole::kReduction)
        experts = incoming;
    }
    int tensor = tensor_axis(node, incoming_axis(node, by_tensor), experts, heads);
    has_sequence |= sequence >= 0;
    has_experts |= experts >= 0;
    if (p.tp > 1 && has_heads(def) && tensor >= 0) {
      const Axis& axis = def.axes[static_cast<std::size_t>(tensor)];
      if (largest_degree(axis) % p.tp != 0)
        return usage_error(
            "--parallel: tp = {}: {} has {} heads (or groups of them): tp divides "
            "them, for example {}",
            p.tp, node.name, largest_degree(axis), nearest_divisor(largest_degree(axis), p.tp));
    }
    if (p.ep > 1 && experts >= 0 && expert_axis(def) >= 0) {
      const std::int64_t count_of = def.axes[static_cast<std::size_t>(experts)].extent;
      if (count_of % p.ep != 0)
        return usage_error(
            "--parallel: ep = {}: {} has {} experts: ep divides them, for example "
            "{}",
            p.ep, node.name, count_of, nearest_divisor(count_of, p.ep));
    }
    // Between matrices the sequence takes the place of what tensor parallelism splits.
    const bool between = p.sp && tensor < 0 && sequence >= 0;
    const std::array<GridDim, 4> grid{
        GridDim{p.dp / p.ep, sample}, GridDim{p.ep, p.ep > 1 && experts >= 0 ? experts : sample},
        GridDim{p.cp, sequence, ring}, GridDim{p.tp, between ? sequence : tensor}};
    std::vector<DeviceId> own;
    for (std::int32_t i = 0; i < per_rank; ++i)
      own.push_back(DeviceId(static_cast<std::uint32_t>(rank * per_rank + i)));
    out = cut(def, grid, own);
    out.stage = stage;
    if (has_weights(def)) {
      out.zero = p.zero;
      out.zero_over = p.zero_over;
      out.server = p.server;
    }
    out.offload = p.offload;
    if (tensor >= 0 && out.degrees[static_cast<std::size_t>(tensor)] > 1 && !between)
      leaves_cut(node, tensor, by_tensor);
    if (p.ep > 1 && experts >= 0 && out.degrees[static_cast<std::size_t>(experts)] > 1)
      leaves_cut(node, experts, by_expert);
  }
  if (p.cp > 1 && !has_sequence)
    return usage_error("--parallel: cp = {}: no operator of {} has a sequence: cp=1 is accepted",
                       p.cp, graph.name());
  if (p.cp_style == ContextStyle::kRing && !has_ring)
    return usage_error(
        "--parallel: cp_style = ring: {} has no attention: cp_style=gather is accepted",
        graph.name());
  if (p.ep > 1 && !has_experts)
    return usage_error("--parallel: ep = {}: {} has no experts: ep=1 is accepted", p.ep,
                       graph.name());
  mark_recompute(graph, p.recompute, strategy);
  return strategy;
}

}  // namespace soapstone::search
