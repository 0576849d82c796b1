#include "simulator/analysis/step_graph.hpp"

#include <algorithm>
#include <numeric>

#include "core/assert.hpp"
#include "core/strategy.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

class Builder {
 public:
  explicit Builder(const Trace& trace) : trace_(trace), s_(trace.spans) {
    const std::size_t n = s_.size();
    graph_.node_of_span.assign(n, kNoIndex);
    graph_.begin_of_span.assign(n, kNoIndex);
    graph_.device_of_span.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      graph_.device_of_span.push_back(trace.lanes[s_.lane[i]].device);
      devices_ = std::max<std::size_t>(devices_, graph_.device_of_span[i].value + 1);
    }
    lane_before_.assign(devices_, kNoIndex);
    graph_.step_time = trace.step_time;
    graph_.first_predecessor.push_back(0);
  }

  Status with(const Plan& plan) {
    graph_.has_plan = true;
    if (trace_.plan_hash != 0 && trace_.plan_hash != hash_of(plan))
      return usage_error("the trace is of another plan: plan {} is wanted, the trace has {}",
                         hex(hash_of(plan)), hex(trace_.plan_hash));
    struct Place {
      std::uint32_t class_index = kNoIndex, member = 0;
      std::size_t first_task = 0;
    };
    std::vector<Place> places(std::max<std::size_t>(devices_, plan.device_count));
    std::size_t tasks = 0;
    std::uint32_t orders = 0;
    for (std::uint32_t c = 0; c < plan.classes.size(); ++c) {
      const DeviceClass& program = plan.classes[c];
      if (!program.tasks.empty()) orders = std::max(orders, program.tasks.back().order + 1);
      for (std::uint32_t m = 0; m < program.members.size(); ++m) {
        places[program.members[m].value] = {c, m, tasks};
        tasks += program.tasks.size();
      }
    }
    // Spans by place and task, and in the plan's order.
    std::vector<std::uint32_t> span_of(tasks, kNoIndex), first(orders + 1, 0);
    const auto task_of = [&](std::uint32_t i) -> const Task& {
      return plan.classes[places[graph_.device_of_span[i].value].class_index].tasks[s_.task[i]];
    };
    for (std::uint32_t i = 0; i < s_.size(); ++i) {
      const DeviceId device = graph_.device_of_span[i];
      const Place& place = places[device.value];
      if (place.class_index == kNoIndex ||
          s_.task[i] >= plan.classes[place.class_index].tasks.size())
        return usage_error("span {}: the plan has no task {} on device {}", i, s_.task[i],
                           device.value);
      if (task_of(i).kind != s_.kind[i])
        return usage_error("span {}: task {} of device {} is {} in the plan, {} in the trace", i,
                           s_.task[i], device.value, name_of(task_of(i).kind), name_of(s_.kind[i]));
      span_of[place.first_task + s_.task[i]] = i;
      ++first[task_of(i).order + 1];
    }
    for (std::uint32_t o = 0; o < orders; ++o) first[o + 1] += first[o];
    std::vector<std::uint32_t> in_order(s_.size());
    {
      std::vector<std::uint32_t> fill(first.begin(), first.end());
      for (const std::uint32_t i : span_of)  // by class, member, task
        if (i != kNoIndex) in_order[fill[task_of(i).order]++] = i;
    }
    const auto depend = [&](std::uint32_t i) {
      const Place& place = places[graph_.device_of_span[i].value];
      for (const std::uint32_t d : plan.classes[place.class_index].dependencies_of(task_of(i)))
        if (const std::uint32_t before = span_of[place.first_task + d]; before != kNoIndex)
          graph_.predecessors.push_back(graph_.node_of_span[before]);
    };
    struct Part {
      std::uint32_t entry, span;
    };
    std::vector<Part> parts;
    for (std::uint32_t o = 0; o < orders; ++o) {
      parts.clear();
      for (std::uint32_t k = first[o]; k < first[o + 1]; ++k) {
        const std::uint32_t i = in_order[k];
        if (s_.kind[i] == TaskKind::kTransfer) {
          const Place& place = places[graph_.device_of_span[i].value];
          parts.push_back({plan.entry(task_of(i), place.member), i});
          continue;
        }
        add_lane(i);
        depend(i);
        add_task(i);
      }
      std::stable_sort(parts.begin(), parts.end(),
                       [](const Part& a, const Part& b) { return a.entry < b.entry; });
      for (std::size_t from = 0; from < parts.size();) {
        std::size_t to = from;
        members_.clear();
        for (; to < parts.size() && parts[to].entry == parts[from].entry; ++to) {
          const std::uint32_t i = parts[to].span;
          members_.push_back(i);
          depend(i);
          add_begin(i);
        }
        add_moves(plan.transfers[parts[from].entry]);
        from = to;
      }
    }
    return {};
  }

  void without_plan() {
    std::vector<std::uint32_t> by_start(s_.size()), by_end(s_.size());
    std::iota(by_start.begin(), by_start.end(), 0u);
    std::iota(by_end.begin(), by_end.end(), 0u);
    const auto starts = [&](auto a, auto b) {
      return std::pair(s_.start[a], a) < std::pair(s_.start[b], b);
    };
    std::sort(by_start.begin(), by_start.end(), starts);
    std::sort(by_end.begin(), by_end.end(),
              [&](auto a, auto b) { return std::pair(s_.end[a], a) < std::pair(s_.end[b], b); });
    std::vector<std::uint32_t> ended(devices_, kNoIndex);  // last, of the device
    std::size_t next = 0;
    for (const std::uint32_t i : by_start) {
      for (; next < by_end.size() && s_.end[by_end[next]] <= s_.start[i]; ++next)
        ended[graph_.device_of_span[by_end[next]].value] = by_end[next];
      const std::uint32_t before = ended[graph_.device_of_span[i].value];
      const bool is_transfer = s_.kind[i] == TaskKind::kTransfer;
      if (!is_transfer) add_lane(i);
      // Of spans without length at one time, those that stand earlier come first.
      if (before != kNoIndex && starts(before, i))
        graph_.predecessors.push_back(graph_.node_of_span[before]);
      if (!is_transfer) {
        add_task(i);
        continue;
      }
      add_begin(i);
      graph_.predecessors.push_back(graph_.begin_of_span[i]);
      graph_.node_of_span[i] =
          add(NodeKind::kMove, i, s_.start[i] + s_.waiting[i], s_.end[i], units_++);
    }
  }

  StepGraph finish() {
    for (std::uint32_t v = 0; v < graph_.size(); ++v)
      if (graph_.last == kNoIndex || graph_.end_of(v) > graph_.end) {
        graph_.last = v;
        graph_.end = graph_.end_of(v);
      }
    tell_gaps();
    return std::move(graph_);
  }

 private:
  // The node has the predecessors that were appended since the one before.
  std::uint32_t add(NodeKind kind, std::uint32_t span, Nanoseconds start, Nanoseconds end,
                    std::uint32_t unit) {
    const auto node = static_cast<std::uint32_t>(graph_.size());
    graph_.kind.push_back(kind);
    graph_.span.push_back(span);
    graph_.start.push_back(start);
    graph_.length.push_back(end - start);
    graph_.unit.push_back(unit);
    std::uint32_t binding = kNoIndex;
    for (std::size_t k = graph_.first_predecessor.back(); k < graph_.predecessors.size(); ++k) {
      const std::uint32_t u = graph_.predecessors[k];
      if (binding == kNoIndex || graph_.end_of(u) > graph_.end_of(binding)) binding = u;
    }
    graph_.binding.push_back(binding);
    graph_.gap.push_back(binding == kNoIndex ? start : start - graph_.end_of(binding));
    graph_.first_predecessor.push_back(static_cast<std::uint32_t>(graph_.predecessors.size()));
    return node;
  }

  void add_lane(std::uint32_t i) {
    if (runs_beside(s_.kind[i])) return;
    const std::uint32_t before = lane_before_[graph_.device_of_span[i].value];
    if (before != kNoIndex) graph_.predecessors.push_back(before);
  }

  void add_task(std::uint32_t i) {
    const std::uint32_t node = add(NodeKind::kTask, i, s_.start[i], s_.end[i], units_++);
    graph_.node_of_span[i] = node;
    if (!runs_beside(s_.kind[i])) lane_before_[graph_.device_of_span[i].value] = node;
  }

  void add_begin(std::uint32_t i) {
    graph_.begin_of_span[i] = add(NodeKind::kBegin, i, s_.start[i], s_.start[i], units_++);
  }

  // The moves of `members_`, whose begins are there.
  void add_moves(const Transfer& transfer) {
    const std::size_t p = members_.size();
    if (transfer.pattern == Pattern::kBoxes || p == 1) {
      partners_.assign(p, {});
      // Spans stand by device here; members do not.
      part_of_device_.resize(devices_, kNoIndex);
      for (std::uint32_t k = 0; k < p; ++k)
        part_of_device_[graph_.device_of_span[members_[k]].value] = k;
      const auto part = [&](std::uint32_t member) {
        const std::uint32_t device = transfer.members[member].device.value;
        return device < devices_ ? part_of_device_[device] : kNoIndex;
      };
      for (const Message& message : transfer.messages) {
        const std::uint32_t a = part(message.src), b = part(message.dst);
        if (a == b || a == kNoIndex || b == kNoIndex) continue;
        partners_[a].push_back(b);
        partners_[b].push_back(a);
      }
      const std::uint32_t unit = units_++;
      for (std::uint32_t k = 0; k < p; ++k) {
        const std::uint32_t i = members_[k];
        std::vector<std::uint32_t>& with = partners_[k];
        with.push_back(k);
        std::sort(with.begin(), with.end());
        with.erase(std::unique(with.begin(), with.end()), with.end());
        Nanoseconds ready = s_.start[i];
        for (const std::uint32_t other : with) {
          const Nanoseconds begun = s_.start[members_[other]];
          if (begun > s_.end[i]) continue;
          graph_.predecessors.push_back(graph_.begin_of_span[members_[other]]);
          ready = std::max(ready, begun);
        }
        graph_.node_of_span[i] = add(NodeKind::kMove, i, ready, s_.end[i], unit);
      }
      for (const std::uint32_t i : members_)
        part_of_device_[graph_.device_of_span[i].value] = kNoIndex;
      return;
    }
    // A gate for every moment at which one more member has begun.
    std::stable_sort(members_.begin(), members_.end(),
                     [&](auto a, auto b) { return s_.start[a] < s_.start[b]; });
    std::vector<std::uint32_t> gates;
    for (std::size_t k = 0; k < p; ++k) {
      if (!gates.empty()) graph_.predecessors.push_back(gates.back());
      graph_.predecessors.push_back(graph_.begin_of_span[members_[k]]);
      const Nanoseconds at = s_.start[members_[k]];
      // Members that begin at the same time share one.
      for (; k + 1 < p && s_.start[members_[k + 1]] == at; ++k)
        graph_.predecessors.push_back(graph_.begin_of_span[members_[k + 1]]);
      gates.push_back(add(NodeKind::kGate, kNoIndex, at, at, units_++));
    }
    const std::uint32_t unit = units_++;
    for (const std::uint32_t i : members_) {
      const auto after = std::upper_bound(
          gates.begin(), gates.end(), s_.end[i],
          [&](Nanoseconds end, std::uint32_t gate) { return end < graph_.start[gate]; });
      const std::uint32_t gate = *(after - 1);  // its own at the earliest
      graph_.predecessors.push_back(gate);
      graph_.node_of_span[i] = add(NodeKind::kMove, i, graph_.start[gate], s_.end[i], unit);
    }
  }

  // What the gaps are.
  void tell_gaps() {
    const bool is_predicted = trace_.origin == TraceOrigin::kPredicted;
    graph_.gap_kind.assign(graph_.size(), GapKind::kNone);
    graph_.gap_span.assign(graph_.size(), kNoIndex);
    // Transfers of each device by when they started, those before with the latest end.
    std::vector<std::vector<std::uint32_t>> moving(devices_), latest(devices_);
    for (std::uint32_t i = 0; i < s_.size(); ++i)
      if (runs_beside(s_.kind[i])) moving[graph_.device_of_span[i].value].push_back(i);
    for (std::size_t d = 0; d < devices_; ++d) {
      std::sort(moving[d].begin(), moving[d].end(), [&](auto a, auto b) {
        return std::pair(s_.start[a], a) < std::pair(s_.start[b], b);
      });
      for (const std::uint32_t i : moving[d]) {
        const bool is_later = latest[d].empty() || s_.end[i] >= s_.end[latest[d].back()];
        latest[d].push_back(is_later ? i : latest[d].back());
      }
    }
    for (std::uint32_t v = 0; v < graph_.size(); ++v) {
      if (graph_.gap[v].value == 0) continue;
      GapKind& kind = graph_.gap_kind[v];
      if (graph_.binding[v] == kNoIndex) {
        kind = GapKind::kStart;
        continue;
      }
      if (graph_.kind[v] == NodeKind::kMove) {
        kind = GapKind::kOthers;
        continue;
      }
      kind = GapKind::kHost;
      const std::uint32_t i = graph_.span[v];
      if (graph_.kind[v] != NodeKind::kTask || runs_beside(s_.kind[i])) continue;
      // The latest transfer that has begun by the end of the gap and is not over at its beginning.
      const std::size_t d = graph_.device_of_span[i].value;
      const Nanoseconds from = graph_.start[v] - graph_.gap[v], to = graph_.start[v];
      const auto after =
          std::lower_bound(moving[d].begin(), moving[d].end(), to,
                           [&](std::uint32_t span, Nanoseconds t) { return s_.start[span] < t; });
      if (after == moving[d].begin()) continue;
      const auto k = static_cast<std::size_t>(after - moving[d].begin()) - 1;
      const std::uint32_t newest = moving[d][k], longest = latest[d][k];
      const std::uint32_t cause = s_.end[newest] > from ? newest : longest;
      if (s_.end[cause] <= from) continue;
      const Nanoseconds active = s_.start[cause] + s_.waiting[cause];
      if (!is_predicted && active >= to) continue;
      kind = GapKind::kCopying;
      graph_.gap_span[v] = cause;
    }
  }

  const Trace& trace_;
  const Spans& s_;
  StepGraph graph_;
  std::size_t devices_ = 0;
  std::uint32_t units_ = 0;
  std::vector<std::uint32_t> lane_before_;  // per device: its computing task before
  std::vector<std::uint32_t> members_;      // spans of the transfer in hand
  std::vector<std::vector<std::uint32_t>> partners_;
  std::vector<std::uint32_t> part_of_device_;  // index into members_
};

}  // namespace

Result<StepGraph> step_graph(const Plan& plan, const Trace& trace) {
  Builder builder(trace);
  SOAPSTONE_TRY(builder.with(plan));
  return builder.finish();
}

StepGraph step_graph(const Trace& trace) {
  Builder builder(trace);
  builder.without_plan();
  return builder.finish();
}

SpanLinks links_of(const StepGraph& graph, std::uint32_t span) {
  SpanLinks out;
  const std::uint32_t own[] = {graph.node_of_span[span], graph.begin_of_span[span]};
  // Backwards through gates and the begins of other members, which have no time of their own.
  std::vector<std::uint32_t> open;
  std::vector<bool> seen(graph.size(), false);
  const auto look_at = [&](std::uint32_t node) {
    for (const std::uint32_t u : graph.predecessors_of(node)) {
      if (seen[u]) continue;
      seen[u] = true;
      if (graph.kind[u] == NodeKind::kGate || graph.kind[u] == NodeKind::kBegin)
        open.push_back(u);
      else if (graph.span[u] != span)
        out.before.push_back(graph.span[u]);
    }
  };
  look_at(own[0]);
  while (!open.empty()) {
    const std::uint32_t u = open.back();
    open.pop_back();
    look_at(u);
  }
  // Forwards: nodes that have one of those between.
  std::vector<bool> follows(graph.size(), false);
  follows[own[0]] = true;
  for (std::uint32_t v = own[0] + 1; v < graph.size(); ++v)
    for (const std::uint32_t u : graph.predecessors_of(v)) {
      if (!follows[u]) continue;
      if (u != own[0] && graph.kind[u] != NodeKind::kGate && graph.kind[u] != NodeKind::kBegin)
        continue;
      follows[v] = true;
      if (graph.kind[v] == NodeKind::kTask || graph.kind[v] == NodeKind::kMove)
        out.after.push_back(graph.span[v]);
      break;
    }
  for (std::vector<std::uint32_t>* list : {&out.before, &out.after}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  std::uint32_t u = graph.binding[own[0]];
  while (u != kNoIndex && (graph.kind[u] == NodeKind::kGate || graph.kind[u] == NodeKind::kBegin))
    u = graph.binding[u];
  if (u != kNoIndex) out.binding = graph.span[u];
  return out;
}

namespace {

void follow(const StepGraph& g, std::uint32_t v, Nanoseconds at, Nanoseconds until,
            std::vector<ChainPiece>& out) {
  while (at > until) {
    const std::uint32_t u = g.binding[v];
    const Nanoseconds ended = u == kNoIndex ? until : std::max(until, g.end_of(u));
    if (ended < at) {
      out.push_back({ended, at, v, true});
      at = ended;
    }
    if (u == kNoIndex) return;
    const Nanoseconds started = std::max(until, g.start[u]);
    if (started < at) {
      out.push_back({started, at, u, false});
      at = started;
    }
    v = u;
  }
}

}  // namespace

std::vector<ChainPiece> chain_before(const StepGraph& graph, std::uint32_t node,
                                     Nanoseconds until) {
  std::vector<ChainPiece> out;
  follow(graph, node, graph.start[node], until, out);
  return out;
}

std::vector<ChainPiece> chain(const StepGraph& graph, std::uint32_t node, Nanoseconds from,
                              Nanoseconds until) {
  std::vector<ChainPiece> out;
  const Nanoseconds started = std::max(until, graph.start[node]);
  if (started < from) {
    out.push_back({started, from, node, false});
    from = started;
  }
  follow(graph, node, from, until, out);
  return out;
}

Nanoseconds end_with(const StepGraph& graph, std::span<const Nanoseconds> lengths,
                     std::span<const Nanoseconds> gaps) {
  SOAPSTONE_ASSERT(lengths.size() == graph.size() && gaps.size() == graph.size(),
                   "{} lengths and {} gaps for {} nodes", lengths.size(), gaps.size(),
                   graph.size());
  std::vector<Nanoseconds> end(graph.size());
  Nanoseconds last;
  for (std::uint32_t v = 0; v < graph.size(); ++v) {
    const auto before = graph.predecessors_of(v);
    Nanoseconds ready = before.empty() ? Nanoseconds(0) : end[before[0]];
    for (const std::uint32_t u : before) ready = std::max(ready, end[u]);
    end[v] = ready + gaps[v] + lengths[v];
    last = v == 0 ? end[v] : std::max(last, end[v]);
  }
  return last;
}

Nanoseconds end_without(const StepGraph& graph, const std::vector<bool>& spans) {
  std::vector<Nanoseconds> lengths = graph.length, gaps = graph.gap;
  for (std::uint32_t v = 0; v < graph.size(); ++v) {
    if (graph.span[v] != kNoIndex && spans[graph.span[v]]) lengths[v] = Nanoseconds(0);
    if (graph.gap_span[v] != kNoIndex && spans[graph.gap_span[v]]) gaps[v] = Nanoseconds(0);
  }
  return end_with(graph, lengths, gaps);
}

}  // namespace soapstone::simulator
