#include "explorer_gui/model/cluster_view.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/core.h>

#include "core/collectives/schedule.hpp"
#include "core/units.hpp"
#include "simulator/analysis/utilization.hpp"

namespace soapstone::explorer {

namespace {

constexpr double kGap = 0.25;       // between devices
constexpr double kNodeGap = 0.8;    // between nodes
constexpr double kNodeTitle = 0.6;  // above a node's devices

// Bytes between two devices.
struct Flow {
  core::DeviceId from, to;
  core::Bytes bytes;
};

std::vector<Flow> flows_of(const core::Transfer& transfer) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::int64_t> elements;
  if (transfer.pattern == core::Pattern::kBoxes) {
    for (const core::Message& m : transfer.messages)
      if (m.src != m.dst) elements[{m.src, m.dst}] += core::elements(m.box);
  } else if (transfer.pattern != core::Pattern::kNone) {
    for (const core::ScheduleStep& s : core::make_schedule(core::collective_of(transfer)).steps)
      if (s.send_to.valid()) elements[{s.member.value, s.send_to.value}] += s.send.extent();
  }
  std::vector<Flow> out;
  for (const auto& [ends, n] : elements)
    out.push_back({transfer.members[ends.first].device, transfer.members[ends.second].device,
                   core::size_of(transfer.dtype) * n});
  return out;
}

std::string list_of(const std::vector<std::int32_t>& stages) {
  std::string out = stages.size() == 1 ? "stage " : "stages ";
  for (std::size_t i = 0; i < stages.size(); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : i + 1 == stages.size() ? " and " : ", ", stages[i]);
  return out;
}

}  // namespace

ClusterPicture picture_of(const core::Cluster& cluster, double aspect) {
  ClusterPicture out;
  out.devices.resize(cluster.size());
  std::vector<std::vector<std::uint32_t>> devices(cluster.nodes());
  std::size_t fullest = 1;
  for (std::uint32_t d = 0; d < cluster.size(); ++d) {
    auto& of_node = devices[cluster.devices()[d].node];
    of_node.push_back(d);
    fullest = std::max(fullest, of_node.size());
  }
  // A node is up to four devices wide, so that its links can be followed.
  const auto across =
      static_cast<std::size_t>(std::min(4.0, std::ceil(std::sqrt(static_cast<double>(fullest)))));
  const std::size_t down = (fullest + across - 1) / across;
  const double width = static_cast<double>(across) * (1 + kGap) + kGap;
  const double height = static_cast<double>(down) * (1 + kGap) + kGap + kNodeTitle;
  const double nodes = static_cast<double>(std::max<std::size_t>(1, devices.size()));
  const auto columns = static_cast<std::size_t>(
      std::clamp(std::round(std::sqrt(nodes * aspect * (height + kNodeGap) / (width + kNodeGap))),
                 1.0, nodes));
  for (std::size_t n = 0; n < devices.size(); ++n) {
    const double x = static_cast<double>(n % columns) * (width + kNodeGap);
    const double y = static_cast<double>(n / columns) * (height + kNodeGap);
    out.nodes.push_back({x, y, width, height});
    for (std::size_t i = 0; i < devices[n].size(); ++i)
      out.devices[devices[n][i]] = {
          x + kGap + static_cast<double>(i % across) * (1 + kGap),
          y + kNodeTitle + kGap + static_cast<double>(i / across) * (1 + kGap), 1, 1};
    out.width = std::max(out.width, x + width);
    out.height = std::max(out.height, y + height);
  }
  return out;
}

RankMatrix rank_matrix(const core::Cluster& cluster, const core::Strategy& strategy) {
  std::vector<std::vector<std::int32_t>> stages(cluster.size());
  for (const core::OpStrategy& o : strategy.ops)
    for (const core::DeviceId d : o.devices) {
      auto& mine = stages[d.value];
      if (std::find(mine.begin(), mine.end(), o.stage) == mine.end()) mine.push_back(o.stage);
    }
  std::map<std::vector<std::int32_t>, std::vector<std::uint32_t>> rows;
  for (std::uint32_t d = 0; d < stages.size(); ++d) {
    if (stages[d].empty()) continue;
    std::sort(stages[d].begin(), stages[d].end());
    rows[stages[d]].push_back(d);
  }
  RankMatrix out;
  for (const auto& [of, devices] : rows) {
    for (std::size_t i = 0; i < devices.size(); ++i)
      out.cells.push_back({static_cast<std::uint32_t>(out.rows.size()),
                           static_cast<std::uint32_t>(i), core::DeviceId(devices[i])});
    out.columns = std::max(out.columns, static_cast<std::uint32_t>(devices.size()));
    out.rows.push_back(list_of(of));
  }
  return out;
}

RankMatrix folded(const RankMatrix& matrix, double aspect) {
  std::vector<std::uint32_t> sizes(matrix.rows.size(), 0);
  for (const RankMatrix::Cell& c : matrix.cells) ++sizes[c.row];
  RankMatrix out;
  double best = 0;
  for (std::uint32_t columns = matrix.columns; columns > 0; --columns) {
    std::uint32_t lines = 0;
    for (const std::uint32_t size : sizes) lines += (size + columns - 1) / columns;
    const double side = std::min(aspect / columns, 1.0 / std::max(1u, lines));
    if (side <= best * 1.001) continue;
    best = side;
    out.columns = columns;
  }
  if (out.columns == 0) return matrix;
  std::vector<std::uint32_t> first(sizes.size(), 0);
  for (std::size_t r = 0; r < sizes.size(); ++r) {
    first[r] = static_cast<std::uint32_t>(out.rows.size());
    out.rows.push_back(matrix.rows[r]);
    out.rows.resize(first[r] + std::max(1u, (sizes[r] + out.columns - 1) / out.columns));
  }
  for (const RankMatrix::Cell& c : matrix.cells)
    out.cells.push_back({first[c.row] + c.column / out.columns, c.column % out.columns, c.device});
  return out;
}

const RankMatrix::Cell* cell_at(const RankMatrix& matrix, double x, double y) {
  if (x < 0 || y < 0) return nullptr;
  const auto at = std::pair(static_cast<std::uint32_t>(y), static_cast<std::uint32_t>(x));
  const auto found = std::lower_bound(
      matrix.cells.begin(), matrix.cells.end(), at,
      [](const RankMatrix::Cell& c, const auto& p) { return std::pair(c.row, c.column) < p; });
  return found != matrix.cells.end() && std::pair(found->row, found->column) == at ? &*found
                                                                                   : nullptr;
}

namespace {

// Shares of the step in which devices do nothing because a transfer waits for other devices.
std::map<core::DeviceId, double> waiting_of_devices(const core::Trace& trace) {
  using Times = std::vector<std::pair<std::int64_t, std::int64_t>>;
  std::map<core::DeviceId, std::pair<Times, Times>> devices;  // active, active or waiting
  const core::Spans& s = trace.spans;
  for (std::size_t i = 0; i < s.size(); ++i) {
    auto& [active, any] = devices[trace.lanes[s.lane[i]].device];
    active.emplace_back((s.start[i] + s.waiting[i]).value, s.end[i].value);
    any.emplace_back(s.start[i].value, s.end[i].value);
  }
  const auto covered = [](Times& times) {
    std::sort(times.begin(), times.end());
    std::int64_t sum = 0, until = INT64_MIN;
    for (const auto& [begin, end] : times) {
      if (end <= until) continue;
      sum += end - std::max(begin, until);
      until = end;
    }
    return static_cast<double>(sum);
  };
  std::map<core::DeviceId, double> out;
  const auto step = static_cast<double>(std::max<std::int64_t>(1, trace.step_time.value));
  for (auto& [device, times] : devices)
    out[device] = (covered(times.second) - covered(times.first)) / step;
  return out;
}

// What each device's computing time is compared with.
std::map<core::DeviceId, double> usual_computing(const Evaluation& evaluation,
                                                 const core::Trace* measured) {
  std::map<core::DeviceId, double> predicted, out;
  for (const auto& [device, use] : simulator::utilization_of_devices(evaluation.trace))
    predicted[device] = use.computing * static_cast<double>(evaluation.trace.step_time.value);
  if (measured) return predicted;
  for (const core::DeviceClass& program : evaluation.plan.classes) {
    double sum = 0;
    for (const core::DeviceId d : program.members) sum += predicted[d];
    for (const core::DeviceId d : program.members)
      out[d] = sum / static_cast<double>(program.members.size());
  }
  return out;
}

}  // namespace

DeviceShading shading(const core::Cluster& cluster, const Evaluation& evaluation, DeviceShade by,
                      const core::Trace* measured) {
  DeviceShading out;
  out.share.assign(cluster.size(), -1);
  out.text.assign(cluster.size(), "no work");
  if (by == DeviceShade::kMemory) {
    out.legend = "allocated of what the device has";
    core::Bytes most;
    for (const core::DeviceClass& program : evaluation.plan.classes)
      most = std::max(most, program.arena);
    for (const core::DeviceClass& program : evaluation.plan.classes) {
      if (program.tasks.empty()) continue;
      for (const core::DeviceId d : program.members) {
        const core::Bytes has = cluster.kind(d).memory;
        const core::Bytes of = has.value > 0 ? has : most;
        out.share[d.value] = of.value == 0 ? 0
                                           : static_cast<double>(program.arena.value) /
                                                 static_cast<double>(of.value);
        out.text[d.value] = has.value > 0 ? fmt::format("{} of {}", core::human_text(program.arena),
                                                        core::human_text(has))
                                          : core::human_text(program.arena);
      }
    }
    return out;
  }
  const bool deviation = by == DeviceShade::kDeviation;
  out.legend = !deviation ? "share of the step"
               : measured ? "measured computing time against the predicted one"
                          : "computing time against the mean of the devices that do the same";
  const core::Trace& trace = deviation && measured ? *measured : evaluation.trace;
  std::map<core::DeviceId, double> usual, waiting;
  if (deviation) usual = usual_computing(evaluation, measured);
  if (by == DeviceShade::kWaiting) waiting = waiting_of_devices(trace);
  for (const auto& [device, use] : simulator::utilization_of_devices(trace)) {
    if (device.value >= out.share.size()) continue;
    if (use.computing == 0 && use.exposed_communication == 0) continue;
    double& share = out.share[device.value];
    if (deviation) {
      const double time = use.computing * static_cast<double>(trace.step_time.value);
      const double more = usual[device] > 0 ? time / usual[device] - 1 : 0;
      // In the middle: as long; at the ends: half as long again, or half.
      share = std::clamp(0.5 + more, 0.0, 1.0);
      out.text[device.value] = usual[device] > 0 ? fmt::format("{:+.1f} %", 100 * more) : "";
      continue;
    }
    share = by == DeviceShade::kComputing ? use.computing
            : by == DeviceShade::kExposed ? use.exposed_communication
            : by == DeviceShade::kIdle    ? use.idle
                                          : waiting[device];
    out.text[device.value] = fmt::format("{:.1f} %", 100 * share);
  }
  return out;
}

// What comes faster than the link carries it waits, and goes when there is room.
std::vector<LinkLoad::Change> LinkLoad::limited(const std::vector<Change>& wanted, double most) {
  std::vector<Change> out;
  const auto add = [&](core::Nanoseconds time, double rate) {
    if (!out.empty() && out.back().time == time) out.pop_back();
    if (out.empty() || out.back().rate != rate) out.push_back({time, rate});
  };
  double waiting = 0;  // bytes
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double rate = wanted[i].rate;
    add(wanted[i].time, waiting > 0 ? most : std::min(rate, most));
    const double time =
        i + 1 < wanted.size()
            ? static_cast<double>((wanted[i + 1].time - wanted[i].time).value) * 1e-9
            : std::numeric_limits<double>::infinity();
    const double done = waiting == 0  ? 0  // seconds until none waits
                        : rate < most ? waiting / (most - rate)
                                      : std::numeric_limits<double>::infinity();
    if (rate <= most && done < time) {
      if (waiting > 0)
        add(wanted[i].time + core::Nanoseconds(static_cast<std::int64_t>(std::ceil(done * 1e9))),
            rate);
      waiting = 0;
    } else {
      waiting = std::max(0.0, waiting + (rate - most) * time);
    }
  }
  return out;
}

LinkLoad::LinkLoad(const core::Cluster& cluster, const core::Plan& plan, const core::Trace& trace,
                   const std::vector<double>& factors)
    : changes_(cluster.links().size()),
      moved_(cluster.links().size()),
      most_(cluster.links().size()) {
  // When the members of a transfer are at it. A transfer may run in every micro-batch: its place in
  // the order tells those apart.
  struct Window {
    core::Nanoseconds begin{INT64_MAX}, end{INT64_MIN};
  };
  std::map<std::pair<std::uint32_t, std::uint32_t>, Window> windows;
  std::vector<core::PlanPlace> places(cluster.size());
  for (std::uint32_t c = 0; c < plan.classes.size(); ++c)
    for (std::uint32_t m = 0; m < plan.classes[c].members.size(); ++m)
      places[plan.classes[c].members[m].value] = {c, m};
  const core::Spans& s = trace.spans;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s.kind[i] != core::TaskKind::kTransfer) continue;
    const core::DeviceId device = trace.lanes[s.lane[i]].device;
    if (device.value >= places.size() || places[device.value].class_index == core::kNoIndex)
      continue;
    const core::DeviceClass& program = plan.classes[places[device.value].class_index];
    if (s.task[i] >= program.tasks.size()) continue;
    const core::Task& task = program.tasks[s.task[i]];
    if (task.row == core::kNoIndex || task.kind != core::TaskKind::kTransfer) continue;
    Window& w = windows[{plan.entry(task, places[device.value].member), task.order}];
    w.begin = std::min(w.begin, s.start[i] + s.waiting[i]);
    w.end = std::max(w.end, s.end[i]);
  }
  std::map<std::uint32_t, std::vector<std::pair<core::LinkId, core::Bytes>>> bytes_of;
  for (const auto& [which, window] : windows) {
    const auto [found, fresh] = bytes_of.try_emplace(which.first);
    if (fresh) {
      std::map<core::LinkId, core::Bytes> per_link;
      for (const Flow& f : flows_of(plan.transfers[which.first]))
        for (const core::LinkId link : cluster.route(f.from, f.to)) per_link[link] += f.bytes;
      found->second.assign(per_link.begin(), per_link.end());
    }
    const double time = std::max(1.0, static_cast<double>((window.end - window.begin).value));
    for (const auto& [link, bytes] : found->second) {
      const double rate = static_cast<double>(bytes.value) * 1e9 / time;
      moved_[link.value] += bytes;
      changes_[link.value].push_back({window.begin, rate});
      changes_[link.value].push_back(
          {std::max(window.end, window.begin + core::Nanoseconds(1)), -rate});
    }
  }
  for (std::size_t l = 0; l < changes_.size(); ++l) {
    auto& changes = changes_[l];
    std::stable_sort(changes.begin(), changes.end(),
                     [](const Change& a, const Change& b) { return a.time < b.time; });
    double rate = 0;
    for (Change& c : changes) {
      rate += c.rate;
      c.rate = std::max(0.0, rate);
    }
    if (!changes.empty()) changes.back().rate = 0;
    if (trace.origin == core::TraceOrigin::kPredicted)
      changes = limited(changes,
                        cluster.link(core::LinkId(static_cast<std::uint32_t>(l))).bandwidth.value *
                            (factors.empty() ? 1 : factors[l]));
    for (std::size_t i = 0; i < changes.size(); ++i)
      if (i + 1 == changes.size() || changes[i + 1].time != changes[i].time)
        most_[l] = std::max(most_[l], changes[i].rate);
  }
}

double LinkLoad::at(core::LinkId link, core::Nanoseconds time) const {
  const auto& changes = changes_[link.value];
  const auto after =
      std::upper_bound(changes.begin(), changes.end(), time,
                       [](core::Nanoseconds t, const Change& c) { return t < c.time; });
  return after == changes.begin() ? 0 : std::prev(after)->rate;
}

std::vector<BusyLink> busiest(const core::Cluster& cluster, const LinkLoad& load,
                              core::Nanoseconds time, std::size_t most) {
  std::vector<BusyLink> out;
  for (std::uint32_t l = 0; l < load.size(); ++l) {
    const double rate = load.at(core::LinkId(l), time);
    if (rate > 0)
      out.push_back({core::LinkId(l), rate, rate / cluster.link(core::LinkId(l)).bandwidth.value});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const BusyLink& a, const BusyLink& b) { return a.share > b.share; });
  if (out.size() > most) out.resize(most);
  return out;
}

}  // namespace soapstone::explorer
