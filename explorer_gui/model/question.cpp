#include "explorer_gui/model/question.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/core.h>

#include "core/units.hpp"
#include "explorer_gui/model/cluster_edits.hpp"

namespace soapstone::explorer {

namespace {

// Whether there may be a task that both name.
bool overlap(const simulator::TaskName& a, const simulator::TaskName& b) {
  const auto meet = [](const auto& x, const auto& y) { return !x || !y || *x == *y; };
  return a.label == b.label && meet(a.micro_batch, b.micro_batch) && meet(a.device, b.device);
}

}  // namespace

Changes with(Changes changes, simulator::Change change) {
  if (change.kind == simulator::ChangeKind::kTask)
    std::erase_if(changes, [&](const auto& c) {
      return c.kind == change.kind && c.name != change.name &&
             overlap(simulator::parse_task_name(c.name), simulator::parse_task_name(change.name));
    });
  const auto same = std::find_if(changes.begin(), changes.end(), [&](const auto& c) {
    return c.kind == change.kind && c.name == change.name;
  });
  const bool nothing = !change.free && change.factor == 1;
  if (same == changes.end()) {
    if (!nothing) changes.push_back(std::move(change));
  } else if (nothing) {
    changes.erase(same);
  } else {
    *same = std::move(change);
  }
  return changes;
}

Changes without(Changes changes, std::size_t i) {
  changes.erase(changes.begin() + static_cast<std::ptrdiff_t>(i));
  return changes;
}

namespace {

// The program that a device of a trace runs; none: the trace is not of the plan.
const core::DeviceClass* program_of(const core::Plan& plan, core::DeviceId device) {
  for (const core::DeviceClass& program : plan.classes)
    if (std::find(program.members.begin(), program.members.end(), device) != program.members.end())
      return &program;
  return nullptr;
}

}  // namespace

std::string why_not_dragged(const core::Plan* plan, const core::Trace& trace, std::size_t span) {
  const core::Spans& s = trace.spans;
  if (plan == nullptr || trace.origin != core::TraceOrigin::kPredicted)
    return "It was measured: what the step would be is asked of the prediction.";
  if (core::runs_beside(s.kind[span]))
    return "It moves data: how long that takes follows from its links, whose speed can be changed.";
  const core::DeviceClass* program = program_of(*plan, trace.lanes[s.lane[span]].device);
  if (program == nullptr || s.task[span] >= program->tasks.size())
    return "It is no task of the plan.";
  if (s.end[span] <= s.start[span]) return "It takes no time.";
  return {};
}

std::int64_t dragged_length(std::int64_t length, double pixels, double nanoseconds_per_pixel,
                            std::int64_t usual, double reach_in_pixels) {
  const double now = static_cast<double>(length) + pixels * nanoseconds_per_pixel;
  if (std::abs(now - static_cast<double>(usual)) <= reach_in_pixels * nanoseconds_per_pixel)
    return usual;
  return std::max<std::int64_t>(0, std::llround(now));
}

simulator::Change task_change(const core::Plan& plan, const core::Trace& trace, std::size_t span,
                              std::int64_t length, DragScope scope) {
  const core::Spans& s = trace.spans;
  const core::DeviceId device = trace.lanes[s.lane[span]].device;
  simulator::TaskName name;
  name.label = trace.labels[s.label[span]];
  const core::DeviceClass* program = program_of(plan, device);
  if (program != nullptr && plan.micro_batches > 1 && scope != DragScope::kEveryMicroBatch)
    name.micro_batch = program->tasks[s.task[span]].micro_batch;
  if (scope == DragScope::kDevice) name.device = device;
  simulator::Change out;
  out.kind = simulator::ChangeKind::kTask;
  out.name = name.text();
  out.free = length <= 0;
  if (!out.free)
    out.factor =
        static_cast<double>((s.end[span] - s.start[span]).value) / static_cast<double>(length);
  return out;
}

std::optional<std::size_t> same_span(const core::Trace& of, std::size_t span,
                                     const core::Trace& in) {
  const core::Spans &from = of.spans, &to = in.spans;
  const core::DeviceId device = of.lanes[from.lane[span]].device;
  const auto same = [&](std::size_t i) {
    return i < to.size() && to.task[i] == from.task[span] && to.kind[i] == from.kind[span] &&
           in.lanes[to.lane[i]].device == device;
  };
  if (same(span)) return span;
  for (std::size_t i = 0; i < to.size(); ++i)
    if (same(i)) return i;
  return std::nullopt;
}

std::vector<LinkSpeed> link_speeds(const core::Cluster& cluster, const Changes& changes) {
  std::vector<LinkSpeed> out;
  const auto add = [&](std::string_view kind, core::BytesPerSecond bandwidth) {
    if (std::any_of(out.begin(), out.end(), [&](const auto& l) { return l.kind == kind; })) return;
    LinkSpeed& speed = out.emplace_back();
    speed.kind = kind;
    speed.bandwidth = bandwidth;
    for (const simulator::Change& c : changes)
      if (c.kind == simulator::ChangeKind::kLink && c.name == kind)
        speed.factor = c.free ? std::numeric_limits<double>::infinity() : c.factor;
  };
  const core::ClusterSpec& spec = cluster.spec();
  if (cluster.nodes() > 1 && spec.network) add("network", spec.network->bandwidth);
  for (const core::NodeSpec& node : spec.node)
    if (node.interconnect && node.devices > 1)
      add(core::name_of(node.interconnect->kind), node.interconnect->bandwidth);
  return out;
}

simulator::Change link_change(const std::string& kind, double factor) {
  simulator::Change out;
  out.kind = simulator::ChangeKind::kLink;
  out.name = kind;
  // Two digits: what is asked can be read, and the middle of a slider is 1.
  const double digits = std::pow(10, std::floor(std::log10(factor)) - 1);
  out.factor = std::round(factor / digits) * digits;
  if (std::abs(out.factor - 1) < 0.03) out.factor = 1;
  return out;
}

core::ClusterSpec kept(const core::ClusterSpec& cluster, const Changes& changes) {
  core::ClusterSpec out = cluster;
  for (const simulator::Change& c : changes) {
    if (c.kind != simulator::ChangeKind::kLink || c.free) continue;
    const auto times = [&](core::BytesPerSecond bandwidth) {
      return core::BytesPerSecond(bandwidth.value * c.factor);
    };
    if (c.name == "network" && out.network)
      out = with_network(out, times(out.network->bandwidth), out.network->latency);
    for (std::size_t e = 0; e < out.node.size(); ++e)
      if (const auto inside = out.node[e].interconnect;
          inside && core::name_of(inside->kind) == c.name)
        out = with_interconnect(out, e, times(inside->bandwidth), inside->latency);
  }
  return out;
}

std::string why_not_kept(const Changes& changes) {
  const bool links = std::any_of(changes.begin(), changes.end(), [](const auto& c) {
    return c.kind == simulator::ChangeKind::kLink && !c.free;
  });
  return links ? "" : "Only the speed of links can be kept: it is the cluster's.";
}

std::string step_words(core::Nanoseconds before, core::Nanoseconds after) {
  std::string out = fmt::format("{} → {}", core::human_text(before), core::human_text(after));
  if (before.value > 0)
    out += fmt::format(
        " ({:+.1f} %)",
        100 * (static_cast<double>(after.value) / static_cast<double>(before.value) - 1));
  return out;
}

std::string headline(const Changes& changes) {
  if (changes.empty()) return "nothing is changed yet";
  if (changes.size() == 1) return simulator::words(changes.front());
  return fmt::format("{} changes", changes.size());
}

std::vector<std::string> lines(const Changes& changes) {
  std::vector<std::string> out;
  for (const simulator::Change& c : changes) out.push_back(simulator::words(c));
  return out;
}

}  // namespace soapstone::explorer
