#include "core/strategy.hpp"

#include <algorithm>
#include <set>

#include "core/suggest.hpp"

namespace soapstone::core {

AxisSet split_axes(const OpDefinition& definition, const OpStrategy& strategy) {
  AxisSet set;
  for (std::size_t a = 0; a < strategy.degrees.size(); ++a)
    if (strategy.degrees[a] > 1) set.insert(static_cast<int>(a));
  if (strategy.ring) set.insert(definition.rounds.over);
  return set;
}

std::int64_t largest_degree(const Axis& axis) {
  if (axis.coupling == Coupling::kUnsplittable) return 1;
  return std::max<std::int64_t>(1, axis.extent / axis.granularity);
}

std::int64_t largest_ring(const OpDefinition& definition) {
  const Rounds& rounds = definition.rounds;
  if (rounds.along < 0) return 1;
  const auto granules = [&](int axis) {
    const Axis& a = definition.axes[static_cast<std::size_t>(axis)];
    return a.extent / a.granularity;
  };
  return std::max<std::int64_t>(1, std::min(granules(rounds.along), granules(rounds.over)));
}

std::vector<std::int32_t> legal_degrees(const Axis& axis, std::int32_t most) {
  const auto limit = static_cast<std::int32_t>(std::min<std::int64_t>(most, largest_degree(axis)));
  const std::int64_t granules = std::max<std::int64_t>(1, axis.extent / axis.granularity);
  std::vector<std::int32_t> divisors, others;
  for (std::int32_t d = 1; d <= limit; ++d) (granules % d == 0 ? divisors : others).push_back(d);
  divisors.insert(divisors.end(), others.begin(), others.end());
  return divisors;
}

Status check(const OpNode& node, const OpStrategy& s, std::uint32_t device_count) {
  const auto& axes = node.definition.axes;
  if (s.degrees.size() != axes.size())
    return usage_error("{}: {} degrees for {} axes", node.name, s.degrees.size(), axes.size());
  std::int64_t product = s.replicas;
  if (s.replicas < 1)
    return usage_error("{}: replicas = {}: must be at least 1", node.name, s.replicas);
  const Rounds& rounds = node.definition.rounds;
  if (s.ring && rounds.along < 0)
    return usage_error("{}: ring: {}: ring = false is accepted", node.name,
                       rounds.why_not.empty()
                           ? std::string(node.op.name()) + " is not computed in rounds"
                           : rounds.why_not);
  for (std::size_t a = 0; a < axes.size(); ++a) {
    const bool goes_round = s.ring && static_cast<int>(a) == rounds.along;
    const std::int64_t most = goes_round ? largest_ring(node.definition) : largest_degree(axes[a]);
    if (goes_round && s.degrees[a] < 2)
      return usage_error("{}: ring with degree {} of axis {}: at least 2 parts go round", node.name,
                         s.degrees[a], axes[a].name);
    if (s.degrees[a] < 1 || s.degrees[a] > most)
      return usage_error("{}: degree {} of axis {} ({} indices, {}): 1 to {} is accepted",
                         node.name, s.degrees[a], axes[a].name, axes[a].extent,
                         name_of(axes[a].coupling), most);
    product *= s.degrees[a];
  }
  if (s.zero < 0 || s.zero > 3)
    return usage_error("{}: zero = {}: 0, 1, 2 and 3 are accepted", node.name, s.zero);
  if (s.zero_over < 0 || (s.zero_over > 0 && s.zero == 0))
    return usage_error("{}: zero_over = {} with zero = {}: {} is accepted", node.name, s.zero_over,
                       s.zero, s.zero == 0 ? "0" : "0 or more");
  if (s.server && s.zero > 0)
    return usage_error("{}: server with zero = {}: zero = 0 is accepted", node.name, s.zero);
  if (product != static_cast<std::int64_t>(s.devices.size()))
    return usage_error("{}: degrees {} × {} replicas want {} devices, {} are listed", node.name,
                       print(s.degrees), s.replicas, product, s.devices.size());
  std::set<std::uint32_t> seen;
  for (const DeviceId d : s.devices) {
    if (d.value >= device_count)
      return usage_error("{}: device {}: the cluster has devices 0 to {}", node.name, print(d),
                         static_cast<std::int64_t>(device_count) - 1);
    if (!seen.insert(d.value).second)
      return usage_error("{}: device {} is listed twice: devices must be distinct", node.name,
                         d.value);
  }
  return {};
}

Status check(const Graph& graph, const Strategy& strategy, std::uint32_t device_count) {
  if (strategy.ops.size() != graph.ops().size())
    return usage_error("a strategy for {} operators does not belong to graph {} with {}",
                       strategy.ops.size(), graph.name(), graph.ops().size());
  if (strategy.bucket.value < 0)
    return usage_error("bucket = {}: must be at least 0 bytes", strategy.bucket.value);
  if (strategy.zigzag < 0 || strategy.zigzag % 2 != 0)
    return usage_error("zigzag = {}: 0 (in order) or an even number of chunks is accepted",
                       strategy.zigzag);
  if (strategy.micro_batches < 1 || graph.batch() % strategy.micro_batches != 0)
    return usage_error("micro_batches = {}: the batch of {} must be a multiple of it",
                       strategy.micro_batches, graph.batch());
  for (std::size_t i = 0; i < strategy.ops.size(); ++i) {
    const OpNode& node = graph.ops()[i];
    const OpStrategy& s = strategy.ops[i];
    SOAPSTONE_TRY(check(node, s, device_count));
    for (const TensorId t : node.tensors)
      if (s.recompute && t.valid() && graph.is_reported(t))
        return usage_error(
            "{}: recompute: {} is reported: an operator is computed again only if nothing of it is "
            "a result",
            node.name, graph.tensor(t).name);
  }
  return {};
}

namespace {

std::set<std::uint32_t> devices_of_stage(const Strategy& strategy,
                                         std::span<const std::uint32_t> ops) {
  std::set<std::uint32_t> devices;
  for (const std::uint32_t op : ops)
    for (const DeviceId d : strategy.ops[op].devices) devices.insert(d.value);
  return devices;
}

// Forward passes alone, as soon as they can be.
std::vector<TimedAction> forward_actions(std::span<const std::int32_t> rank_of_stage,
                                         std::int32_t micro_batches) {
  std::vector<TimedAction> out;
  const auto stages = static_cast<std::int32_t>(rank_of_stage.size());
  for (std::int32_t m = 0; m < micro_batches; ++m)
    for (std::int32_t s = 0; s < stages; ++s)
      out.push_back({{s, ActionKind::kForward, m},
                     rank_of_stage[static_cast<std::size_t>(s)],
                     m + s,
                     m + s + 1});
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.start < b.start; });
  return out;
}

}  // namespace

Result<Pipeline> pipeline_of(const Graph& graph, const Strategy& strategy, bool training) {
  Pipeline out;
  std::int32_t stages = 1;
  for (std::size_t i = 0; i < strategy.ops.size(); ++i) {
    const std::int32_t stage = strategy.ops[i].stage;
    if (stage < 0 || stage >= static_cast<std::int32_t>(strategy.ops.size()))
      return usage_error("{}: stage = {}: 0 to {} are accepted", graph.ops()[i].name, stage,
                         strategy.ops.size() - 1);
    stages = std::max(stages, stage + 1);
  }
  out.ops.resize(static_cast<std::size_t>(stages));
  for (std::uint32_t op = 0; op < strategy.ops.size(); ++op)
    out.ops[static_cast<std::size_t>(strategy.ops[op].stage)].push_back(op);
  for (std::size_t s = 0; s < out.ops.size(); ++s)
    if (out.ops[s].empty())
      return usage_error("stage {} of 0 to {} has no operator", s, stages - 1);
  for (const Tensor& t : graph.tensors()) {
    if (t.role != TensorRole::kActivation) continue;
    const std::uint32_t from = t.producer.op.value;
    for (const OperandRef& use : t.uses)
      if (strategy.ops[use.op.value].stage < strategy.ops[from].stage)
        return usage_error("{} in stage {} reads {} of stage {}: stages follow the graph",
                           graph.op(use.op).name, strategy.ops[use.op.value].stage, t.name,
                           strategy.ops[from].stage);
  }
  if (stages == 1) {
    out.rank_of_stage = {0};
  } else {
    std::vector<std::set<std::uint32_t>> ranks;
    for (std::size_t s = 0; s < out.ops.size(); ++s) {
      const auto devices = devices_of_stage(strategy, out.ops[s]);
      const auto found = std::find(ranks.begin(), ranks.end(), devices);
      out.rank_of_stage.push_back(static_cast<std::int32_t>(found - ranks.begin()));
      if (found != ranks.end()) continue;
      for (const auto& other : ranks)
        for (const std::uint32_t d : devices)
          if (other.contains(d))
            return usage_error(
                "stage {} shares device {} with an earlier stage, but not all devices: two stages "
                "have the same devices or none in common",
                s, d);
      ranks.push_back(devices);
    }
  }
  if (!training) {
    out.actions = forward_actions(out.rank_of_stage, strategy.micro_batches);
    return out;
  }
  SOAPSTONE_ASSIGN(const PipelineSchedule schedule,
                   strategy.schedule_lines.empty()
                       ? make_schedule(strategy.schedule, out.rank_of_stage, strategy.micro_batches)
                       : parse_schedule(strategy.schedule_lines));
  SOAPSTONE_ASSIGN(out.actions, timed(schedule, out.rank_of_stage, strategy.micro_batches));
  return out;
}

Strategy single_device(const Graph& graph, DeviceId device) {
  Strategy s;
  for (const auto& node : graph.ops())
    s.ops.push_back({std::vector<std::int32_t>(node.definition.axes.size(), 1), 1, {device}});
  return s;
}

Strategy data_parallel(const Graph& graph, std::span<const DeviceId> devices) {
  Strategy s = single_device(graph, devices[0]);
  for (std::size_t i = 0; i < s.ops.size(); ++i) {
    const auto& axes = graph.ops()[i].definition.axes;
    const auto sample = std::find_if(axes.begin(), axes.end(),
                                     [](const Axis& a) { return a.role == AxisRole::kSample; });
    if (sample == axes.end()) continue;
    const auto degree =
        std::min<std::int64_t>(largest_degree(*sample), static_cast<std::int64_t>(devices.size()));
    s.ops[i].degrees[sample - axes.begin()] = static_cast<std::int32_t>(degree);
    s.ops[i].devices.assign(devices.begin(), devices.begin() + degree);
  }
  return s;
}

std::string hex(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

StrategyDocument to_document(const Graph& graph, const Strategy& strategy) {
  StrategyDocument doc{
      graph.name(),      hex(graph.hash()),       strategy.micro_batches, {},
      strategy.schedule, strategy.schedule_lines, strategy.bucket,        strategy.zigzag};
  for (std::size_t i = 0; i < strategy.ops.size(); ++i) {
    const OpNode& node = graph.ops()[i];
    const OpStrategy& s = strategy.ops[i];
    OpStrategyDocument& out = doc.ops[node.name];
    for (std::size_t a = 0; a < s.degrees.size(); ++a)
      if (s.degrees[a] > 1) out.degrees[node.definition.axes[a].name] = s.degrees[a];
    out.replicas = s.replicas;
    out.stage = s.stage;
    out.zero = s.zero;
    out.zero_over = s.zero_over;
    out.server = s.server;
    out.recompute = s.recompute;
    out.offload = s.offload;
    out.ring = s.ring;
    for (const DeviceId d : s.devices) out.devices.push_back(static_cast<std::int32_t>(d.value));
  }
  return doc;
}

Result<Strategy> from_document(const Graph& graph, const StrategyDocument& doc) {
  if (!doc.graph_hash.empty() && doc.graph_hash != hex(graph.hash()))
    return usage_error(
        "the strategy was made for graph {} ({}), this is {} ({}): model, batch and options must "
        "be the same",
        doc.graph, doc.graph_hash, graph.name(), hex(graph.hash()));
  Strategy strategy = single_device(graph);
  strategy.micro_batches = doc.micro_batches;
  strategy.schedule = doc.schedule;
  strategy.schedule_lines = doc.schedule_lines;
  strategy.bucket = doc.bucket;
  strategy.zigzag = doc.zigzag;
  std::vector<std::string_view> names;
  for (const auto& node : graph.ops()) names.push_back(node.name);
  for (const auto& [name, op] : doc.ops) {
    const auto id = graph.find_op(name);
    if (!id)
      return usage_error("graph {} has no operator `{}`; {}", graph.name(), name,
                         accepted_names(name, names));
    OpStrategy& s = strategy.ops[id->value];
    const auto& axes = graph.op(*id).definition.axes;
    for (const auto& [axis, degree] : op.degrees) {
      const auto found =
          std::find_if(axes.begin(), axes.end(), [&](const Axis& a) { return a.name == axis; });
      if (found == axes.end()) {
        std::vector<std::string_view> axis_names;
        for (const auto& a : axes) axis_names.push_back(a.name);
        return usage_error("{}: no axis `{}`; {}", name, axis, accepted_names(axis, axis_names));
      }
      s.degrees[found - axes.begin()] = degree;
    }
    s.replicas = op.replicas;
    s.stage = op.stage;
    s.zero = op.zero;
    s.zero_over = op.zero_over;
    s.server = op.server;
    s.recompute = op.recompute;
    s.offload = op.offload;
    s.ring = op.ring;
    s.devices.clear();
    for (const auto d : op.devices) {
      if (d < 0) return usage_error("{}: device {}: must be at least 0", name, d);
      s.devices.push_back(DeviceId(static_cast<std::uint32_t>(d)));
    }
  }
  return strategy;
}

std::string device_text(std::span<const DeviceId> devices) {
  std::string out;
  for (std::size_t i = 0; i < devices.size();) {
    std::size_t j = i + 1;
    while (j < devices.size() && devices[j].value == devices[j - 1].value + 1) ++j;
    if (!out.empty()) out += ',';
    out += std::to_string(devices[i].value);
    if (j - i > 1) out += "-" + std::to_string(devices[j - 1].value);
    i = j;
  }
  return out;
}

namespace {

// Operators in a row that are cut alike.
struct SummaryPart {
  std::string names, cut;
  std::string kind;  // names without their numbers: equal for equal parts of repeated blocks

  std::string text() const { return names + " " + cut; }
};

// The parts, with blocks that stand at least three times in a row once: "[a …; b …] ×12".
std::string folded(const std::vector<SummaryPart>& parts) {
  const auto alike = [&](std::size_t a, std::size_t b) {
    return parts[a].kind == parts[b].kind && parts[a].cut == parts[b].cut;
  };
  std::string out;
  for (std::size_t i = 0; i < parts.size();) {
    std::size_t period = 0, times = 1;
    for (std::size_t p = 1; p <= (parts.size() - i) / 3 && period == 0; ++p) {
      std::size_t end = i + p;
      while (end < parts.size() && alike(end, end - p)) ++end;
      if (end - i >= 3 * p) {
        period = p;
        times = (end - i) / p;
      }
    }
    if (!out.empty()) out += "; ";
    if (period == 0) {
      out += parts[i++].text();
      continue;
    }
    out += "[";
    for (std::size_t k = 0; k < period; ++k) out += (k > 0 ? "; " : "") + parts[i + k].text();
    out += fmt::format("] ×{}", times);
    i += period * times;
  }
  return out;
}

std::string without_digits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

}  // namespace

std::string summary(const Graph& graph, const Strategy& strategy) {
  std::vector<SummaryPart> parts;
  std::string previous, first, last;
  const auto flush = [&] {
    if (previous.empty()) return;
    const std::string names = first == last ? first : first + "…" + last;
    parts.push_back({names, previous, without_digits(names)});
  };
  for (std::size_t i = 0; i < strategy.ops.size(); ++i) {
    const OpNode& node = graph.ops()[i];
    const OpStrategy& s = strategy.ops[i];
    std::string text;
    for (std::size_t a = 0; a < s.degrees.size(); ++a)
      if (s.degrees[a] > 1)
        text += fmt::format("{}={} ", node.definition.axes[a].name, s.degrees[a]);
    if (s.replicas > 1) text += fmt::format("replicas={} ", s.replicas);
    if (s.zero > 0) text += fmt::format("zero={} ", s.zero);
    if (s.zero_over > 0) text += fmt::format("zero_over={} ", s.zero_over);
    if (s.server) text += "with a server ";
    if (s.recompute) text += "recomputed ";
    if (s.offload != Offload::kNone) text += fmt::format("offload={} ", name_of(s.offload));
    if (s.ring) text += "in a ring ";
    if (s.stage > 0) text += fmt::format("stage {} ", s.stage);
    text += "on " + device_text(s.devices);
    if (text != previous) {
      flush();
      previous = text;
      first = node.name;
    }
    last = node.name;
  }
  flush();
  std::string out = folded(parts);
  if (strategy.micro_batches > 1) out += fmt::format("; micro_batches={}", strategy.micro_batches);
  if (strategy.zigzag > 0) out += fmt::format("; zigzag={}", strategy.zigzag);
  const bool has_stages = std::any_of(strategy.ops.begin(), strategy.ops.end(),
                                      [](const OpStrategy& s) { return s.stage > 0; });
  if (!strategy.schedule_lines.empty())
    out += "; a schedule of its own";
  else if (has_stages || strategy.schedule != ScheduleKind::k1F1B)
    out += fmt::format("; schedule={}", name_of(strategy.schedule));
  return out;
}

}  // namespace soapstone::core
