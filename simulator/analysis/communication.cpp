#include "simulator/analysis/communication.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/strategy.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

Moved moved_by(const DeviceClass& program, const Task& task) {
  if (task.kind == TaskKind::kHostCopy) return Moved::kHost;
  const auto uses = program.uses_of(task);
  for (const std::size_t k : {0u, 1u}) {  // held, wanted
    if (uses[k].buffer == kNoIndex) continue;
    switch (program.buffers[uses[k].buffer].kind) {
      case BufferKind::kWeightGradient:
        return Moved::kGradients;
      case BufferKind::kWeight:
      case BufferKind::kGatheredWeight:
      case BufferKind::kOptimizerState:
        return Moved::kWeights;
      case BufferKind::kActivationGradient:
        return Moved::kValueGradients;
      case BufferKind::kSource:
      case BufferKind::kActivation:
        return Moved::kValues;
      case BufferKind::kScalar:
        return Moved::kScalars;
      case BufferKind::kInternal:
      case BufferKind::kStaging:
      case BufferKind::kWorkspace:
        break;
    }
  }
  return Moved::kInternal;
}

Moved moved_by(std::string_view label, TaskKind kind, Phase phase) {
  if (kind == TaskKind::kHostCopy) return Moved::kHost;
  if (label.starts_with("gradient norm")) return Moved::kScalars;
  if (label.find(" internal ") != std::string_view::npos) return Moved::kInternal;
  if (label.starts_with("bucket of ")) return Moved::kGradients;
  const bool is_gradient = label.find(" gradient ") != std::string_view::npos;
  if (!is_gradient) return phase == Phase::kUpdate ? Moved::kWeights : Moved::kValues;
  return phase == Phase::kBackwardInput ? Moved::kValueGradients : Moved::kGradients;
}

std::string family_of(Moved moved, std::string_view pattern) {
  if (moved == Moved::kHost) return "copies between device and host";
  if (pattern == "send") return fmt::format("{} sent", name_of(moved));
  if (pattern == "boxes") return fmt::format("exchange of {}", name_of(moved));
  return fmt::format("{} of {}", pattern, name_of(moved));
}

class Groups {
 public:
  explicit Groups(const Trace& trace) { out_.group_of_span.assign(trace.spans.size(), kNoIndex); }

  std::uint32_t group(Moved moved, const std::string& pattern, const std::string& where,
                      const std::string& devices) {
    const auto [it, is_new] = index_.try_emplace(std::pair(family_of(moved, pattern), where),
                                                 static_cast<std::uint32_t>(out_.groups.size()));
    if (is_new) {
      CommunicationGroup g;
      g.family = it->first.first;
      g.name = g.family + where;
      g.moved = moved;
      g.pattern = pattern;
      g.devices = devices;
      out_.groups.push_back(std::move(g));
    }
    return it->second;
  }
  void add(std::uint32_t group, std::uint32_t span, Bytes bytes) {
    out_.group_of_span[span] = group;
    out_.groups[group].bytes += bytes;
  }
  void count(std::uint32_t group) { ++out_.groups[group].transfers; }
  Communication finish() { return std::move(out_); }

 private:
  Communication out_;
  std::map<std::pair<std::string, std::string>, std::uint32_t> index_;
};

}  // namespace

Communication communication(const Plan& plan, const Trace& trace) {
  const Spans& s = trace.spans;
  Groups groups(trace);
  struct Place {
    std::uint32_t class_index = kNoIndex, member = 0;
  };
  std::unordered_map<std::uint32_t, Place> places;
  for (std::uint32_t c = 0; c < plan.classes.size(); ++c)
    for (std::uint32_t m = 0; m < plan.classes[c].members.size(); ++m)
      places[plan.classes[c].members[m].value] = {c, m};
  // By transfer and what it moves: parts of one transfer may hold another kind of buffer each, so
  // the first span decides.
  std::vector<std::uint32_t> group_of_transfer(plan.transfers.size(), kNoIndex);
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;  // order and transfer
  for (std::uint32_t i = 0; i < s.size(); ++i) {
    if (!runs_beside(s.kind[i])) continue;
    const DeviceId device = trace.lanes[s.lane[i]].device;
    const Place& place = places.at(device.value);
    const DeviceClass& program = plan.classes[place.class_index];
    const Task& task = program.tasks[s.task[i]];
    if (task.kind == TaskKind::kHostCopy) {
      const std::string on = device_text(std::span(&device, 1));
      const auto group = groups.group(Moved::kHost, "copy", " of " + on, on);
      groups.add(group, i, s.bytes[i]);
      groups.count(group);
      continue;
    }
    const std::uint32_t entry = plan.entry(task, place.member);
    std::uint32_t& group = group_of_transfer[entry];
    if (group == kNoIndex) {
      const Transfer& transfer = plan.transfers[entry];
      std::vector<DeviceId> all, from, to;
      for (const TransferMember& m : transfer.members) {
        all.push_back(m.device);
        if (elements(m.held) > 0) from.push_back(m.device);
        if (elements(m.wanted) > 0) to.push_back(m.device);
      }
      for (auto* list : {&all, &from, &to}) std::sort(list->begin(), list->end());
      std::vector<DeviceId> both;
      std::set_intersection(from.begin(), from.end(), to.begin(), to.end(),
                            std::back_inserter(both));
      const Moved moved = moved_by(program, task);
      const std::string devices = device_text(all);
      if (all.size() == 1)
        group = groups.group(moved, "copy", " on " + devices, devices);
      else if (transfer.pattern == Pattern::kBoxes && both.empty() && !from.empty() && !to.empty())
        group = groups.group(moved, "send",
                             fmt::format(" from {} to {}", device_text(from), device_text(to)),
                             devices);
      else
        group = groups.group(moved, std::string(name_of(transfer.pattern)), " over " + devices,
                             devices);
    }
    groups.add(group, i, s.bytes[i]);
    if (seen.emplace(task.order, entry).second) groups.count(group);
  }
  return groups.finish();
}

Communication communication(const Trace& trace) {
  const Spans& s = trace.spans;
  Groups groups(trace);
  for (std::uint32_t i = 0; i < s.size(); ++i) {
    if (!runs_beside(s.kind[i])) continue;
    const std::string_view label = trace.labels[s.label[i]];
    const auto blank = label.rfind(' ');
    const std::string pattern(blank == std::string_view::npos ? std::string_view("transfer")
                                                              : label.substr(blank + 1));
    const auto group = groups.group(moved_by(label, s.kind[i], s.phase[i]), pattern, "", "");
    groups.add(group, i, s.bytes[i]);
    groups.count(group);
  }
  return groups.finish();
}

std::string operator_of_label(std::string_view label, TaskKind kind) {
  if (label.starts_with("bucket of ")) return std::string(label.substr(0, label.rfind(' ')));
  if (label.starts_with("gradient norm")) return "gradient norm";
  const auto blank = label.find(' ');
  const std::string_view word = label.substr(0, blank);
  const bool is_of_operator =
      kind == TaskKind::kCompute ||
      (blank != std::string_view::npos && label.substr(blank).starts_with(" internal "));
  return std::string(is_of_operator ? word : word.substr(0, word.rfind('.')));
}

std::string subject_of_label(std::string_view label) {
  for (const auto& [pattern, name] : enum_names(Pattern{}))
    if (label.ends_with(name) && label.size() > name.size() &&
        label[label.size() - name.size() - 1] == ' ')
      return std::string(label.substr(0, label.size() - name.size() - 1));
  if (label.ends_with(" copy")) return std::string(label.substr(0, label.size() - 5));
  return std::string(label);
}

}  // namespace soapstone::simulator
