#include "simulator/analysis/what_if.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <fmt/core.h>

#include "core/assert.hpp"
#include "core/suggest.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

constexpr std::string_view kGrammar =
    "op:NAME, task:NAME, device:WHICH, link:WHICH or latency:WHICH followed by *K or =free; "
    "add:node or add:device";

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool matches_operator(std::string_view pattern, std::string_view name) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                : name == pattern;
}

bool matches_device(std::string_view which, const Cluster& cluster, DeviceId id) {
  if (is_number(which)) return which == std::to_string(id.value);
  const Device& device = cluster.device(id);
  return which == device.name || which == cluster.kind(id).name ||
         which == fmt::format("node{}", device.node);
}

// A link's name is made of words: its devices or its node, its kind, its direction.
bool matches_link(std::string_view which, const Link& link) {
  if (which == "all" || which == link.name) return true;
  if (which == "ethernet" || which == "infiniband") which = "network";
  std::string_view rest = link.name;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (word == which) return true;
    if (word.size() > which.size() && word.starts_with(which) && word[which.size()] == '.')
      return true;
  }
  return false;
}

template <class T>
std::string accepted(std::string_view given, const T& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  return accepted_names(given, views);
}

// " in micro-batch 2", " on device 3" or both.
std::string here_and_then(const TaskName& name) {
  std::string out;
  if (name.micro_batch) out += fmt::format(" in micro-batch {}", *name.micro_batch);
  if (name.device) out += fmt::format(" on device {}", name.device->value);
  return out;
}

// Takes `mark` and a number off the end of the text; none: it does not end in that.
std::optional<std::uint32_t> number_after(char mark, std::string_view& text) {
  const auto at = text.rfind(mark);
  if (at == std::string_view::npos || !is_number(text.substr(at + 1))) return std::nullopt;
  std::uint32_t out = 0;
  const std::string_view digits = text.substr(at + 1);
  if (std::from_chars(digits.data(), digits.data() + digits.size(), out).ec != std::errc{})
    return std::nullopt;
  text = text.substr(0, at);
  return out;
}

// Tasks of one label, with the fields that tell them from those of other labels.
struct NamedTasks {
  struct Same {
    TaskKind kind;
    std::uint32_t op, tensor;
    std::uint16_t step;
    friend bool operator==(const Same&, const Same&) = default;
  };
  std::vector<Same> tasks;
  TaskName name;
  const Change* change = nullptr;

  bool matches(DeviceId device, const Task& t) const {
    if (name.device && *name.device != device) return false;
    if (name.micro_batch && *name.micro_batch != t.micro_batch) return false;
    return std::find(tasks.begin(), tasks.end(), Same{t.kind, t.op, t.tensor, t.step}) !=
           tasks.end();
  }
};

// The tasks that a change names; an error where there are none.
Result<NamedTasks> named_tasks(const Graph& graph, const Plan& plan, const Change& change) {
  NamedTasks out{{}, parse_task_name(change.name), &change};
  bool moves_data = false, is_there = false;
  std::set<std::string> labels;  // of the same operator or tensor
  for (const DeviceClass& program : plan.classes) {
    const bool here = !out.name.device || std::find(program.members.begin(), program.members.end(),
                                                    *out.name.device) != program.members.end();
    for (const Task& t : program.tasks) {
      // A label begins with the name of one of both; there are many tasks.
      const auto begins = [&](const auto& of, std::uint32_t index) {
        return index != kNoIndex && out.name.label.starts_with(of[index].name);
      };
      if (!begins(graph.ops(), t.op) && !begins(graph.tensors(), t.tensor) &&
          (t.op != kNoIndex || t.tensor != kNoIndex))
        continue;
      const NamedTasks::Same same{t.kind, t.op, t.tensor, t.step};
      const bool known = std::find(out.tasks.begin(), out.tasks.end(), same) != out.tasks.end();
      if (!known) {
        const std::string label = task_label(graph, plan, program, t);
        if (label != out.name.label) {
          if (!runs_beside(t.kind)) labels.insert(label);
          continue;
        }
        if (runs_beside(t.kind)) {
          moves_data = true;
          continue;
        }
        out.tasks.push_back(same);
      }
      is_there =
          is_there || (here && (!out.name.micro_batch || *out.name.micro_batch == t.micro_batch));
    }
  }
  if (is_there) return out;
  if (moves_data)
    return usage_error("`{}`: {} moves data; how long that takes follows from its links: link:…",
                       to_text(change), out.name.label);
  if (!out.tasks.empty())
    return usage_error("`{}`: {} is not done{}", to_text(change), out.name.label,
                       here_and_then(out.name));
  if (labels.empty())
    for (const OpNode& op : graph.ops()) labels.insert(op.name + " forward");
  return usage_error("`{}`: no task is called `{}`; {}", to_text(change), out.name.label,
                     accepted(out.name.label, labels));
}

Nanoseconds divided(Nanoseconds time, const Change& change) {
  if (change.free) return Nanoseconds(0);
  return Nanoseconds(std::llround(static_cast<double>(time.value) / change.factor));
}

}  // namespace

Result<Change> parse_change(std::string_view text) {
  const auto wrong = [&](const std::string& what) {
    return usage_error("`{}`: {}; accepted: {}", text, what, kGrammar);
  };
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return wrong("a `:` is missing");
  const auto kind = enum_from_name<ChangeKind>(text.substr(0, colon));
  if (!kind) {
    std::vector<std::string_view> names;
    for (const auto& [value, name] : enum_names(ChangeKind{})) names.push_back(name);
    return usage_error("`{}`: nothing is called `{}`; {}", text, text.substr(0, colon),
                       accepted(text.substr(0, colon), names));
  }
  Change change;
  change.kind = *kind;
  std::string_view rest = text.substr(colon + 1);
  if (*kind == ChangeKind::kAdd) {
    static constexpr std::string_view kMore[] = {"node", "device"};
    if (rest != kMore[0] && rest != kMore[1])
      return usage_error("`{}`: `{}` cannot be added; {}", text, rest, accepted_names(rest, kMore));
    change.name = rest;
    return change;
  }
  constexpr std::string_view kFree = "=free";
  if (rest.ends_with(kFree)) {
    change.free = true;
    rest.remove_suffix(kFree.size());
  } else {
    const auto star = rest.rfind('*');
    if (star == std::string_view::npos) return wrong("`*K` or `=free` is missing");
    const std::string_view number = rest.substr(star + 1);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), change.factor);
    if (error != std::errc{} || end != number.data() + number.size() ||
        !std::isfinite(change.factor) || change.factor <= 0)
      return usage_error("`{}`: the factor `{}` is no number above 0", text, number);
    rest = rest.substr(0, star);
  }
  if (rest.empty()) return wrong("a name is missing");
  change.name = rest;
  return change;
}

std::string to_text(const Change& c) {
  if (c.kind == ChangeKind::kAdd) return "add:" + c.name;
  return fmt::format("{}:{}{}", name_of(c.kind), c.name,
                     c.free ? std::string("=free") : fmt::format("*{}", c.factor));
}

std::string words(const Change& c) {
  switch (c.kind) {
    case ChangeKind::kOperator:
      return c.free ? fmt::format("{} computes in no time", c.name)
                    : fmt::format("{} computes {} times as fast", c.name, c.factor);
    case ChangeKind::kTask: {
      const TaskName name = parse_task_name(c.name);
      return name.label + here_and_then(name) +
             (c.free ? std::string(" takes no time")
                     : fmt::format(" takes {:.3g} times as long", 1 / c.factor));
    }
    case ChangeKind::kDevice:
      return c.free ? fmt::format("device {} computes in no time", c.name)
                    : fmt::format("device {} computes {} times as fast", c.name, c.factor);
    case ChangeKind::kLink:
      return c.free ? fmt::format("links `{}` with no limit to their bandwidth", c.name)
                    : fmt::format("links `{}` with {} times the bandwidth", c.name, c.factor);
    case ChangeKind::kLatency:
      return c.free ? fmt::format("links `{}` without latency", c.name)
                    : fmt::format("links `{}` with {} times the latency", c.name, c.factor);
    case ChangeKind::kAdd:
      return fmt::format("one {} more", c.name);
  }
  return {};
}

TaskName parse_task_name(std::string_view text) {
  TaskName out;
  if (const auto device = number_after('@', text)) out.device = DeviceId(*device);
  if (const auto micro_batch = number_after('#', text))
    out.micro_batch = static_cast<std::uint16_t>(std::min<std::uint32_t>(*micro_batch, UINT16_MAX));
  out.label = text;
  return out;
}

std::string TaskName::text() const {
  return label + (micro_batch ? fmt::format("#{}", *micro_batch) : "") +
         (device ? fmt::format("@{}", device->value) : "");
}

Status check(const Change& change, const Graph& graph, const Cluster& cluster) {
  const std::string text = to_text(change);
  switch (change.kind) {
    case ChangeKind::kOperator: {
      std::vector<std::string_view> names;
      for (const OpNode& node : graph.ops()) {
        if (matches_operator(change.name, node.name)) return {};
        names.push_back(node.name);
      }
      return usage_error("`{}`: {} has no operator `{}`; {}", text, graph.name(), change.name,
                         accepted(change.name, names));
    }
    case ChangeKind::kTask: {
      const TaskName name = parse_task_name(change.name);
      if (name.device && name.device->value >= cluster.size())
        return usage_error("`{}`: cluster {} has the devices 0 to {}", text, cluster.name(),
                           cluster.size() - 1);
      return {};
    }
    case ChangeKind::kDevice: {
      for (std::uint32_t d = 0; d < cluster.size(); ++d)
        if (matches_device(change.name, cluster, DeviceId(d))) return {};
      if (is_number(change.name))
        return usage_error("`{}`: cluster {} has the devices 0 to {}", text, cluster.name(),
                           cluster.size() - 1);
      std::set<std::string> names;
      for (const DeviceKind& kind : cluster.kinds()) names.insert(kind.name);
      for (std::size_t n = 0; n < cluster.nodes(); ++n) names.insert(fmt::format("node{}", n));
      return usage_error("`{}`: cluster {} has no device, node or kind `{}`; {}, or a number", text,
                         cluster.name(), change.name, accepted(change.name, names));
    }
    case ChangeKind::kLink:
    case ChangeKind::kLatency: {
      std::set<std::string> kinds{"all"};
      for (const Link& link : cluster.links()) {
        if (matches_link(change.name, link)) return {};
        for (const std::string_view kind : {"nvlink", "pcie", "shared-memory", "network"})
          if (matches_link(kind, link)) kinds.emplace(kind);
      }
      return usage_error("`{}`: cluster {} has no link `{}`; {}, or a link's name as `{}`", text,
                         cluster.name(), change.name, accepted(change.name, kinds),
                         cluster.links().empty() ? "" : cluster.links()[0].name);
    }
    case ChangeKind::kAdd:
      return {};
  }
  return {};
}

ChangedCosts::ChangedCosts(const CostModel& costs, const Cluster& cluster,
                           std::span<const Change> changes)
    : costs_(costs),
      time_per_byte_(cluster.links().size(), 1),
      latency_(cluster.links().size(), 1) {
  for (const Change& change : changes) {
    const bool is_latency = change.kind == ChangeKind::kLatency;
    if (!is_latency && change.kind != ChangeKind::kLink) continue;
    for (std::size_t l = 0; l < cluster.links().size(); ++l) {
      if (!matches_link(change.name, cluster.links()[l])) continue;
      if (is_latency)
        latency_[l] *= change.free ? 0 : change.factor;
      else
        time_per_byte_[l] *= change.free ? 0 : 1 / change.factor;
    }
  }
}

Cost ChangedCosts::compute(const LocalProblem& problem, int step, std::string_view candidate,
                           const DeviceKind& device) const {
  return costs_.compute(problem, step, candidate, device);
}
Cost ChangedCosts::copy(Bytes read, Bytes written, const DeviceKind& device) const {
  return costs_.copy(read, written, device);
}
Cost ChangedCosts::update(std::int64_t elements, int state_tensors, DType dtype,
                          const DeviceKind& device) const {
  return costs_.update(elements, state_tensors, dtype, device);
}
Cost ChangedCosts::update_rows(std::int64_t rows, std::int64_t features, int state_tensors,
                               DType dtype, const DeviceKind& device) const {
  return costs_.update_rows(rows, features, state_tensors, dtype, device);
}

Cost ChangedCosts::message(const Cluster& cluster, DeviceId src, DeviceId dst, Bytes size,
                           int sharing) const {
  Cost cost = costs_.message(cluster, src, dst, size, sharing);
  double latency = 0, new_latency = 0, slowest = 0, new_slowest = 0;
  bool is_changed = false;
  for (const LinkId id : cluster.route(src, dst)) {
    const Link& link = cluster.link(id);
    const double per_byte = 1 / link.bandwidth.value;
    slowest = std::max(slowest, per_byte);
    new_slowest = std::max(new_slowest, per_byte * time_per_byte_[id.value]);
    latency += static_cast<double>(link.latency.value);
    new_latency += static_cast<double>(link.latency.value) * latency_[id.value];
    is_changed = is_changed || time_per_byte_[id.value] != 1 || latency_[id.value] != 1;
  }
  if (!is_changed) return cost;
  const std::int64_t at_once =
      std::min(cost.time, costs_.message(cluster, src, dst, Bytes(0), sharing).time).value;
  const double first = latency > 0 ? static_cast<double>(at_once) * new_latency / latency
                                   : static_cast<double>(at_once);
  const double rest = static_cast<double>(cost.time.value - at_once) * new_slowest / slowest;
  cost.time = Nanoseconds(std::llround(first + rest));
  return cost;
}

Result<Retime> retimed(const Graph& graph, const Plan& plan, const Cluster& cluster,
                       std::span<const Change> changes) {
  std::map<std::uint32_t, std::vector<const Change*>> of_op, of_device;
  std::vector<NamedTasks> of_tasks;
  for (const Change& change : changes) {
    SOAPSTONE_TRY(check(change, graph, cluster));
    if (change.kind == ChangeKind::kOperator)
      for (std::uint32_t op = 0; op < graph.ops().size(); ++op)
        if (matches_operator(change.name, graph.ops()[op].name)) of_op[op].push_back(&change);
    if (change.kind == ChangeKind::kDevice)
      for (std::uint32_t d = 0; d < cluster.size(); ++d)
        if (matches_device(change.name, cluster, DeviceId(d))) of_device[d].push_back(&change);
    if (change.kind == ChangeKind::kTask) {
      SOAPSTONE_ASSIGN(NamedTasks named, named_tasks(graph, plan, change));
      of_tasks.push_back(std::move(named));
    }
  }
  if (of_op.empty() && of_device.empty() && of_tasks.empty()) return Retime();
  return [of_op = std::move(of_op), of_device = std::move(of_device),
          of_tasks = std::move(of_tasks)](DeviceId device, const Task& task, Nanoseconds time) {
    if (const auto it = of_op.find(task.op); task.kind == TaskKind::kCompute && it != of_op.end())
      for (const Change* change : it->second) time = divided(time, *change);
    if (const auto it = of_device.find(device.value); it != of_device.end())
      for (const Change* change : it->second) time = divided(time, *change);
    for (const NamedTasks& named : of_tasks)
      if (named.matches(device, task)) time = divided(time, *named.change);
    return time;
  };
}

std::vector<double> bandwidth_factors(const Cluster& cluster, std::span<const Change> changes) {
  std::vector<double> out(cluster.links().size(), 1);
  for (const Change& change : changes) {
    if (change.kind != ChangeKind::kLink) continue;
    for (std::size_t l = 0; l < cluster.links().size(); ++l)
      if (matches_link(change.name, cluster.links()[l]))
        out[l] *= change.free ? std::numeric_limits<double>::infinity() : change.factor;
  }
  return out;
}

Result<Trace> simulate_changed(const Graph& graph, const Plan& plan, const Cluster& cluster,
                               const CostModel& costs, std::span<const Change> changes) {
  SimulateOptions options;
  SOAPSTONE_ASSIGN(options.retime, retimed(graph, plan, cluster, changes));
  const ChangedCosts changed(costs, cluster, changes);
  return simulate(graph, plan, cluster, changed, options);
}

Result<Cluster> with_more(const Cluster& cluster, const Change& change) {
  SOAPSTONE_ASSERT(change.kind == ChangeKind::kAdd, "{}", to_text(change));
  ClusterSpec spec = cluster.spec();
  NodeSpec& last = spec.node.back();
  if (change.name == "node") {
    if (!spec.network)
      return refuse("{}: cluster {} is one node and says of no network that could join another",
                    to_text(change), cluster.name());
    ++last.count;
  } else {
    if (!last.interconnect)
      return refuse(
          "{}: the last node of cluster {} has one device and says of no interconnect that could "
          "join another",
          to_text(change), cluster.name());
    if (last.count > 1) {
      --last.count;
      NodeSpec larger = last;
      larger.count = 1;
      ++larger.devices;
      spec.node.push_back(larger);
    } else {
      ++last.devices;
    }
  }
  return Cluster::build(std::move(spec));
}

Result<Strategy> scaled(const Graph& graph, const Strategy& strategy, const Cluster& cluster,
                        const Cluster& larger) {
  const auto more = static_cast<std::int32_t>(larger.size() - cluster.size());
  // All operators are cut into as many parts of the samples.
  std::int32_t parts = 0;
  std::vector<std::int32_t> axis_of_op;
  for (std::size_t op = 0; op < strategy.ops.size(); ++op) {
    const OpNode& node = graph.ops()[op];
    const auto& axes = node.definition.axes;
    const auto sample = std::find_if(axes.begin(), axes.end(),
                                     [](const Axis& a) { return a.role == AxisRole::kSample; });
    if (sample == axes.end())
      return refuse("data parallelism cannot reach {}: it has no samples", node.name);
    axis_of_op.push_back(static_cast<std::int32_t>(sample - axes.begin()));
    const std::int32_t degree = strategy.ops[op].degrees[axis_of_op.back()];
    if (parts != 0 && degree != parts)
      return refuse(
          "the samples are cut into {} parts for {} and into {} for {}; a strategy with as many "
          "parts for every operator can be scaled",
          parts, graph.ops()[0].name, degree, node.name);
    parts = degree;
  }
  // What the devices of the last part do, those of a new one do: the k-th does what the k-th does.
  const auto part_of = [&](std::size_t op, std::size_t k) {
    const OpStrategy& s = strategy.ops[op];
    std::int64_t inner = s.replicas;
    for (std::size_t a = s.degrees.size(); a-- > static_cast<std::size_t>(axis_of_op[op]) + 1;)
      inner *= s.degrees[a];
    return static_cast<std::int32_t>(static_cast<std::int64_t>(k) / inner % parts);
  };
  std::set<DeviceId> last;
  for (std::size_t op = 0; op < strategy.ops.size(); ++op)
    for (std::size_t k = 0; k < strategy.ops[op].devices.size(); ++k)
      if (part_of(op, k) == parts - 1) last.insert(strategy.ops[op].devices[k]);
  const auto unit = static_cast<std::int32_t>(last.size());
  if (more % unit != 0)
    return refuse(
        "{} new device{} cannot be shared among parts of the samples, each of which takes "
        "{} devices",
        more, more == 1 ? "" : "s", unit);
  const std::int32_t added = more / unit;
  Strategy out = strategy;
  for (std::size_t op = 0; op < out.ops.size(); ++op) {
    OpStrategy& s = out.ops[op];
    const OpStrategy& old = strategy.ops[op];
    s.degrees[axis_of_op[op]] = parts + added;
    s.devices.clear();
    // Blocks that differ in an axis before the samples' stay apart.
    std::size_t inner = static_cast<std::size_t>(s.replicas);
    for (std::size_t a = s.degrees.size(); a-- > static_cast<std::size_t>(axis_of_op[op]) + 1;)
      inner *= static_cast<std::size_t>(s.degrees[a]);
    const std::size_t block = inner * static_cast<std::size_t>(parts);
    for (std::size_t from = 0; from < old.devices.size(); from += block) {
      for (std::size_t k = 0; k < block; ++k) s.devices.push_back(old.devices[from + k]);
      for (std::int32_t p = 0; p < added; ++p)
        for (std::size_t k = block - inner; k < block; ++k) {
          const auto rank = std::distance(last.begin(), last.find(old.devices[from + k]));
          s.devices.push_back(DeviceId(static_cast<std::uint32_t>(cluster.size()) +
                                       static_cast<std::uint32_t>(p * unit) +
                                       static_cast<std::uint32_t>(rank)));
        }
    }
  }
  if (const Status legal = core::check(graph, out, static_cast<std::uint32_t>(larger.size()));
      !legal)
    return refuse("{} parts of the samples instead of {}: {}", parts + added, parts,
                  legal.error().message);
  return out;
}

Result<Outcome> what_if(const Scenario& scenario, std::span<const Change> changes) {
  Outcome out{scenario.cluster, scenario.strategy, {}, {}};
  for (const Change& change : changes) {
    if (change.kind != ChangeKind::kAdd) continue;
    SOAPSTONE_ASSIGN(Cluster larger, with_more(out.cluster, change));
    auto strategy = scaled(scenario.graph, out.strategy, out.cluster, larger);
    if (!strategy) return refuse("{}: {}", to_text(change), strategy.error().message);
    out.strategy = std::move(*strategy);
    out.cluster = std::move(larger);
  }
  auto plan = lower(scenario.graph, out.strategy, out.cluster, scenario.catalog, scenario.options);
  if (!plan && out.cluster.size() != scenario.cluster.size())
    return refuse("{} devices instead of {}: {}", out.cluster.size(), scenario.cluster.size(),
                  plan.error().message);
  if (!plan) return tl::unexpected(plan.error());
  out.plan = std::move(*plan);
  SOAPSTONE_ASSIGN(
      out.trace, simulate_changed(scenario.graph, out.plan, out.cluster, scenario.costs, changes));
  return out;
}

}  // namespace soapstone::simulator
