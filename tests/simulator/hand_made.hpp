// Plans and traces for mental arithmetic.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "core/trace.hpp"

namespace soapstone::tests {

// Every device has a class of its own. Tasks are given in the plan's order with their times.
class HandMade {
 public:
  explicit HandMade(std::uint32_t devices) {
    plan_.graph = "hand-made";
    plan_.device_count = devices;
    plan_.classes.resize(devices);
    for (std::uint32_t d = 0; d < devices; ++d) {
      plan_.classes[d].members = {core::DeviceId(d)};
      for (const auto kind : {core::BufferKind::kWeightGradient, core::BufferKind::kActivation,
                              core::BufferKind::kActivationGradient}) {
        core::Buffer& buffer = plan_.classes[d].buffers.emplace_back();
        buffer.kind = kind;
        buffer.offset = core::Bytes(0);
      }
      trace_.lanes.push_back({core::DeviceId(d), core::LaneKind::kCompute});
    }
    trace_.graph = plan_.graph;
  }

  struct Times {
    core::Nanoseconds start, end;
  };
  // Depends on tasks of its device, by their numbers there. Returns its own.
  std::uint32_t compute(std::uint32_t device, const std::string& label, Times times,
                        std::vector<std::uint32_t> dependencies = {},
                        core::Phase phase = core::Phase::kForward,
                        core::TaskKind kind = core::TaskKind::kCompute) {
    const std::uint32_t order = order_++;
    return task(device, kind, phase, order, label, times, dependencies);
  }
  struct Part {
    std::uint32_t device;
    Times times;
    std::vector<std::uint32_t> dependencies = {};
    bool gives = true, gets = true;
  };
  enum class Of : std::uint32_t { kGradients, kValues, kValueGradients };
  // Parts by member; an exchange of boxes goes from every giver to every other taker.
  std::vector<std::uint32_t> transfer(core::Pattern pattern, Of of, const std::string& label,
                                      std::vector<Part> parts, core::Bytes bytes = core::Bytes(8)) {
    core::Transfer t;
    t.pattern = pattern;
    const core::Box box{{core::Interval{0, 2}}}, none{{core::Interval{}}};
    for (const Part& p : parts)
      t.members.push_back({core::DeviceId(p.device), p.gives ? box : none, p.gets ? box : none});
    if (pattern == core::Pattern::kBoxes)
      for (std::uint32_t from = 0; from < parts.size(); ++from)
        for (std::uint32_t to = 0; to < parts.size(); ++to)
          if (from != to && parts[from].gives && parts[to].gets)
            t.messages.push_back({from, to, box});
    const auto entry = static_cast<std::uint32_t>(plan_.transfers.size());
    plan_.transfers.push_back(std::move(t));
    core::Nanoseconds last_begun;
    for (const Part& p : parts) last_begun = std::max(last_begun, p.times.start);
    const std::uint32_t order = order_++;
    std::vector<std::uint32_t> out;
    for (const Part& p : parts) {
      const auto phase = of == Of::kValues ? core::Phase::kForward : core::Phase::kBackwardWeight;
      out.push_back(task(p.device, core::TaskKind::kTransfer, phase, order, label, p.times,
                         p.dependencies, bytes));
      core::DeviceClass& program = plan_.classes[p.device];
      core::Task& made = program.tasks.back();
      made.row = static_cast<std::uint32_t>(plan_.member_table.size());
      plan_.member_table.push_back(entry);
      made.first_use = static_cast<std::uint32_t>(program.uses.size());
      made.use_count = 3;
      const auto buffer = static_cast<std::uint32_t>(of);
      program.uses.push_back({p.gives ? buffer : core::kNoIndex, core::UseAccess::kRead});
      program.uses.push_back({p.gets ? buffer : core::kNoIndex, core::UseAccess::kWrite});
      program.uses.push_back({core::kNoIndex, core::UseAccess::kReadWrite});
      trace_.spans.waiting.back() = std::min(last_begun, p.times.end) - p.times.start;
    }
    return out;
  }

  const core::Plan& plan() const { return plan_; }
  core::Plan& plan() { return plan_; }
  // The step ends with its last task unless it is said how long it took.
  core::Trace trace(core::Nanoseconds step = core::Nanoseconds(-1)) const {
    core::Trace out = trace_;
    core::set_plan(out, plan_);
    for (const core::Nanoseconds end : out.spans.end) out.step_time = std::max(out.step_time, end);
    if (step.value >= 0) out.step_time = step;
    core::add_communication_lanes(out);
    return out;
  }

 private:
  std::uint32_t task(std::uint32_t device, core::TaskKind kind, core::Phase phase,
                     std::uint32_t order, const std::string& label, Times times,
                     const std::vector<std::uint32_t>& dependencies,
                     core::Bytes bytes = core::Bytes(0)) {
    core::DeviceClass& program = plan_.classes[device];
    core::Task t;
    t.kind = kind;
    t.phase = phase;
    t.order = order;
    t.first_dependency = static_cast<std::uint32_t>(program.dependencies.size());
    t.dependency_count = static_cast<std::uint32_t>(dependencies.size());
    program.dependencies.insert(program.dependencies.end(), dependencies.begin(),
                                dependencies.end());
    program.tasks.push_back(t);
    const auto number = static_cast<std::uint32_t>(program.tasks.size() - 1);
    auto name = std::find(trace_.labels.begin(), trace_.labels.end(), label);
    if (name == trace_.labels.end()) name = trace_.labels.insert(trace_.labels.end(), label);
    core::Spans& s = trace_.spans;
    s.lane.push_back(device);
    s.start.push_back(times.start);
    s.end.push_back(times.end);
    s.waiting.push_back(core::Nanoseconds(0));
    s.task.push_back(number);
    s.kind.push_back(kind);
    s.phase.push_back(phase);
    s.label.push_back(static_cast<std::uint32_t>(name - trace_.labels.begin()));
    s.bytes.push_back(bytes);
    s.flops.push_back(core::Flops(0));
    s.source.push_back(core::CostSource::kMeasured);
    return number;
  }

  core::Plan plan_;
  core::Trace trace_;
  std::uint32_t order_ = 0;
};

// The span of a label on a device.
inline std::uint32_t span_named(const core::Trace& t, std::string_view label,
                                std::uint32_t device) {
  for (std::uint32_t i = 0; i < t.spans.size(); ++i)
    if (t.labels[t.spans.label[i]] == label && t.lanes[t.spans.lane[i]].device.value == device)
      return i;
  return core::kNoIndex;
}

}  // namespace soapstone::tests
