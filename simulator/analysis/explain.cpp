#include "simulator/analysis/explain.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <string_view>

#include <fmt/core.h>

#include "core/units.hpp"
#include "simulator/analysis/memory.hpp"
#include "simulator/analysis/straggler.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

std::string percent(double share) {
  return fmt::format("{:.{}f} %", 100 * share, 100 * share < 10 ? 1 : 0);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

class Explainer {
 public:
  explicit Explainer(const Explained& step)
      : in_(step),
        s_(step.trace.spans),
        exposure_(step.analysis.exposure),
        graph_(step.analysis.graph),
        devices_(static_cast<std::int64_t>(exposure_.devices.size())) {
    // By label: tasks of one label are of one kind.
    label_operator_.resize(step.trace.labels.size());
    for (std::uint32_t i = 0; i < s_.size(); ++i)
      if (std::string& name = label_operator_[s_.label[i]]; name.empty())
        name = operator_of_label(step.trace.labels[s_.label[i]], s_.kind[i]);
    for (const OpStrategy& s : step.strategy.ops) {
      has_stages_ = has_stages_ || s.stage > 0;
      zero_ = std::max(zero_, s.zero);
      recomputes_ = recomputes_ || s.recompute;
      has_server_ = has_server_ || s.server;
    }
  }

  std::vector<Fact> tell(std::size_t most) {
    if (devices_ == 0) return {};
    communication();
    bubble();
    straggler();
    operators();
    phase(TimeKind::kRecompute);
    phase(TimeKind::kUpdate);
    host();
    std::erase_if(facts_, [&](const Fact& f) { return f.saves * 1000 < in_.trace.step_time; });
    std::stable_sort(facts_.begin(), facts_.end(),
                     [](const Fact& a, const Fact& b) { return a.saves > b.saves; });
    if (facts_.size() + 1 > most) facts_.resize(most == 0 ? 0 : most - 1);
    if (most == 0) return {};
    const std::size_t others = facts_.size();
    if (memory() && facts_.size() > others)
      std::rotate(facts_.begin(), facts_.end() - 1, facts_.end());
    return std::move(facts_);
  }

 private:
  const std::string& operator_of(std::uint32_t span) const {
    return label_operator_[s_.label[span]];
  }

  Nanoseconds mean(Nanoseconds of_all) const { return Nanoseconds(of_all.value / devices_); }

  std::string of_step(Nanoseconds of_all) const {
    return fmt::format("{} of the step ({})", percent(exposure_.share(of_all)),
                       human_text(mean(of_all)));
  }

  // What the longest path loses if the spans take no time.
  Nanoseconds saved(const std::vector<std::uint32_t>& spans) const {
    std::vector<bool> free(s_.size(), false);
    for (const std::uint32_t i : spans) free[i] = true;
    return graph_.end - end_without(graph_, free);
  }
  std::string without(Nanoseconds saves) const {
    return fmt::format("without it the step would take {}",
                       human_text(in_.trace.step_time - saves));
  }

  Fact& add(FactKind kind, std::string about, Nanoseconds of_all) {
    Fact& f = facts_.emplace_back();
    f.kind = kind;
    f.about = std::move(about);
    f.time = mean(of_all);
    f.share = exposure_.share(of_all);
    return f;
  }

  struct Contribution {
    std::string op;
    Nanoseconds time;
  };
  static std::vector<Contribution> ranked(const std::map<std::string, Nanoseconds>& of_op) {
    std::vector<Contribution> out;
    for (const auto& [op, time] : of_op) out.push_back({op, time});
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.time > b.time; });
    return out;
  }
  // "fc6 4 ms, fc7 2 ms".
  std::string first_of(const std::vector<Contribution>& list) const {
    std::vector<std::string> parts;
    for (const Contribution& c : list)
      if (parts.size() < 3 && mean(c.time).value > 0)
        parts.push_back(fmt::format("{} {}", c.op, human_text(mean(c.time))));
    return joined(parts);
  }

  void communication() {
    struct Family {
      Nanoseconds exposed, busy, hidden;
      Bytes bytes;
      std::int64_t transfers = 0;
      std::vector<std::uint32_t> groups, spans;
      std::map<std::string, Nanoseconds> of_op;
      Nanoseconds queued;  // of what is exposed
    };
    std::map<std::string, Family> families;
    for (std::uint32_t g = 0; g < exposure_.groups.size(); ++g) {
      const ExposedGroup& group = exposure_.groups[g];
      Family& family = families[group.group.family];
      family.exposed += group.exposed;
      family.busy += group.busy;
      family.hidden += group.hidden;
      family.bytes += group.group.bytes;
      family.transfers += group.group.transfers;
      family.groups.push_back(g);
      family.spans.insert(family.spans.end(), group.spans.begin(), group.spans.end());
    }
    for (const ExposedGroup& group : exposure_.groups)
      for (const std::uint32_t i : group.spans)
        families[group.group.family].of_op[operator_of(i)] += exposure_.exposed_of_span[i];
    const std::vector<Nanoseconds> queueing =
        simulator::queueing(in_.trace, graph_, in_.analysis.communication);
    for (const IdlePiece& piece : exposure_.pieces) {
      if (piece.group == kNoIndex || piece.cause == kNoIndex) continue;
      const Nanoseconds until =
          graph_.start[graph_.node_of_span[piece.cause]] + queueing[piece.cause];
      families[exposure_.groups[piece.group].group.family].queued +=
          std::clamp(until, piece.start, piece.end) - piece.start;
    }
    for (auto& [name, family] : families) {
      const CommunicationGroup& first = exposure_.groups[family.groups[0]].group;
      const std::size_t groups = family.groups.size();
      const std::string where =
          groups == 1 ? first.name : fmt::format("{} in {} groups of devices", name, groups);
      std::sort(family.spans.begin(), family.spans.end());
      const Nanoseconds saves = saved(family.spans);
      const auto of_op = ranked(family.of_op);
      Fact& f = add(FactKind::kCommunication, where, family.exposed);
      f.saves = saves;
      f.bytes = family.bytes;
      f.text = fmt::format("{} is exposed {}; {}.", of_step(family.exposed), where, without(saves));
      if (of_op.size() > 1) f.text += fmt::format(" Most of it: {}.", first_of(of_op));
      if (family.queued * 4 > family.exposed && mean(family.queued).value > 0)
        f.text += fmt::format(" For {} of it they queue behind other transfers.",
                              human_text(mean(family.queued)));
      const double hidden = family.busy.value == 0 ? 0
                                                   : static_cast<double>(family.hidden.value) /
                                                         static_cast<double>(family.busy.value);
      f.text += fmt::format(
          " {} transfer{}, {} sent by all devices, {} of the time hidden behind "
          "computing.",
          family.transfers, family.transfers == 1 ? "" : "s", human_text(family.bytes),
          percent(hidden));
      f.hints = hints(first, family.transfers, family.bytes, of_op, family.exposed, hidden);
      std::int64_t inside = 0;  // bytes of groups that lie in one node each
      for (const auto& [other, of_other] : families)
        if (other != name && !spans_nodes(of_other.groups)) inside += of_other.bytes.value;
      tell_place(family.groups, inside < family.bytes.value, f);
      tell_slow_link(family.groups, f);
      f.spans = std::move(family.spans);
    }
  }

  // The transfer of the group's first span; none without a plan of it.
  const Transfer* transfer_of(std::uint32_t group) const {
    const auto& spans = exposure_.groups[group].spans;
    if (spans.empty()) return nullptr;
    const PlanPlace place = place_of(in_.plan, in_.trace.lanes[s_.lane[spans[0]]].device);
    if (place.class_index == kNoIndex) return nullptr;
    const DeviceClass& program = in_.plan.classes[place.class_index];
    const std::uint32_t task = s_.task[spans[0]];
    if (task >= program.tasks.size() || program.tasks[task].kind != TaskKind::kTransfer)
      return nullptr;
    const std::uint32_t entry = in_.plan.entry(program.tasks[task], place.member);
    return entry < in_.plan.transfers.size() ? &in_.plan.transfers[entry] : nullptr;
  }

  std::set<std::uint32_t> nodes_of(const Transfer& t) const {
    std::set<std::uint32_t> nodes;
    for (const TransferMember& m : t.members) nodes.insert(in_.cluster.device(m.device).node);
    return nodes;
  }
  bool spans_nodes(const std::vector<std::uint32_t>& groups) const {
    return std::any_of(groups.begin(), groups.end(), [&](std::uint32_t g) {
      const Transfer* const t = transfer_of(g);
      return t && nodes_of(*t).size() > 1;
    });
  }

  // Groups that go over the network although each of them has room in a node. Where others that
  // move more have the nodes, that is meant.
  void tell_place(const std::vector<std::uint32_t>& groups, bool is_largest, Fact& f) const {
    if (groups.size() < 2 || !is_largest) return;
    std::size_t most_nodes = 0, members = 0;
    for (const std::uint32_t g : groups) {
      const Transfer* const t = transfer_of(g);
      if (!t || t->pattern == Pattern::kBoxes) return;
      const auto nodes = nodes_of(*t);
      std::size_t room = SIZE_MAX;
      for (const std::uint32_t n : nodes) {
        std::size_t here = 0;
        for (std::uint32_t d = 0; d < in_.cluster.size(); ++d)
          here += in_.cluster.device(DeviceId(d)).node == n ? 1 : 0;
        room = std::min(room, here);
      }
      if (nodes.size() < 2 || t->members.size() > room) return;
      most_nodes = std::max(most_nodes, nodes.size());
      members = std::max(members, t->members.size());
    }
    f.text += fmt::format(" Each group lies on {} nodes, though its {} device{} have room in one.",
                          most_nodes, members, members == 1 ? "" : "s");
    f.hints.insert(f.hints.begin(), "every group on the devices of one node");
  }

  // A link on the way that is less than half as fast as most of its like.
  void tell_slow_link(const std::vector<std::uint32_t>& groups, Fact& f) const {
    LinkId slowest;
    const auto look = [&](DeviceId src, DeviceId dst) {
      if (src == dst) return;
      for (const LinkId id : in_.cluster.route(src, dst))
        if (!slowest.valid() ||
            in_.cluster.link(id).bandwidth < in_.cluster.link(slowest).bandwidth)
          slowest = id;
    };
    for (const std::uint32_t g : groups) {
      const Transfer* const t = transfer_of(g);
      if (!t) continue;
      for (const Message& m : t->messages) look(t->members[m.src].device, t->members[m.dst].device);
      if (t->pattern != Pattern::kBoxes)
        for (std::size_t i = 0; i < t->members.size(); ++i)
          look(t->members[i].device, t->members[(i + 1) % t->members.size()].device);
    }
    if (!slowest.valid()) return;
    const auto like = [](std::string name) {
      std::erase_if(name, [](char c) { return c >= '0' && c <= '9'; });
      return name;
    };
    const Link& link = in_.cluster.link(slowest);
    std::vector<double> peers;
    for (const Link& other : in_.cluster.links())
      if (like(other.name) == like(link.name)) peers.push_back(other.bandwidth.value);
    std::nth_element(peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(peers.size() / 2),
                     peers.end());
    const BytesPerSecond usual(peers[peers.size() / 2]);
    if (link.bandwidth.value * 2 >= usual.value) return;
    f.text += fmt::format(" The slowest way is {} with {}; most of its kind have {}.", link.name,
                          human_text(link.bandwidth), human_text(usual));
    f.hints.insert(f.hints.begin(),
                   fmt::format("{} mended, or devices that do not need it", link.name));
  }

  std::vector<std::string> hints(const CommunicationGroup& g, std::int64_t transfers, Bytes bytes,
                                 const std::vector<Contribution>& of_op, Nanoseconds exposed,
                                 double hidden) {
    std::vector<std::string> out;
    const bool is_collective = g.pattern != "send" && g.pattern != "copy";
    switch (g.moved) {
      case Moved::kGradients:
        if (in_.strategy.bucket.value == 0 && transfers >= 8 && is_collective &&
            bytes.value / transfers < 8 * devices_ * (std::int64_t{1} << 20))
          out.push_back("bucket=25MB: many small gradients in one transfer");
        if (in_.strategy.bucket.value > 0 && hidden < 0.25 && transfers <= 2)
          out.push_back("bucket=25MB: a bucket leaves when its last gradient is there");
        if (zero_ >= 2 && in_.strategy.micro_batches > 1)
          out.push_back("zero=1: gradients move once per step, not once per micro-batch");
        if (!of_op.empty() && is_collective && of_op[0].time * 2 > exposed &&
            in_.graph.find_op(of_op[0].op))
          out.push_back(fmt::format(
              "{} cut by its weights instead of its samples (search finds how; or --strategy "
              "expert): less of its gradient is summed",
              of_op[0].op));
        if (has_server_) out.push_back("server=0: an all-reduce instead of one device for all");
        break;
      case Moved::kWeights:
        if (zero_ >= 3)
          out.push_back("zero=2 if memory allows: weights are not gathered before every use");
        else if (zero_ > 0)
          out.push_back("zero=0 if memory allows: updated weights need not be gathered");
        if (zero_ >= 3) out.push_back("zero_over=COPIES: gather among neighbours only");
        break;
      case Moved::kValues:
      case Moved::kValueGradients:
        if (g.pattern == "all-reduce")
          out.push_back("fewer tensor-parallel ranks, more data-parallel ones (tp, dp)");
        if (g.pattern == "send" && in_.strategy.micro_batches > 1)
          out.push_back("fewer stages (pp, vp), cut where less crosses");
        break;
      case Moved::kHost:
        out.push_back("offload=none if memory allows");
        break;
      case Moved::kInternal:
      case Moved::kScalars:
        break;
    }
    return out;
  }

  void bubble() {
    Nanoseconds sum;
    std::set<std::uint32_t> causes;
    for (const IdlePiece& p : exposure_.pieces)
      if (p.kind == TimeKind::kBubble) {
        sum += p.length();
        if (p.cause != kNoIndex) causes.insert(p.cause);
      }
    Fact& f = add(FactKind::kBubble, has_stages_ ? "pipeline" : "operators on other devices", sum);
    f.saves = mean(sum);
    const std::int32_t m = in_.strategy.micro_batches;
    if (has_stages_) {
      f.text = fmt::format(
          "{} is the pipeline's bubble: devices wait for what other stages compute ({} with {} "
          "micro-batch{}).",
          of_step(sum), name_of(in_.strategy.schedule), m, m == 1 ? "" : "es");
      tell_largest_stage(f);
      f.hints.push_back("more micro-batches (a smaller micro_batch, or a larger --batch)");
      const bool is_plain = in_.strategy.schedule == ScheduleKind::k1F1B ||
                            in_.strategy.schedule == ScheduleKind::kGPipe;
      if (is_plain && in_.strategy.schedule_lines.empty()) {
        f.hints.push_back("schedule=zb-h1: gradients of weights wait for a bubble");
        f.hints.push_back("schedule=interleaved-1f1b,vp=2: smaller stages, more messages");
      }
    } else {
      f.text = fmt::format("{} devices wait for operators that others compute.", of_step(sum));
      f.hints.push_back("operators that depend on each other on the same devices");
    }
    f.spans.assign(causes.begin(), causes.end());
  }

  // Devices of a stage that computes for a quarter longer than they do on average.
  void tell_largest_stage(Fact& f) const {
    std::map<std::vector<DeviceId>, Nanoseconds> of_devices;  // the mean of each rank
    for (const OpStrategy& op : in_.strategy.ops) {
      std::vector<DeviceId> devices = op.devices;
      std::sort(devices.begin(), devices.end());
      of_devices[devices];
    }
    Nanoseconds all;
    for (auto& [devices, time] : of_devices) {
      Nanoseconds sum;
      for (const DeviceTime& d : exposure_.devices)
        if (std::binary_search(devices.begin(), devices.end(), d.device)) sum += d.computing;
      time = Nanoseconds(sum.value / static_cast<std::int64_t>(devices.size()));
      all += time;
    }
    if (of_devices.size() < 2) return;
    const auto most =
        std::max_element(of_devices.begin(), of_devices.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    const auto count = static_cast<std::int64_t>(of_devices.size());
    if (most->second.value * count * 4 <= all.value * 5) return;
    const std::string whose = device_text(most->first);
    f.text += fmt::format(" Devices {} compute for {}, those of other stages for {} on average.",
                          whose, human_text(most->second),
                          human_text(Nanoseconds((all - most->second).value / (count - 1))));
    f.hints.push_back(fmt::format("operators of devices {} in the stage beside theirs", whose));
  }

  void straggler() {
    const auto late = stragglers(in_.trace, exposure_, &in_.cluster);
    if (late.empty()) return;
    const Straggler& worst = late[0];
    // One device is waited for; those of the same slower kind are no faster. What the step would
    // take is told of all of them.
    std::vector<DeviceId> devices{worst.device};
    std::vector<std::uint32_t> spans = worst.spans;
    if (worst.reason == StragglerReason::kSlowerDevice) {
      devices.clear();
      spans.clear();
      const std::uint32_t kind = in_.cluster.device(worst.device).kind;
      for (std::uint32_t l = 0; l < in_.trace.lanes.size(); ++l)
        if (const Lane& lane = in_.trace.lanes[l];
            lane.kind == LaneKind::kCompute && in_.cluster.device(lane.device).kind == kind)
          devices.push_back(lane.device);
      for (std::uint32_t i = 0; i < in_.trace.spans.size(); ++i)
        if (const Lane& lane = in_.trace.lanes[in_.trace.spans.lane[i]];
            lane.kind == LaneKind::kCompute && in_.cluster.device(lane.device).kind == kind)
          spans.push_back(i);
    }
    const std::string whom =
        fmt::format("device{} {}", devices.size() == 1 ? "" : "s", device_text(devices));
    Fact& f = add(FactKind::kStraggler, whom, worst.waited);
    std::vector<Nanoseconds> lengths = graph_.length;
    if (worst.time > worst.time_elsewhere)
      for (const std::uint32_t i : spans) {
        Nanoseconds& length = lengths[graph_.node_of_span[i]];
        length = Nanoseconds(static_cast<std::int64_t>(
            static_cast<double>(length.value) * static_cast<double>(worst.time_elsewhere.value) /
            static_cast<double>(worst.time.value)));
      }
    f.saves = graph_.end - end_with(graph_, lengths, graph_.gap);
    std::string reason;
    switch (worst.reason) {
      case StragglerReason::kMoreWork:
        reason = fmt::format("it has {:.2f} times their work", worst.work);
        break;
      case StragglerReason::kSlowerDevice:
        reason = devices.size() == 1
                     ? fmt::format("it is a {}", in_.cluster.kind(worst.device).name)
                     : fmt::format("they are {}", in_.cluster.kind(worst.device).name);
        f.hints.push_back("a smaller part for the slower device, or a strategy without it");
        break;
      case StragglerReason::kSameWork:
        reason = worst.time > worst.time_elsewhere ? "its work is the same"
                                                   : "it comes to the same work later";
        break;
    }
    f.text = fmt::format(
        "{} device{} wait{} {} in all for {}, which take{} {} where they take {}: {}; as fast as "
        "them, the step would take {}.",
        worst.waiting, worst.waiting == 1 ? "" : "s", worst.waiting == 1 ? "s" : "",
        human_text(worst.waited), whom, devices.size() == 1 ? "s" : "", human_text(worst.time),
        human_text(worst.time_elsewhere), reason, human_text(graph_.end - f.saves));
    f.spans = std::move(spans);
  }

  // The three operators whose computing stands longest on the critical path.
  void operators() {
    std::map<std::string, Nanoseconds> on_path;
    for (const PathSegment& segment : in_.analysis.path.segments)
      if (segment.span != kNoIndex && !segment.is_gap && is_step(segment.span))
        on_path[operator_of(segment.span)] += segment.length();
    const auto longest = ranked(on_path);
    Nanoseconds all;
    for (const DeviceTime& d : exposure_.devices) all += d.computing;
    for (std::size_t k = 0; k < longest.size() && k < 3; ++k) {
      std::vector<std::uint32_t> spans;
      Nanoseconds time;
      for (std::uint32_t i = 0; i < s_.size(); ++i)
        if (is_step(i) && operator_of(i) == longest[k].op) {
          spans.push_back(i);
          time += s_.end[i] - s_.start[i];
        }
      Fact& f = add(FactKind::kOperator, longest[k].op, time);
      f.saves = saved(spans);
      f.text = fmt::format(
          "{} computes for {}, {} of all computing; if that took no time, the step "
          "would take {}.",
          longest[k].op, human_text(f.time),
          percent(all.value == 0
                      ? 0
                      : static_cast<double>(time.value) / static_cast<double>(all.value)),
          human_text(in_.trace.step_time - f.saves));
      f.spans = std::move(spans);
    }
  }
  bool is_step(std::uint32_t i) const {
    return s_.kind[i] == TaskKind::kCompute && s_.phase[i] != Phase::kRecompute;
  }

  void phase(TimeKind kind) {
    std::vector<std::uint32_t> spans;
    Nanoseconds time;
    for (std::uint32_t i = 0; i < s_.size(); ++i)
      if (!runs_beside(s_.kind[i]) && time_kind(s_.kind[i], s_.phase[i]) == kind) {
        spans.push_back(i);
        time += s_.end[i] - s_.start[i];
      }
    if (spans.empty()) return;
    const bool is_update = kind == TimeKind::kUpdate;
    Fact& f =
        add(is_update ? FactKind::kUpdate : FactKind::kRecompute, std::string(name_of(kind)), time);
    f.saves = saved(spans);
    f.text = fmt::format("{} goes into {}; {}.", of_step(time),
                         is_update ? "updating weights" : "computing activations again",
                         without(f.saves));
    if (!is_update)
      f.hints.push_back("recompute=selective or none if memory allows");
    else if (zero_ == 0 && has_copies())
      f.hints.push_back("zero=1: every copy of a weight updates a part of it");
    f.spans = std::move(spans);
  }
  bool has_copies() const {
    return std::any_of(exposure_.groups.begin(), exposure_.groups.end(), [](const auto& g) {
      return g.group.moved == Moved::kGradients && g.group.pattern == "all-reduce";
    });
  }

  void host() {
    Nanoseconds sum;
    std::set<std::uint32_t> before;
    for (const IdlePiece& p : exposure_.pieces)
      if (p.kind == TimeKind::kHost) {
        sum += p.length();
        if (p.cause != kNoIndex) before.insert(p.cause);
      }
    if (sum.value <= 0) return;
    Fact& f = add(FactKind::kHost, "gaps", sum);
    f.saves = mean(sum);
    f.text = fmt::format(
        "{} lies between tasks without a reason in the trace: the program itself, or what else the "
        "machine does.",
        of_step(sum));
    f.spans.assign(before.begin(), before.end());
  }

  // Whether it is more than there is.
  bool memory() {
    if (std::any_of(in_.plan.classes.begin(), in_.plan.classes.end(),
                    [](const DeviceClass& c) { return c.arena.value < 0; }))
      return false;
    const auto rows = memory_of_devices(in_.plan);
    if (rows.empty()) return false;
    const auto fullest = std::max_element(
        rows.begin(), rows.end(),
        [](const auto& a, const auto& b) { return a.holders.allocated() < b.holders.allocated(); });
    std::string_view most;
    Bytes most_bytes(-1);
    MemoryHolders::fields(fullest->holders,
                          [&](std::string_view name, const Bytes& bytes, auto...) {
                            if (name == "host" || bytes <= most_bytes) return;
                            most = name;
                            most_bytes = bytes;
                          });
    const Bytes allocated = fullest->holders.allocated();
    Fact f;
    f.kind = FactKind::kMemory;
    f.about = std::string(most);
    f.bytes = allocated;
    f.share = allocated.value == 0
                  ? 0
                  : static_cast<double>(most_bytes.value) / static_cast<double>(allocated.value);
    const auto of_device = [&] {
      for (const DeviceClass& c : in_.plan.classes)
        if (c.arena == allocated && !c.members.empty())
          return in_.cluster.kind(c.members[0]).memory;
      return Bytes(0);
    }();
    f.text = fmt::format("Device{} {} allocate{} {} of {}, {} of it for {}.",
                         fullest->devices.find_first_of(",-") == std::string::npos ? "" : "s",
                         fullest->devices,
                         fullest->devices.find_first_of(",-") == std::string::npos ? "s" : "",
                         human_text(allocated), human_text(of_device), percent(f.share), most);
    const bool too_much = of_device.value > 0 && allocated > of_device;
    if (too_much) f.text += fmt::format(" That is {} too much.", human_text(allocated - of_device));
    const bool is_tight = allocated.value * 10 > of_device.value * 8;
    if (is_tight && most == "activations") {
      f.hints.push_back(recomputes_ ? "offload=activations" : "recompute=selective, then full");
      if (in_.strategy.micro_batches > 1) f.hints.push_back("a smaller micro_batch");
    }
    const std::int32_t parts = most == "optimizer"   ? 1
                               : most == "gradients" ? 2
                               : most == "weights"   ? 3
                                                     : 0;
    if (is_tight && parts > zero_) f.hints.push_back(fmt::format("zero={}", parts));
    facts_.push_back(std::move(f));
    return too_much;
  }

  const Explained& in_;
  const Spans& s_;
  const Exposure& exposure_;
  const StepGraph& graph_;
  std::int64_t devices_;
  std::vector<std::string> label_operator_;
  bool has_stages_ = false, recomputes_ = false, has_server_ = false;
  std::int32_t zero_ = 0;
  std::vector<Fact> facts_;
};

}  // namespace

std::vector<Fact> explain(const Explained& step, std::size_t most) {
  return Explainer(step).tell(most);
}

std::string why(const Waterfall& w, const std::string& first, const std::string& second) {
  const Nanoseconds gap = w.second - w.first;
  if (gap.value == 0)
    return fmt::format("{} and {} take {} both.", first, second, human_text(w.first));
  const auto length = [](Nanoseconds t) { return Nanoseconds(std::abs(t.value)); };
  std::string out = fmt::format("{} takes {}, {} {} than {} ({})", first, human_text(w.first),
                                human_text(length(gap)), gap.value > 0 ? "less" : "more", second,
                                human_text(w.second));
  std::vector<std::string> parts;
  for (const WaterfallTerm& t : w.terms) {
    // Nothing that is small beside the whole.
    if (parts.size() == 4 || length(t.difference()) * 20 < length(gap)) break;
    parts.push_back(fmt::format("{} {} {}", human_text(length(t.difference())),
                                t.difference().value > 0 ? "less" : "more", t.name));
  }
  return out + (parts.empty() ? "." : ": " + joined(parts) + ".");
}

}  // namespace soapstone::simulator
