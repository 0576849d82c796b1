#include "explorer_gui/model/timeline.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

#include <fmt/core.h>

#include "core/reflect.hpp"
#include "core/units.hpp"
#include "simulator/analysis/align.hpp"

namespace soapstone::explorer {

namespace {

constexpr double kGroupHeight = 20, kComputeHeight = 20, kCommunicationHeight = 12,
                 kManyCommunicationHeight = 7;  // points
constexpr std::size_t kFewCommunicationLanes = 4;
// A device whose computing differs that much from the others' of its group stands alone, so that a
// straggler is not folded away; but no more than so many per group.
constexpr double kAlike = 0.05;
constexpr std::size_t kMostAlone = 4;

std::int64_t active_of(const core::Spans& s, std::size_t i) {
  return std::max<std::int64_t>(0, s.end[i].value - s.start[i].value - s.waiting[i].value);
}
std::int64_t waiting_of(const core::Spans& s, std::size_t i) {
  return std::clamp<std::int64_t>(s.waiting[i].value, 0, s.end[i].value - s.start[i].value);
}

void add(BusyTime& to, const core::Spans& s, std::size_t i) {
  to.work[static_cast<std::size_t>(work_of(s.kind[i], s.phase[i]))] += active_of(s, i);
  to.waiting += waiting_of(s, i);
}

std::int64_t whole_nanoseconds(double t) {
  return static_cast<std::int64_t>(std::clamp(t, -9e18, 9e18));
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

// "node0.device0", 31 more of them.
std::string group_name(const std::string& first, std::size_t count) {
  return count == 1 ? first : fmt::format("{} × {}", first, count);
}

using Pieces = std::vector<std::pair<std::int64_t, std::int64_t>>;

// How long at least one of the pieces runs; they are sorted by their beginnings.
std::int64_t covered(const Pieces& pieces) {
  std::int64_t sum = 0, until = INT64_MIN;
  for (const auto& [begin, end] : pieces) {
    const std::int64_t from = std::max(begin, until);
    if (end <= from) continue;
    sum += end - from;
    until = end;
  }
  return sum;
}

}  // namespace

std::int64_t BusyTime::total() const {
  return std::accumulate(work.begin(), work.end(), std::int64_t{0});
}

Work BusyTime::most() const {
  return static_cast<Work>(std::max_element(work.begin(), work.end()) - work.begin());
}

std::int64_t grain_of(double nanoseconds_per_pixel, double pixels) {
  const double most = std::clamp(nanoseconds_per_pixel * pixels, 1.0, 4e18);
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(most)));
}

// --- the index ----------------------------------------------------------------------------------

SpanIndex::SpanIndex(const core::Trace& trace) : trace_(&trace) {
  const core::Spans& s = trace.spans;
  first_.assign(trace.lanes.size() + 1, 0);
  before_.reserve(s.size() / kBlock + 1);
  BusyTime sum;
  for (std::size_t i = 0; i <= s.size(); ++i) {
    if (i % kBlock == 0) before_.push_back(sum);
    if (i == s.size()) break;
    add(sum, s, i);
    ++first_[s.lane[i] + 1];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
}

BusyTime SpanIndex::sum(std::size_t first, std::size_t end) const {
  const core::Spans& s = trace_->spans;
  BusyTime out;
  const std::size_t first_block = (first + kBlock - 1) / kBlock, end_block = end / kBlock;
  if (first_block >= end_block) {
    for (std::size_t i = first; i < end; ++i) add(out, s, i);
    return out;
  }
  const BusyTime &low = before_[first_block], &high = before_[end_block];
  for (std::size_t w = 0; w < kWorks; ++w) out.work[w] = high.work[w] - low.work[w];
  out.waiting = high.waiting - low.waiting;
  for (std::size_t i = first; i < first_block * kBlock; ++i) add(out, s, i);
  for (std::size_t i = end_block * kBlock; i < end; ++i) add(out, s, i);
  return out;
}

BusyTime SpanIndex::sum_between(std::size_t lane, std::int64_t from, std::int64_t to) const {
  const core::Spans& s = trace_->spans;
  const auto begin = s.end.begin() + first_of(lane), stop = s.end.begin() + end_of(lane);
  auto first = static_cast<std::size_t>(std::upper_bound(begin, stop, core::Nanoseconds(from)) -
                                        s.end.begin());
  auto end = static_cast<std::size_t>(
      std::lower_bound(s.start.begin() + static_cast<std::ptrdiff_t>(first_of(lane)),
                       s.start.begin() + static_cast<std::ptrdiff_t>(end_of(lane)),
                       core::Nanoseconds(to)) -
      s.start.begin());
  BusyTime out;
  if (first >= end) return out;
  const auto clipped = [&](std::size_t i) {
    const std::int64_t ready = s.start[i].value + waiting_of(s, i);
    out.waiting +=
        std::max<std::int64_t>(0, std::min(ready, to) - std::max(s.start[i].value, from));
    out.work[static_cast<std::size_t>(work_of(s.kind[i], s.phase[i]))] +=
        std::max<std::int64_t>(0, std::min(s.end[i].value, to) - std::max(ready, from));
  };
  clipped(first++);
  if (first < end) clipped(--end);
  if (first < end) {
    const BusyTime inside = sum(first, end);
    for (std::size_t w = 0; w < kWorks; ++w) out.work[w] += inside.work[w];
    out.waiting += inside.waiting;
  }
  return out;
}

// The first span of the lane, from `near` on, that starts at `start` or later. By doubling steps:
// it is near as a rule.
std::size_t SpanIndex::first_from(std::size_t lane, std::size_t near, std::int64_t start) const {
  const auto& starts = trace_->spans.start;
  const std::size_t end = end_of(lane);
  std::size_t low = near, step = 1;
  while (low + step < end && starts[low + step].value < start) {
    low += step;
    step *= 2;
  }
  const std::size_t high = std::min(low + step, end);
  return static_cast<std::size_t>(
      std::lower_bound(starts.begin() + static_cast<std::ptrdiff_t>(low),
                       starts.begin() + static_cast<std::ptrdiff_t>(high),
                       core::Nanoseconds(start)) -
      starts.begin());
}

Box SpanIndex::box_of(std::size_t span, std::int64_t grain) const {
  const core::Spans& s = trace_->spans;
  const auto long_enough = [&](std::size_t i) {
    return s.end[i].value - s.start[i].value >= grain;
  };
  std::size_t first = span, end = span + 1;
  if (!long_enough(span)) {
    const std::size_t lane = s.lane[span];
    const std::int64_t begin = s.start[span].value & ~(grain - 1);
    // Back to the first that starts in this grain.
    std::size_t low = span, step = 1;
    while (low >= first_of(lane) + step && s.start[low - step].value >= begin) {
      low -= step;
      step *= 2;
    }
    const std::size_t least = low >= first_of(lane) + step ? low - step : first_of(lane);
    first = first_from(lane, least, begin);
    end = first_from(lane, span, begin + grain);
    // What is long enough ends in another grain: it is the last that starts in this one.
    if (end > span + 1 && long_enough(end - 1)) --end;
  }
  Box box;
  box.start = s.start[first].value;
  box.end = s.end[end - 1].value;
  box.first = static_cast<std::uint32_t>(first);
  box.count = static_cast<std::uint32_t>(end - first);
  if (box.count == 1) {
    box.work = work_of(s.kind[first], s.phase[first]);
    box.busy = active_of(s, first);
    box.waiting = waiting_of(s, first);
  } else {
    const BusyTime busy = sum(first, end);
    box.work = busy.most();
    box.busy = busy.total();
    box.waiting = busy.waiting;
  }
  return box;
}

void SpanIndex::boxes(std::size_t lane, double from, double to, std::int64_t grain,
                      std::vector<Box>& out) const {
  const core::Spans& s = trace_->spans;
  const std::size_t end = end_of(lane);
  const auto begin = s.end.begin() + static_cast<std::ptrdiff_t>(first_of(lane));
  auto i = static_cast<std::size_t>(
      std::upper_bound(begin, s.end.begin() + static_cast<std::ptrdiff_t>(end),
                       core::Nanoseconds(whole_nanoseconds(from))) -
      s.end.begin());
  const std::int64_t until = whole_nanoseconds(std::ceil(to));
  while (i < end && s.start[i].value < until) {
    out.push_back(box_of(i, grain));
    i = out.back().first + out.back().count;
  }
}

std::optional<Box> SpanIndex::box_at(std::size_t lane, double time, std::int64_t grain,
                                     double reach) const {
  const core::Spans& s = trace_->spans;
  const std::size_t first = first_of(lane), end = end_of(lane);
  if (first == end) return std::nullopt;
  const auto at = static_cast<std::size_t>(
      std::upper_bound(s.end.begin() + static_cast<std::ptrdiff_t>(first),
                       s.end.begin() + static_cast<std::ptrdiff_t>(end),
                       core::Nanoseconds(whole_nanoseconds(std::floor(time)))) -
      s.end.begin());
  std::optional<Box> best;
  double least = reach;
  const auto try_one = [&](std::size_t i) {
    const Box box = box_of(i, grain);
    const double away =
        std::max({0.0, static_cast<double>(box.start) - time, time - static_cast<double>(box.end)});
    if (away > least || (best && away >= least)) return;
    least = away;
    best = box;
  };
  if (at < end) try_one(at);
  if (at > first) try_one(at - 1);
  return best;
}

std::size_t SpanIndex::bytes() const {
  return first_.capacity() * sizeof(first_[0]) + before_.capacity() * sizeof(before_[0]);
}

bool SpanSet::any(std::size_t first, std::size_t end) const {
  const auto it = std::lower_bound(spans.begin(), spans.end(), first);
  return it != spans.end() && *it < end;
}

// --- traces below each other --------------------------------------------------------------------

std::shared_ptr<const Timeline> Timeline::make(std::vector<TimelineSource> sources,
                                               std::shared_ptr<const core::Cluster> cluster) {
  auto out = std::make_shared<Timeline>();
  out->cluster_ = std::move(cluster);
  std::int64_t first = 0, last = 1;
  for (TimelineSource& source : sources) {
    Half half;
    half.source = std::move(source);
    const core::Trace& trace = *half.source.trace;
    half.index = SpanIndex(trace);
    for (std::size_t l = 0; l < trace.lanes.size(); ++l) {
      const std::size_t device = trace.lanes[l].device.value;
      if (device >= half.lanes.size()) half.lanes.resize(device + 1);
      half.lanes[device].push_back(static_cast<std::uint32_t>(l));
      const std::size_t begin = half.index.first_of(l), end = half.index.end_of(l);
      if (begin == end) continue;
      first = std::min(first, trace.spans.start[begin].value);
      last = std::max(last, trace.spans.end[end - 1].value);
    }
    last = std::max(last, trace.step_time.value);
    const BusyTime sum = half.index.sum(0, trace.spans.size());
    for (std::size_t w = 0; w < kWorks; ++w) out->sum_.work[w] += sum.work[w];
    if (half.source.plan) {
      const auto& classes = half.source.plan->classes;
      for (std::size_t c = 0; c < classes.size(); ++c)
        for (std::size_t m = 0; m < classes[c].members.size(); ++m) {
          const std::size_t device = classes[c].members[m].value;
          if (device >= half.places.size()) half.places.resize(device + 1);
          half.places[device] = {static_cast<std::uint32_t>(c), static_cast<std::uint32_t>(m)};
        }
    }
    out->halves_.push_back(std::move(half));
  }
  out->first_ = first;
  out->last_ = last;
  out->make_groups();
  constexpr std::size_t kMostTold = 256;
  for (std::size_t g = 0; g < std::min(out->groups_.size(), kMostTold); ++g)
    for (std::size_t source = 0; source < out->sources(); ++source) {
      DeviceGroup& group = out->groups_[g];
      const RangeStatistics s = range_statistics(
          *out, source, 0, out->trace(source).step_time.value, {group.devices.front()}, 0);
      if (s.total().value <= 0) continue;
      const auto share = [&](core::Nanoseconds t) {
        return 100 * static_cast<double>(t.value) / static_cast<double>(s.total().value);
      };
      group.use += fmt::format(
          "{}{}computing {:.0f} %, exposed communication {:.0f} %, idle {:.0f} %",
          group.use.empty() ? "" : "; ", out->sources() > 1 ? out->source(source).name + ": " : "",
          share(s.computing), share(s.exposed), share(s.idle));
    }
  return out;
}

std::string Timeline::device_name(core::DeviceId device) const {
  if (cluster_ && device.value < cluster_->size()) return cluster_->device(device).name;
  return fmt::format("device{}", device.value);
}

std::vector<core::DeviceId> Timeline::devices() const {
  std::set<core::DeviceId> out;
  for (const Half& half : halves_)
    for (const core::Lane& lane : half.source.trace->lanes) out.insert(lane.device);
  return {out.begin(), out.end()};
}

const std::vector<std::uint32_t>& Timeline::lanes_of(std::size_t source,
                                                     core::DeviceId device) const {
  static const std::vector<std::uint32_t> kNone;
  const auto& lanes = halves_[source].lanes;
  return device.value < lanes.size() ? lanes[device.value] : kNone;
}

// Devices whose spans have the same names as often do the same: those of one class of a plan, and
// of classes that differ in nothing but whom they talk to. Told by the traces, which also those
// without a plan have.
void Timeline::make_groups() {
  const std::vector<core::DeviceId> all = devices();
  std::map<std::uint64_t, std::vector<core::DeviceId>> alike;
  std::vector<std::vector<std::uint64_t>> names;
  for (const Half& half : halves_) {
    names.emplace_back();
    for (const std::string& label : half.source.trace->labels) {
      core::Hasher h;
      core::append_hash(h, label);
      names.back().push_back(h.finish());
    }
  }
  for (const core::DeviceId device : all) {
    core::Hasher h;
    // The first trace that has the device says what it does.
    for (std::size_t source = 0; source < halves_.size(); ++source) {
      if (lanes_of(source, device).empty()) continue;
      const Half& half = halves_[source];
      const core::Spans& s = half.source.trace->spans;
      std::uint64_t sum = 0;  // lanes may share out transfers in another order
      for (const std::uint32_t lane : lanes_of(source, device))
        for (std::size_t i = half.index.first_of(lane); i < half.index.end_of(lane); ++i)
          sum += names[source][s.label[i]] * (2 * static_cast<std::uint64_t>(s.kind[i]) + 1);
      h.word(sum);
      break;
    }
    alike[h.finish()].push_back(device);
  }
  const auto computing = [&](std::size_t source, core::DeviceId device) {
    std::int64_t sum = 0;
    for (const std::uint32_t lane : lanes_of(source, device)) {
      const BusyTime busy = halves_[source].index.sum(halves_[source].index.first_of(lane),
                                                      halves_[source].index.end_of(lane));
      sum += busy.total() - busy.work[static_cast<std::size_t>(Work::kCommunication)] -
             busy.work[static_cast<std::size_t>(Work::kHostCopy)];
    }
    return static_cast<double>(sum);
  };
  for (auto& [key, members] : alike) {
    struct Alone {
      double off = 0;
      std::string source;
    };
    std::map<core::DeviceId, Alone> alone;
    for (std::size_t source = 0; source < halves_.size() && members.size() > 2; ++source) {
      std::vector<double> times;
      for (const core::DeviceId d : members) times.push_back(computing(source, d));
      std::vector<double> sorted = times;
      std::nth_element(sorted.begin(),
                       sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2),
                       sorted.end());
      const double median = sorted[sorted.size() / 2];
      if (median <= 0) continue;
      for (std::size_t i = 0; i < members.size(); ++i) {
        const double off = times[i] / median - 1;
        if (std::abs(off) > kAlike && std::abs(off) > std::abs(alone[members[i]].off))
          alone[members[i]] = {off, halves_[source].source.name};
      }
    }
    std::erase_if(alone, [](const auto& entry) { return entry.second.off == 0; });
    std::vector<std::pair<double, core::DeviceId>> furthest;
    for (const auto& [device, a] : alone) furthest.emplace_back(-std::abs(a.off), device);
    std::sort(furthest.begin(), furthest.end());
    if (furthest.size() > kMostAlone) furthest.resize(kMostAlone);
    for (const auto& [off, device] : furthest) {
      DeviceGroup group;
      group.devices = {device};
      group.name = device_name(device);
      group.note = fmt::format("{}: computes {:.0f} % {} than the others that do the same",
                               alone[device].source, 100 * std::abs(alone[device].off),
                               alone[device].off > 0 ? "longer" : "shorter");
      groups_.push_back(std::move(group));
      std::erase(members, device);
    }
    if (members.empty()) continue;
    DeviceGroup group;
    group.name = group_name(device_name(members.front()), members.size());
    group.devices = std::move(members);
    groups_.push_back(std::move(group));
  }
  std::sort(groups_.begin(), groups_.end(), [](const DeviceGroup& a, const DeviceGroup& b) {
    return a.devices.front() < b.devices.front();
  });
}

std::vector<TimelineRow> Timeline::rows(const TimelineOptions& options) const {
  std::vector<TimelineRow> out;
  double y = 0;
  const auto push = [&](TimelineRow row, double height) {
    row.y = y;
    row.height = height;
    y += height;
    out.push_back(std::move(row));
  };
  for (std::uint32_t g = 0; g < groups_.size(); ++g) {
    const DeviceGroup& group = groups_[g];
    push({.kind = TimelineRow::Kind::kGroup,
          .group = g,
          .device = group.devices.front(),
          .label = group.name},
         kGroupHeight);
    if (options.shut.contains(g)) continue;
    const std::size_t shown = options.open.contains(g) ? group.devices.size() : 1;
    for (std::size_t d = 0; d < shown; ++d) {
      const core::DeviceId device = group.devices[d];
      for (const core::LaneKind kind : {core::LaneKind::kCompute, core::LaneKind::kCommunication})
        for (std::uint32_t source = 0; source < halves_.size(); ++source) {
          std::vector<std::uint32_t> lanes;
          for (const std::uint32_t lane : lanes_of(source, device))
            if (trace(source).lanes[lane].kind == kind) lanes.push_back(lane);
          const bool moves = kind == core::LaneKind::kCommunication;
          if (moves && !options.communication) continue;
          // Where much is moved at once, every lane is low and one label stands for all.
          const double height = !moves                                   ? kComputeHeight
                                : lanes.size() <= kFewCommunicationLanes ? kCommunicationHeight
                                                                         : kManyCommunicationHeight;
          std::string label = moves ? "communication" : "compute";
          if (halves_.size() > 1)
            label = halves_[source].source.name + (moves ? " communication" : "");
          if (shown > 1 && !moves) label = device_name(device) + " " + label;
          for (std::size_t l = 0; l < lanes.size(); ++l) {
            push({.kind = TimelineRow::Kind::kLane,
                  .group = g,
                  .device = device,
                  .source = source,
                  .lane = lanes[l],
                  .label = l == 0 ? label : std::string()},
                 height);
          }
        }
    }
  }
  return out;
}

const core::Task* Timeline::task_of(std::size_t source, std::size_t span) const {
  const Half& half = halves_[source];
  const core::Trace& t = *half.source.trace;
  const std::size_t device = t.lanes[t.spans.lane[span]].device.value;
  if (device >= half.places.size() || half.places[device].class_index == core::kNoIndex)
    return nullptr;
  const auto& tasks = half.source.plan->classes[half.places[device].class_index].tasks;
  return t.spans.task[span] < tasks.size() ? &tasks[t.spans.task[span]] : nullptr;
}

std::optional<std::uint32_t> Timeline::op_of(std::size_t source, std::size_t span) const {
  const core::Task* task = task_of(source, span);
  if (!task || task->op == core::kNoIndex) return std::nullopt;
  return task->op;
}

// --- questions ----------------------------------------------------------------------------------

std::vector<bool> shown_lanes(const Timeline& timeline, std::size_t source,
                              const std::vector<TimelineRow>& rows) {
  std::vector<bool> out(timeline.trace(source).lanes.size());
  for (const TimelineRow& row : rows)
    if (row.kind == TimelineRow::Kind::kLane && row.source == source) out[row.lane] = true;
  return out;
}

SpanSet find(const Timeline& timeline, std::size_t source, std::string_view text,
             const std::vector<bool>& lanes) {
  SpanSet out;
  const core::Trace& trace = timeline.trace(source);
  const std::string wanted = lowered(text);
  if (wanted.empty()) return out;
  std::vector<bool> has(trace.labels.size());
  for (std::size_t l = 0; l < trace.labels.size(); ++l)
    has[l] = lowered(trace.labels[l]).find(wanted) != std::string::npos;
  for (std::size_t lane = 0; lane < trace.lanes.size(); ++lane) {
    if (!lanes[lane]) continue;
    const SpanIndex& index = timeline.index(source);
    for (std::size_t i = index.first_of(lane); i < index.end_of(lane); ++i)
      if (has[trace.spans.label[i]]) out.spans.push_back(static_cast<std::uint32_t>(i));
  }
  return out;
}

std::size_t place_of(const std::vector<SpanSet>& sets, SpanPlace span) {
  std::size_t before = 0;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const auto& spans = sets[s].spans;
    if (span.source == s && sets[s].contains(span.span))
      return before + 1 +
             static_cast<std::size_t>(std::lower_bound(spans.begin(), spans.end(), span.span) -
                                      spans.begin());
    before += spans.size();
  }
  return 0;
}

std::optional<SpanPlace> next_of(const std::vector<SpanSet>& sets, std::size_t place,
                                 int direction) {
  std::size_t count = 0;
  for (const SpanSet& set : sets) count += set.spans.size();
  if (count == 0) return std::nullopt;
  std::size_t to = direction > 0 ? place % count : (place <= 1 ? count - 1 : place - 2);
  for (std::size_t s = 0; s < sets.size(); ++s) {
    if (to < sets[s].spans.size()) return SpanPlace{s, sets[s].spans[to]};
    to -= sets[s].spans.size();
  }
  return std::nullopt;
}

core::DeviceId fullest_device(const Timeline& timeline) {
  core::DeviceId out =
      timeline.groups().empty() ? core::DeviceId(0) : timeline.groups()[0].devices.front();
  core::Bytes most(-1);
  for (const core::MemoryCounter& m : timeline.trace(0).memory)
    if (m.live_peak > most) {
      most = m.live_peak;
      out = m.device;
    }
  return out;
}

std::vector<BusyColumn> busy_columns(const Timeline& timeline, std::size_t columns) {
  constexpr std::size_t kDevices = 24;
  std::vector<BusyColumn> out(columns);
  const auto& groups = timeline.groups();
  const std::size_t every = std::max<std::size_t>(1, (groups.size() + kDevices - 1) / kDevices);
  double devices = 0;
  for (std::size_t g = 0; g < groups.size(); g += every)
    devices += static_cast<double>(groups[g].devices.size());
  if (devices <= 0) return out;
  const auto first = static_cast<double>(timeline.first());
  const double width =
      (static_cast<double>(timeline.last()) - first) / static_cast<double>(columns);
  for (std::size_t g = 0; g < groups.size(); g += every) {
    const double share = static_cast<double>(groups[g].devices.size()) / devices / width;
    for (std::size_t c = 0; c < columns; ++c) {
      const auto from = static_cast<std::int64_t>(first + width * static_cast<double>(c)),
                 to = static_cast<std::int64_t>(first + width * static_cast<double>(c + 1));
      double computing = 0, moving = 0;
      for (const std::uint32_t lane : timeline.lanes_of(0, groups[g].devices.front())) {
        const BusyTime busy = timeline.index(0).sum_between(lane, from, to);
        const auto m =
            static_cast<double>(busy.work[static_cast<std::size_t>(Work::kCommunication)]);
        moving += m;
        computing += static_cast<double>(busy.total()) - m;
      }
      computing = std::min(computing, width);
      out[c].computing += computing * share;
      out[c].moving += std::min(moving, width - computing) * share;
    }
  }
  return out;
}

SpanSet spans_of_ops(const Timeline& timeline, std::size_t source,
                     const std::set<std::uint32_t>& ops) {
  SpanSet out;
  if (ops.empty() || !timeline.source(source).plan) return out;
  const core::Spans& s = timeline.trace(source).spans;
  for (std::size_t i = 0; i < s.size(); ++i)
    if (const auto op = timeline.op_of(source, i); op && ops.contains(*op))
      out.spans.push_back(static_cast<std::uint32_t>(i));
  return out;
}

SpanSet spans_of(const simulator::CriticalPath& path) {
  std::set<std::uint32_t> spans;
  for (const auto& segment : path.segments)
    if (segment.span != core::kNoIndex && !segment.is_gap) spans.insert(segment.span);
  return {{spans.begin(), spans.end()}};
}

RangeStatistics range_statistics(const Timeline& timeline, std::size_t source, std::int64_t from,
                                 std::int64_t to, const std::set<core::DeviceId>& devices,
                                 std::size_t most_names) {
  RangeStatistics out;
  out.from = core::Nanoseconds(from);
  out.to = core::Nanoseconds(std::max(from, to));
  const core::Trace& trace = timeline.trace(source);
  const core::Spans& s = trace.spans;
  const SpanIndex& index = timeline.index(source);
  const core::Graph* graph = timeline.source(source).graph.get();
  std::vector<std::int64_t> by_label(trace.labels.size()), by_op(graph ? graph->ops().size() : 0);
  for (const core::DeviceId device : timeline.devices()) {
    const auto& lanes = timeline.lanes_of(source, device);
    if (lanes.empty() || (!devices.empty() && !devices.contains(device))) continue;
    ++out.devices;
    Pieces computing, any;
    for (const std::uint32_t lane : lanes) {
      const BusyTime busy = index.sum_between(lane, from, to);
      for (std::size_t w = 0; w < kWorks; ++w) out.kinds.work[w] += busy.work[w];
      out.kinds.waiting += busy.waiting;
      const auto old_computing = static_cast<std::ptrdiff_t>(computing.size()),
                 old_any = static_cast<std::ptrdiff_t>(any.size());
      auto i = static_cast<std::size_t>(
          std::upper_bound(s.end.begin() + static_cast<std::ptrdiff_t>(index.first_of(lane)),
                           s.end.begin() + static_cast<std::ptrdiff_t>(index.end_of(lane)),
                           core::Nanoseconds(from)) -
          s.end.begin());
      for (; i < index.end_of(lane) && s.start[i].value < to; ++i) {
        ++out.spans;
        const std::pair piece(std::max(s.start[i].value + waiting_of(s, i), from),
                              std::min(s.end[i].value, to));
        if (piece.second <= piece.first) continue;
        any.push_back(piece);
        if (!core::runs_beside(s.kind[i])) computing.push_back(piece);
        const auto op = graph ? timeline.op_of(source, i) : std::nullopt;
        (op && *op < by_op.size() ? by_op[*op] : by_label[s.label[i]]) +=
            piece.second - piece.first;
      }
      std::inplace_merge(computing.begin(), computing.begin() + old_computing, computing.end());
      std::inplace_merge(any.begin(), any.begin() + old_any, any.end());
    }
    const std::int64_t c = covered(computing), a = covered(any);
    out.computing += core::Nanoseconds(c);
    out.exposed += core::Nanoseconds(a - c);
    out.idle += out.to - out.from - core::Nanoseconds(a);
  }
  for (std::size_t op = 0; op < by_op.size(); ++op)
    if (by_op[op] > 0) out.top.emplace_back(graph->ops()[op].name, core::Nanoseconds(by_op[op]));
  for (std::size_t l = 0; l < by_label.size(); ++l)
    if (by_label[l] > 0) out.top.emplace_back(trace.labels[l], core::Nanoseconds(by_label[l]));
  std::stable_sort(out.top.begin(), out.top.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (out.top.size() > most_names) out.top.resize(most_names);
  return out;
}

std::vector<float> slowdown(const Timeline& timeline, std::size_t first, std::size_t second) {
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  const core::Trace &a = timeline.trace(first), &b = timeline.trace(second);
  std::vector<float> out(b.spans.size(), kUnknown);
  const auto ratio = [](std::int64_t of_second, std::int64_t of_first) {
    if (of_first <= 0) return of_second <= 0 ? 1.0F : kUnknown;
    return static_cast<float>(static_cast<double>(of_second) / static_cast<double>(of_first));
  };
  if (a.plan_hash != 0 && a.plan_hash == b.plan_hash) {
    for (const core::DeviceId device : timeline.devices()) {
      std::vector<std::uint32_t> span_of_task;
      const auto each = [&](std::size_t source, const auto& visit) {
        for (const std::uint32_t lane : timeline.lanes_of(source, device))
          for (std::size_t i = timeline.index(source).first_of(lane);
               i < timeline.index(source).end_of(lane); ++i)
            visit(i);
      };
      each(first, [&](std::size_t i) {
        const std::size_t task = a.spans.task[i];
        if (task >= span_of_task.size()) span_of_task.resize(task + 1, core::kNoIndex);
        span_of_task[task] = static_cast<std::uint32_t>(i);
      });
      each(second, [&](std::size_t i) {
        const std::size_t task = b.spans.task[i];
        if (task < span_of_task.size() && span_of_task[task] != core::kNoIndex)
          out[i] = ratio(active_of(b.spans, i), active_of(a.spans, span_of_task[task]));
      });
    }
    return out;
  }
  for (const auto& row : simulator::align(a, timeline.source(first).plan.get(), b,
                                          timeline.source(second).plan.get())) {
    if (row.first.spans.empty()) continue;
    const float r = ratio(row.second.time.value, row.first.time.value);
    for (const std::uint32_t span : row.second.spans) out[span] = r;
  }
  return out;
}

float slowdown_of(const std::vector<float>& slowdown, const Box& box) {
  constexpr std::size_t kMost = 32;
  const std::size_t step = (box.count + kMost - 1) / kMost;
  double sum = 0;
  int known = 0;
  for (std::size_t i = box.first; i < box.first + box.count && i < slowdown.size(); i += step)
    if (!std::isnan(slowdown[i])) {
      sum += slowdown[i];
      ++known;
    }
  return known == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(sum / known);
}

double shade_of(float slowdown) {
  return std::clamp(std::log(std::max(1e-6, static_cast<double>(slowdown))) / std::log(1.5), -1.0,
                    1.0);
}

// --- texts --------------------------------------------------------------------------------------

std::vector<Line> describe(const Timeline& timeline, std::size_t source, const Box& box,
                           const simulator::StepAnalysis* analysis) {
  const core::Trace& trace = timeline.trace(source);
  const core::Spans& s = trace.spans;
  const std::size_t i = box.first;
  const core::Lane& lane = trace.lanes[s.lane[i]];
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return whole <= 0 ? 0.0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
  };
  std::vector<Line> out;
  const std::string where =
      timeline.device_name(lane.device) + " " + std::string(core::name_of(lane.kind));
  const std::string when = fmt::format("{} to {}", core::human_text(core::Nanoseconds(box.start)),
                                       core::human_text(core::Nanoseconds(box.end)));
  const std::string length = core::human_text(core::Nanoseconds(box.end - box.start));
  if (box.folded()) {
    out.push_back({fmt::format("{} spans", box.count), {}});
    out.push_back({"mostly", fmt::format("{}", core::name_of(box.work))});
    out.push_back({"on", where});
    out.push_back({"time", fmt::format("{}, {}", length, when)});
    out.push_back(
        {"busy", fmt::format("{} ({:.0f} %)", core::human_text(core::Nanoseconds(box.busy)),
                             share(box.busy, box.end - box.start))});
    if (box.waiting > 0)
      out.push_back({"waiting", core::human_text(core::Nanoseconds(box.waiting))});
    return out;
  }
  out.push_back({trace.labels[s.label[i]], {}});
  out.push_back({"on", where});
  out.push_back({"time", fmt::format("{}, {}", length, when)});
  if (box.waiting > 0)
    out.push_back({"waiting for others",
                   fmt::format("{} ({:.0f} %)", core::human_text(core::Nanoseconds(box.waiting)),
                               share(box.waiting, box.end - box.start))});
  const double busy = static_cast<double>(box.busy) * 1e-9;
  if (s.bytes[i].value > 0) {
    std::string text = core::human_text(s.bytes[i]);
    if (busy > 0)
      text += ", " +
              core::human_text(core::BytesPerSecond(static_cast<double>(s.bytes[i].value) / busy));
    out.push_back({core::runs_beside(s.kind[i]) ? "sent" : "read and written", text});
  }
  if (s.flops[i].value > 0) {
    std::string text = core::human_text(s.flops[i]);
    if (busy > 0) text += ", " + core::human_text(core::FlopsPerSecond(s.flops[i].value / busy));
    out.push_back({"computed", text});
  }
  out.push_back({"is", fmt::format("{}, {}", core::name_of(s.kind[i]), core::name_of(s.phase[i]))});
  if (const core::Task* task = timeline.task_of(source, i)) {
    if (timeline.source(source).plan->micro_batches > 1)
      out.push_back({"micro-batch", fmt::format("{}", task->micro_batch)});
    const auto& graph = timeline.source(source).graph;
    if (graph && task->op != core::kNoIndex && task->op < graph->ops().size())
      out.push_back({"operator", graph->ops()[task->op].name});
  }
  if (trace.origin == core::TraceOrigin::kPredicted)
    out.push_back({"time from", std::string(core::name_of(s.source[i]))});
  else
    out.push_back({"time from", trace.steps > 1
                                    ? fmt::format("measuring, median of {} steps", trace.steps)
                                    : std::string("measuring")});
  if (analysis && i < analysis->slack.slack.size()) {
    const core::Nanoseconds slack = analysis->slack.slack[i],
                            saves = analysis->slack.saves_if_free[i];
    out.push_back({"slack", slack.value == 0 ? std::string("none: on a critical path")
                                             : core::human_text(slack)});
    out.push_back(
        {"saves if free", fmt::format("{} ({:.1f} % of the step)", core::human_text(saves),
                                      share(saves.value, trace.step_time.value))});
  }
  return out;
}

// --- counters -----------------------------------------------------------------------------------

Curve sent_by(const Timeline& timeline, std::size_t source, core::DeviceId device) {
  const core::Spans& s = timeline.trace(source).spans;
  struct Change {
    std::int64_t time = 0;
    double rate = 0;
    int transfers = 0;
  };
  std::vector<Change> changes;
  for (const std::uint32_t lane : timeline.lanes_of(source, device))
    for (std::size_t i = timeline.index(source).first_of(lane);
         i < timeline.index(source).end_of(lane); ++i) {
      const std::int64_t time = active_of(s, i);
      if (s.kind[i] != core::TaskKind::kTransfer || time <= 0 || s.bytes[i].value <= 0) continue;
      const double rate =
          static_cast<double>(s.bytes[i].value) / (static_cast<double>(time) * 1e-9);
      changes.push_back({s.end[i].value - time, rate, 1});
      changes.push_back({s.end[i].value, -rate, -1});
    }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.time < b.time; });
  Curve out;
  double rate = 0;
  int under_way = 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    rate += changes[i].rate;
    under_way += changes[i].transfers;
    if (i + 1 < changes.size() && changes[i + 1].time == changes[i].time) continue;
    if (under_way == 0) rate = 0;  // and no rounding is left over
    out.time.push_back(changes[i].time);
    out.value.push_back(rate);
    out.most = std::max(out.most, rate);
  }
  return out;
}

MemoryPicture memory_of(const Timeline& timeline, std::size_t source, core::DeviceId device) {
  MemoryPicture out;
  const TimelineSource& s = timeline.source(source);
  if (s.plan) {
    out.curve = reports::memory_curve(*s.plan, *s.trace, device);
    for (std::size_t i = 0; i < out.curve.time.size(); ++i) {
      double sum = 0;
      for (const auto& held : out.curve.held) sum += static_cast<double>(held[i].value);
      out.time.push_back(out.curve.time[i].value);
      out.total.push_back(sum);
    }
  } else {
    for (const core::MemoryCounter& counter : s.trace->memory) {
      if (counter.device != device) continue;
      for (std::size_t i = 0; i < counter.time.size(); ++i) {
        out.time.push_back(counter.time[i].value);
        out.total.push_back(static_cast<double>(counter.value[i].value));
      }
    }
  }
  for (std::size_t i = 0; i < out.total.size(); ++i)
    if (out.total[i] > out.most) {
      out.most = out.total[i];
      out.peak = core::Nanoseconds(out.time[i]);
    }
  return out;
}

Counters counters_of(const Timeline& timeline, core::DeviceId device) {
  Counters out;
  out.device = device;
  for (std::size_t source = 0; source < timeline.sources(); ++source) {
    out.memory.push_back(memory_of(timeline, source, device));
    out.sent.push_back(sent_by(timeline, source, device));
  }
  return out;
}

std::vector<std::ptrdiff_t> largest_in_columns(const std::vector<std::int64_t>& time,
                                               const std::vector<double>& value, double from,
                                               double to, std::size_t columns) {
  std::vector<std::ptrdiff_t> out(columns, -1);
  auto at = std::upper_bound(time.begin(), time.end(), whole_nanoseconds(std::floor(from))) -
            time.begin() - 1;
  for (std::size_t c = 0; c < columns; ++c) {
    const double begin = from + (to - from) * static_cast<double>(c) / static_cast<double>(columns);
    while (at + 1 < std::ssize(time) &&
           static_cast<double>(time[static_cast<std::size_t>(at + 1)]) <= begin)
      ++at;
    const double end =
        from + (to - from) * static_cast<double>(c + 1) / static_cast<double>(columns);
    std::ptrdiff_t best = at;
    while (at + 1 < std::ssize(time) &&
           static_cast<double>(time[static_cast<std::size_t>(at + 1)]) < end) {
      ++at;
      if (best < 0 || value[static_cast<std::size_t>(at)] > value[static_cast<std::size_t>(best)])
        best = at;
    }
    out[c] = best;
  }
  return out;
}

}  // namespace soapstone::explorer
