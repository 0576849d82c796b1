#include "simulator/simulate.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "core/collectives/schedule.hpp"
#include "core/local_problem.hpp"
#include "core/placement.hpp"
#include "core/sequence_order.hpp"

namespace soapstone::simulator {

using namespace core;

namespace {

// One message of a round, with its time and the time to add what arrived.
struct Flow {
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  std::int64_t time = 0;
  std::int64_t add = 0;
};

// A transfer as the clocks see it. All times in ns.
struct Expanded {
  std::vector<std::uint32_t> first_flow;  // per round, and the end
  std::vector<Flow> flows;
  std::vector<std::int64_t> before;  // per member: packing
  std::vector<std::int64_t> after;   // per member: unpacking
  std::vector<std::int64_t>
      apart;  // per member: copying what is held to where it is wanted, if not in place
  std::vector<std::int64_t> debt;  // per member of one lane: what its processor does after packing
  std::vector<Bytes> sent;
  CostSource source = CostSource::kMeasured;  // the weakest of all
};

// Equal for tasks whose labels (task_label) are equal; nothing: only the label tells.
std::optional<std::uint64_t> key_of_label(const Plan& plan, const Task& t) {
  std::uint64_t key = static_cast<std::uint64_t>(t.kind);
  if (t.kind == TaskKind::kCompute)
    return key | static_cast<std::uint64_t>(t.step) << 8 | static_cast<std::uint64_t>(t.op) << 32;
  if (t.tensor == kNoIndex || t.kind == TaskKind::kHostCopy) return std::nullopt;
  if (t.kind == TaskKind::kTransfer) {
    const Transfer& transfer = plan.transfers[plan.entry(t, 0)];
    key |= static_cast<std::uint64_t>(transfer.pattern) << 8 |
           static_cast<std::uint64_t>(transfer.members.size() == 1) << 16 |
           static_cast<std::uint64_t>(moves_gradient(t)) << 17;
  }
  return key | static_cast<std::uint64_t>(t.tensor) << 32;
}

bool in_own_buffer(Pattern p) { return p == Pattern::kAllReduce || p == Pattern::kBroadcast; }

std::uint64_t key_of(const Transfer& t) {
  Hasher h;
  h.word(static_cast<std::uint64_t>(t.pattern) | static_cast<std::uint64_t>(t.algorithm) << 8 |
         static_cast<std::uint64_t>(t.dtype) << 16 | static_cast<std::uint64_t>(t.sum) << 24 |
         static_cast<std::uint64_t>(t.root) << 32);
  h.word(t.members.size());
  for (const auto& m : t.members) {
    h.word(m.device.value);
    h.word(static_cast<std::uint64_t>(elements(m.held)));
    h.word(static_cast<std::uint64_t>(elements(m.wanted)));
  }
  for (const auto& m : t.messages) {
    h.word(static_cast<std::uint64_t>(m.src) << 32 | m.dst);
    h.word(static_cast<std::uint64_t>(elements(m.box)));
  }
  if (t.pattern == Pattern::kAllToAll)
    for (const auto& src : t.members)
      for (const auto& dst : t.members)
        h.word(static_cast<std::uint64_t>(elements(intersect(src.held, dst.wanted))));
  return h.finish();
}

class Expander {
 public:
  Expander(const Cluster& cluster, const CostModel& costs)
      : cluster_(cluster), costs_(costs), flows_on_link_(cluster.links().size(), 0) {}

  Expanded expand(const Transfer& t) {
    out_ = {};
    const std::size_t p = t.members.size();
    out_.before.assign(p, 0);
    out_.after.assign(p, 0);
    out_.apart.assign(p, 0);
    out_.debt.assign(p, 0);
    out_.sent.assign(p, Bytes(0));
    out_.first_flow.push_back(0);
    element_ = size_of(t.dtype).value;
    if (t.pattern == Pattern::kBoxes)
      boxes(t);
    else
      collective(t);
    for (std::size_t m = 0; m < p; ++m) out_.debt[m] += out_.after[m];
    return std::move(out_);
  }

 private:
  std::int64_t copy(const Transfer& t, std::size_t member, std::int64_t read,
                    std::int64_t written) {
    if (read + written == 0) return 0;
    const Cost cost =
        costs_.copy(Bytes(read), Bytes(written), cluster_.kind(t.members[member].device));
    out_.source = std::max(out_.source, cost.source);
    return cost.time.value;
  }

  void collective(const Transfer& t) {
    const Collective c = collective_of(t);
    const Schedule schedule = make_schedule(c);
    const auto bytes = [&](std::int64_t count) { return element_ * count; };
    const std::int64_t total = std::accumulate(c.counts.begin(), c.counts.end(), std::int64_t{0});
    for (std::size_t m = 0; m < t.members.size(); ++m) {
      std::int64_t packed = 0, unpacked = 0;
      switch (t.pattern) {
        case Pattern::kAllReduce:
          out_.apart[m] = copy(t, m, bytes(total), bytes(total));
          break;
        case Pattern::kBroadcast:
          if (m == t.root) out_.apart[m] = copy(t, m, bytes(total), bytes(total));
          break;
        case Pattern::kAllGather:
          packed = c.counts[m], unpacked = total;
          break;
        case Pattern::kReduceScatter:
          packed = total, unpacked = c.counts[m];
          break;
        case Pattern::kAllToAll:
          for (std::size_t k = 0; k < t.members.size(); ++k) {
            packed += c.counts[m * t.members.size() + k];
            unpacked += c.counts[k * t.members.size() + m];
          }
          break;
        case Pattern::kNone:
        case Pattern::kBoxes:
          break;
      }
      const std::int64_t own =
          schedule.own_copies.empty() ? 0 : schedule.own_copies[m].send.extent();
      out_.before[m] =
          copy(t, m, bytes(packed), bytes(packed)) + copy(t, m, bytes(own), bytes(own));
      out_.after[m] = copy(t, m, bytes(unpacked), bytes(unpacked));
    }
    struct Sized {
      std::uint32_t round, src, dst;
      std::int64_t count;
      bool reduce;
    };
    std::vector<Sized> sized;
    for (const auto& step : schedule.steps) {
      if (step.send_to.valid()) out_.sent[step.member.value] += Bytes(bytes(step.send.extent()));
      if (step.receive_from.valid())
        sized.push_back({step.round, step.receive_from.value, step.member.value,
                         step.receive.extent(), step.reduce});
    }
    std::stable_sort(sized.begin(), sized.end(),
                     [](const auto& a, const auto& b) { return a.round < b.round; });
    for (std::size_t i = 0; i < sized.size();) {
      std::size_t end = i;
      while (end < sized.size() && sized[end].round == sized[i].round) ++end;
      for (; i < end; ++i) {
        const Sized& s = sized[i];
        const std::int64_t add = s.reduce ? copy(t, s.dst, 2 * bytes(s.count), bytes(s.count)) : 0;
        out_.flows.push_back({s.src, s.dst, bytes(s.count), add});
      }
      close_round(t);
    }
  }

  void boxes(const Transfer& t) {
    const std::size_t p = t.members.size();
    std::vector<std::int64_t> packed(p, 0), unpacked(p, 0), own(p, 0);
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::int64_t> pairs;
    for (const Message& m : t.messages) {
      const std::int64_t bytes = element_ * elements(m.box);
      if (m.src == m.dst) {
        own[m.dst] += bytes;
        continue;
      }
      packed[m.src] += bytes;
      unpacked[m.dst] += bytes;
      pairs[{m.src, m.dst}] += bytes;
    }
    const std::int64_t reads = t.sum ? 2 : 1;
    for (std::size_t m = 0; m < p; ++m) {
      const std::int64_t zeros = t.sum ? element_ * elements(t.members[m].wanted) : 0;
      out_.sent[m] = Bytes(packed[m]);
      out_.before[m] = copy(t, m, packed[m], packed[m]);
      out_.after[m] =
          copy(t, m, 0, zeros) + copy(t, m, reads * (own[m] + unpacked[m]), own[m] + unpacked[m]);
    }
    for (const auto& [pair, bytes] : pairs)
      if (bytes > 0) out_.flows.push_back({pair.first, pair.second, bytes, 0});
    if (!out_.flows.empty()) close_round(t);
  }

  // The flows since the last round are one round: turns their bytes into times.
  void close_round(const Transfer& t) {
    const std::size_t first = out_.first_flow.back();
    const auto route = [&](const Flow& f) {
      return cluster_.route(t.members[f.src].device, t.members[f.dst].device);
    };
    for (std::size_t i = first; i < out_.flows.size(); ++i)
      for (const LinkId link : route(out_.flows[i])) ++flows_on_link_[link.value];
    for (std::size_t i = first; i < out_.flows.size(); ++i) {
      Flow& f = out_.flows[i];
      const DeviceId src = t.members[f.src].device, dst = t.members[f.dst].device;
      // As many flows as leave each what it gets on its most crowded link.
      const double narrowest = cluster_.path_bandwidth(src, dst).value;
      int sharing = 1;
      for (const LinkId link : route(f))
        sharing = std::max(
            sharing,
            static_cast<int>(std::ceil(flows_on_link_[link.value] *
                                           (narrowest / cluster_.link(link).bandwidth.value) -
                                       1e-9)));
      const std::int64_t bytes = f.time;
      const Cost cost = costs_.message(cluster_, src, dst, Bytes(bytes), sharing);
      out_.source = std::max(out_.source, cost.source);
      f.time = cost.time.value;
      for (const std::uint32_t end : {f.src, f.dst})
        if (cluster_.kind(t.members[end].device).lanes == 1)
          out_.debt[end] += std::min(f.time, copy(t, end, bytes, bytes));
      out_.debt[f.dst] += f.add;
    }
    for (std::size_t i = first; i < out_.flows.size(); ++i)
      for (const LinkId link : route(out_.flows[i])) flows_on_link_[link.value] = 0;
    out_.first_flow.push_back(static_cast<std::uint32_t>(out_.flows.size()));
  }

  const Cluster& cluster_;
  const CostModel& costs_;
  std::vector<int> flows_on_link_;
  std::int64_t element_ = 4;
  Expanded out_;
};

// When messages pass one way in or out, in ascending order, without overlap.
class Port {
 public:
  void clear() { busy_.clear(); }

  // The earliest time from `from` on at which it is free for so long.
  std::int64_t free_from(std::int64_t from, std::int64_t time) const {
    if (busy_.empty() || busy_.back().end <= from) return from;
    auto it = std::upper_bound(busy_.begin(), busy_.end(), from,
                               [](std::int64_t t, const Busy& b) { return t < b.end; });
    for (; it != busy_.end() && it->begin < from + time; ++it) from = it->end;
    return from;
  }

  void occupy(std::int64_t begin, std::int64_t end) {
    if (busy_.empty() || busy_.back().end < begin) {
      if (busy_.size() == kMost) forget();
      busy_.push_back({begin, end});
      return;
    }
    // Those that it overlaps or touches become one with it.
    const auto first = std::lower_bound(busy_.begin(), busy_.end(), begin,
                                        [](const Busy& b, std::int64_t t) { return b.end < t; });
    auto last = first;
    for (; last != busy_.end() && last->begin <= end; ++last) {
      begin = std::min(begin, last->begin);
      end = std::max(end, last->end);
    }
    if (first == last) {
      busy_.insert(first, {begin, end});
      if (busy_.size() > kMost) forget();
    } else {
      *first = {begin, end};
      busy_.erase(first + 1, last);
    }
  }

 private:
  struct Busy {
    std::int64_t begin, end;
  };
  // So that a search never has far to go.
  static constexpr std::size_t kMost = 256;
  void forget() {
    const auto middle = busy_.begin() + kMost / 2;
    middle->begin = busy_.front().begin;
    busy_.erase(busy_.begin(), middle);
  }
  std::vector<Busy> busy_;
};

// The links that several devices send over and several receive from, which ports do not keep them
// from using at once: adapters of nodes, buses. Each carries as many messages at a time as it has
// bandwidth for.
class SharedLinks {
 public:
  explicit SharedLinks(const Cluster& cluster)
      : cluster_(cluster), of_link_(cluster.links().size()) {
    struct Use {
      std::uint32_t least_src = UINT32_MAX, most_src = 0, least_dst = UINT32_MAX, most_dst = 0;
      double fastest = 0;  // message that is alone
    };
    std::vector<Use> uses(cluster.links().size());
    for (std::uint32_t src = 0; src < cluster.size(); ++src)
      for (std::uint32_t dst = 0; dst < cluster.size(); ++dst) {
        if (src == dst) continue;
        const double alone = cluster.path_bandwidth(DeviceId(src), DeviceId(dst)).value;
        for (const LinkId id : cluster.route(DeviceId(src), DeviceId(dst))) {
          Use& use = uses[id.value];
          use.least_src = std::min(use.least_src, src);
          use.most_src = std::max(use.most_src, src);
          use.least_dst = std::min(use.least_dst, dst);
          use.most_dst = std::max(use.most_dst, dst);
          use.fastest = std::max(use.fastest, alone);
        }
      }
    for (std::size_t i = 0; i < uses.size(); ++i) {
      const Use& use = uses[i];
      if (use.fastest == 0 || use.least_src == use.most_src || use.least_dst == use.most_dst)
        continue;
      const double at_once = cluster.links()[i].bandwidth.value / use.fastest;
      of_link_[i].resize(static_cast<std::size_t>(std::clamp(at_once + 1e-9, 1.0, kMost)));
    }
  }

  void clear() {
    for (auto& lanes : of_link_)
      for (Port& lane : lanes) lane.clear();
  }

  // The earliest time from `from` on at which all links of the route are free for so long.
  std::int64_t free_from(DeviceId src, DeviceId dst, std::int64_t from, std::int64_t time) const {
    for (const LinkId link : cluster_.route(src, dst)) {
      const std::vector<Port>& lanes = of_link_[link.value];
      if (lanes.empty()) continue;
      std::int64_t first = INT64_MAX;
      for (const Port& lane : lanes) first = std::min(first, lane.free_from(from, time));
      from = first;
    }
    return from;
  }

  void occupy(DeviceId src, DeviceId dst, std::int64_t begin, std::int64_t end) {
    for (const LinkId link : cluster_.route(src, dst)) {
      std::vector<Port>& lanes = of_link_[link.value];
      if (lanes.empty()) continue;
      if (lanes.size() == 1) {
        lanes.front().occupy(begin, end);
        continue;
      }
      // None is free: another flow of the same round has it, with which this one shares.
      const auto free = std::find_if(lanes.begin(), lanes.end(), [&](const Port& lane) {
        return lane.free_from(begin, end - begin) == begin;
      });
      (free == lanes.end() ? lanes.front() : *free).occupy(begin, end);
    }
  }

 private:
  static constexpr double kMost = 16;
  const Cluster& cluster_;
  std::vector<std::vector<Port>> of_link_;  // empty: ports suffice
};

struct KeyIsHash {
  std::size_t operator()(std::uint64_t key) const { return static_cast<std::size_t>(key); }
};

}  // namespace

struct Simulator::Impl {
  const Graph& graph;
  const Cluster& cluster;
  const CostModel& costs;
  Expander expander;

  Impl(const Graph& of, const Cluster& on, const CostModel& with)
      : graph(of), cluster(on), costs(with), expander(on, with), links(on) {}

  // Kept between plans.
  static constexpr std::size_t kMostFlows = 1 << 21;  // of kept transfers: 48 MiB
  std::map<std::pair<std::uint32_t, std::uint32_t>, Graph> micro_graphs;  // by number, zigzag
  std::unordered_map<std::uint64_t, Cost, KeyIsHash> compute_costs;
  struct Work {
    Bytes bytes;  // read and written, or sent
    Flops flops;
  };
  std::unordered_map<std::uint64_t, Work, KeyIsHash> works;  // of computing tasks
  std::unordered_map<std::uint64_t, Expanded, KeyIsHash> expanded;
  std::size_t kept_flows = 0;

  // Of one device in the plan being simulated.
  struct Place {
    std::uint32_t class_index = 0;
    std::uint32_t member = 0;
    DeviceId device;
    int lanes = 1;
    std::size_t first_task = 0;  // of the flat arrays below
    std::int64_t free = 0;       // when it has computed, packed and paid what it has so far
    std::int64_t computed = 0;   // the end of the last computing task
    std::int64_t left = 0;       // what it has to compute, pack and pay yet
    std::vector<std::uint32_t> debtors = {};  // one lane: transfers with a debt, oldest first
  };
  struct Entry {
    std::uint32_t place, task;
  };
  std::vector<Place> places;
  std::vector<std::int64_t> duration, start, end, waiting;  // per place and task
  std::vector<std::int64_t> debt;                           // likewise; of transfers on one lane
  std::vector<CostSource> source;
  std::vector<Bytes> sent;  // likewise; of transfers that are recorded
  std::vector<const Expanded*> transfers;
  std::vector<std::uint32_t> first_of_order;
  std::vector<Entry> entries;  // by order, then place
  std::vector<std::uint64_t> candidate_hash;
  std::vector<std::int64_t> clock, next, begun;
  std::vector<Port> outgoing, incoming;  // per device
  SharedLinks links;
  struct Side {  // of a member of the transfer being simulated
    Port *outgoing, *incoming;
    std::size_t at;
    std::int64_t packed;  // its processor has packed; 0: it packs nothing
  };
  std::vector<Side> sides;
  std::vector<Entry> parts;
  std::vector<Entry> part_of_device;
  const Graph* g = nullptr;

  Status prepare(const Plan& plan, const SimulateOptions& options = {}) {
    if (plan.graph_hash != graph.hash())
      return usage_error("the plan was made for graph {} ({}), this is {} ({})", plan.graph,
                         hex(plan.graph_hash), graph.name(), hex(graph.hash()));
    if (plan.device_count != cluster.size())
      return usage_error("the plan is for {} devices, cluster {} has {}", plan.device_count,
                         cluster.name(), cluster.size());
    const std::pair which(plan.micro_batches, plan.zigzag);
    auto found = micro_graphs.find(which);
    if (found == micro_graphs.end()) {
      SOAPSTONE_ASSIGN(Graph made, planned_graph(graph, plan.micro_batches, plan.zigzag));
      found = micro_graphs.emplace(which, std::move(made)).first;
    }
    g = &found->second;

    candidate_hash.clear();
    for (const auto& name : plan.candidates) candidate_hash.push_back(hash_of(name));
    if (kept_flows > kMostFlows) {
      expanded.clear();
      kept_flows = 0;
    }
    transfers.clear();
    for (const Transfer& t : plan.transfers) {
      const auto [it, is_new] = expanded.try_emplace(key_of(t));
      if (is_new) {
        it->second = expander.expand(t);
        kept_flows += it->second.flows.size();
      }
      transfers.push_back(&it->second);
    }

    places.clear();
    std::size_t tasks = 0;
    std::uint32_t orders = 0;
    for (std::uint32_t c = 0; c < plan.classes.size(); ++c) {
      const DeviceClass& program = plan.classes[c];
      if (!program.tasks.empty()) orders = std::max(orders, program.tasks.back().order + 1);
      for (std::uint32_t m = 0; m < program.members.size(); ++m) {
        const DeviceId d = program.members[m];
        places.push_back({c, m, d, cluster.kind(d).lanes, tasks});
        tasks += program.tasks.size();
      }
    }
    duration.resize(tasks);
    start.resize(tasks);
    end.resize(tasks);
    debt.assign(tasks, 0);
    source.resize(tasks);
    first_of_order.assign(orders + 1, 0);
    for (const Place& place : places)
      for (const Task& t : plan.classes[place.class_index].tasks) ++first_of_order[t.order + 1];
    for (std::uint32_t o = 0; o < orders; ++o) first_of_order[o + 1] += first_of_order[o];
    entries.resize(tasks);
    std::vector<std::uint32_t> fill(first_of_order.begin(), first_of_order.end());
    for (std::uint32_t p = 0; p < places.size(); ++p) {
      Place& place = places[p];
      const DeviceClass& program = plan.classes[place.class_index];
      for (std::uint32_t i = 0; i < program.tasks.size(); ++i) {
        const Task& t = program.tasks[i];
        entries[fill[t.order]++] = {p, i};
        const std::size_t at = place.first_task + i;
        if (t.kind == TaskKind::kTransfer) {
          source[at] = transfers[plan.entry(t, place.member)]->source;
          if (place.lanes == 1) expect_debt(plan, place, program, t, at);
          continue;
        }
        Cost cost = cost_of(plan, place, program, t);
        if (options.retime) cost.time = options.retime(place.device, t, cost.time);
        duration[at] = cost.time.value;
        source[at] = cost.source;
        if (t.kind != TaskKind::kHostCopy)
          place.left += cost.time.value;
        else if (place.lanes == 1)
          place.left += debt[at] = cost.time.value;
      }
    }
    return {};
  }

  // What the processor has to do for a transfer.
  void expect_debt(const Plan& plan, Place& place, const DeviceClass& program, const Task& t,
                   std::size_t at) {
    const std::uint32_t entry = plan.entry(t, place.member);
    const std::uint32_t m = member_of(plan.transfers[entry], place.device);
    debt[at] = transfers[entry]->debt[m];
    place.left += debt[at] + packing(plan.transfers[entry], *transfers[entry], m, program, t);
  }

  static std::int64_t packing(const Transfer& transfer, const Expanded& e, std::size_t m,
                              const DeviceClass& program, const Task& t) {
    return e.before[m] +
           (in_own_buffer(transfer.pattern) && !in_place(program, t) ? e.apart[m] : 0);
  }

  static std::uint32_t member_of(const Transfer& t, DeviceId device) {
    for (std::uint32_t k = 0; k < t.members.size(); ++k)
      if (t.members[k].device == device) return k;
    SOAPSTONE_ASSERT(false, "device {} is not a member of its transfer", device.value);
  }

  static bool in_place(const DeviceClass& program, const Task& t) {
    const auto uses = program.uses_of(t);
    return uses[0].buffer == uses[1].buffer || uses[0].buffer == kNoIndex ||
           uses[1].buffer == kNoIndex;
  }

  // Of anything but a transfer.
  Cost cost_of(const Plan& plan, const Place& place, const DeviceClass& program, const Task& t) {
    const DeviceKind& kind = cluster.kind(place.device);
    const auto size = [&](std::size_t use) {
      const std::uint32_t b = program.uses_of(t)[use].buffer;
      return b == kNoIndex ? Bytes(0) : program.buffers[b].size;
    };
    switch (t.kind) {
      case TaskKind::kLoad:
        return costs.copy(size(0), size(0), kind);
      case TaskKind::kCompute: {
        const std::uint32_t entry = plan.entry(t, place.member);
        const Shard& shard = plan.shards[entry];
        Hasher h;
        h.word(shard.signature);
        h.word(candidate_hash[shard.candidate]);
        h.word(static_cast<std::uint64_t>(t.step) << 32 | cluster.device(place.device).kind);
        const auto [it, is_new] = compute_costs.try_emplace(h.finish());
        if (is_new) {
          const OpNode& node = g->ops()[shard.op];
          it->second = costs.compute({node.op, &node.definition, shard.axes}, t.step,
                                     plan.candidates[shard.candidate], kind);
        }
        return it->second;
      }
      case TaskKind::kTransfer:
        break;
      case TaskKind::kAccumulate:
        return costs.copy(size(0) + size(1), size(1), kind);
      case TaskKind::kNorm: {
        Bytes read;
        for (std::size_t i = 0; i + 1 < t.use_count; ++i) read += size(i);
        return costs.copy(read, Bytes(0), kind);
      }
      case TaskKind::kUpdate: {
        const Buffer& weight = program.buffers[program.uses_of(t)[0].buffer];
        const bool is_table = table_of(*g, TensorId(t.tensor)).has_value();
        return costs.update(elements(weight.box),
                            static_cast<int>(is_table ? plan.table_states : plan.optimizer_states),
                            weight.dtype, kind);
      }
      case TaskKind::kHostCopy:
        return costs.copy(size(0), size(1), kind);
      case TaskKind::kNormRows:
        return costs.copy(row_work(*g, plan, program, t, place.member).bytes, Bytes(0), kind);
      case TaskKind::kUpdateRows: {
        const RowWork work = row_work(*g, plan, program, t, place.member);
        return costs.update_rows(work.rows, work.features, static_cast<int>(plan.table_states),
                                 g->tensors()[t.tensor].desc.dtype, kind);
      }
    }
    SOAPSTONE_ASSERT(false, "task kind {}", static_cast<int>(t.kind));
  }

  // When all that the task depends on is done.
  std::int64_t ready(const Place& place, const DeviceClass& program, const Task& t) const {
    std::int64_t at = 0;
    for (const std::uint32_t d : program.dependencies_of(t))
      at = std::max(at, end[place.first_task + d]);
    return at;
  }

  // The next computing task; false as soon as the device must end later than `limit`.
  bool compute(Place& place, const DeviceClass& program, std::uint32_t task, std::int64_t limit) {
    const std::size_t at = place.first_task + task;
    const Task& t = program.tasks[task];
    if (!place.debtors.empty()) pay(place, program.dependencies_of(t));
    const std::int64_t from = std::max(place.free, ready(place, program, t));
    if (!place.debtors.empty()) pay_while_idle(place, from);
    start[at] = from;
    end[at] = place.free = place.computed = from + duration[at];
    place.left -= duration[at];
    return place.free + place.left <= limit;
  }

  // What moves data begins at its place in the order: the processor packs, and what it takes over
  // from others is added to its own debt.
  void begin_moving(Place& place, const DeviceClass& program, std::uint32_t task) {
    if (place.lanes > 1) return;
    const std::size_t at = place.first_task + task;
    for (const std::uint32_t d : program.dependencies_of(program.tasks[task]))
      debt[at] += std::exchange(debt[place.first_task + d], 0);
    if (debt[at] > 0) place.debtors.push_back(task);
  }

  // Pays the debts of the tasks, which end then at the earliest.
  void pay(Place& place, std::span<const std::uint32_t> tasks) {
    for (const std::uint32_t d : tasks) {
      const std::size_t at = place.first_task + d;
      if (debt[at] == 0) continue;
      place.free += debt[at];
      place.left -= std::exchange(debt[at], 0);
      end[at] = std::max(end[at], place.free);
    }
  }

  // The device is idle until then: it works on debts of what has begun, oldest first.
  void pay_while_idle(Place& place, std::int64_t until) {
    std::size_t kept = 0;
    for (const std::uint32_t d : place.debtors) {
      const std::size_t at = place.first_task + d;
      const std::int64_t from = std::max(place.free, start[at]);
      if (debt[at] > 0 && from < until) {
        const std::int64_t paid = std::min(debt[at], until - from);
        place.free = from + paid;
        place.left -= paid;
        debt[at] -= paid;
        if (debt[at] == 0) end[at] = std::max(end[at], place.free);
      }
      if (debt[at] > 0) place.debtors[kept++] = d;
    }
    place.debtors.resize(kept);
  }

  // The end of the last task, or nothing.
  template <bool kRecord>
  std::optional<std::int64_t> run(const Plan& plan, std::int64_t limit) {
    if constexpr (kRecord) {
      waiting.assign(end.size(), 0);
      sent.resize(end.size());
    }
    for (const Place& place : places)
      if (place.left > limit) return std::nullopt;
    part_of_device.resize(cluster.size());
    for (std::vector<Port>* ports : {&outgoing, &incoming}) {
      ports->resize(cluster.size());
      for (Port& port : *ports) port.clear();
    }
    links.clear();
    for (std::size_t o = 0; o + 1 < first_of_order.size(); ++o) {
      parts.clear();
      for (std::uint32_t i = first_of_order[o]; i < first_of_order[o + 1]; ++i) {
        const Entry e = entries[i];
        Place& place = places[e.place];
        const DeviceClass& program = plan.classes[place.class_index];
        const Task& t = program.tasks[e.task];
        if (t.kind == TaskKind::kTransfer) {
          parts.push_back(e);
        } else if (t.kind == TaskKind::kHostCopy) {
          const std::size_t at = place.first_task + e.task;
          start[at] = ready(place, program, t);
          end[at] = start[at] + duration[at];
          begin_moving(place, program, e.task);
          if (end[at] > limit) return std::nullopt;
        } else if (!compute(place, program, e.task, limit)) {
          return std::nullopt;
        }
      }
      while (!parts.empty()) {
        const auto entry_of = [&](const Entry& e) {
          const Place& place = places[e.place];
          return plan.entry(plan.classes[place.class_index].tasks[e.task], place.member);
        };
        const std::uint32_t first = entry_of(parts[0]);
        const auto rest = std::stable_partition(
            parts.begin(), parts.end(), [&](const Entry& e) { return entry_of(e) == first; });
        for (auto it = parts.begin(); it != rest; ++it)
          part_of_device[places[it->place].device.value] = *it;
        if (!run_transfer<kRecord>(plan, first, limit)) return std::nullopt;
        parts.erase(parts.begin(), rest);
      }
    }
    std::int64_t last = 0;
    for (Place& place : places) {
      if (!place.debtors.empty()) pay(place, place.debtors);
      const std::size_t tasks = plan.classes[place.class_index].tasks.size();
      for (std::size_t i = 0; i < tasks; ++i) last = std::max(last, end[place.first_task + i]);
    }
    if (last > limit) return std::nullopt;
    return last;
  }

  template <bool kRecord>
  bool run_transfer(const Plan& plan, std::uint32_t index, std::int64_t limit) {
    const Transfer& t = plan.transfers[index];
    const Expanded& e = *transfers[index];
    const std::size_t p = t.members.size();
    next.resize(p);
    clock.resize(p);
    sides.resize(p);
    std::int64_t last_begun = 0;
    for (std::size_t m = 0; m < p; ++m) {
      const DeviceId device = t.members[m].device;
      const Entry part = part_of_device[device.value];
      Place& place = places[part.place];
      const DeviceClass& program = plan.classes[place.class_index];
      const Task& task = program.tasks[part.task];
      const std::size_t at = place.first_task + part.task;
      sides[m] = {&outgoing[device.value], &incoming[device.value], at, 0};
      const std::int64_t begin = ready(place, program, task);
      start[at] = begin;
      last_begun = std::max(last_begun, begin);
      const std::int64_t packs = packing(t, e, m, program, task);
      next[m] = begin + packs;
      if (place.lanes > 1) continue;
      if (packs > 0) {
        // Behind what else it has packed since it last computed.
        if (begin >= place.computed) next[m] = std::max(begin, place.free) + packs;
        place.free += packs;
        place.left -= packs;
        sides[m].packed = place.free;
      }
      begin_moving(place, program, part.task);
    }
    for (std::size_t r = 0; r + 1 < e.first_flow.size(); ++r) {
      std::copy(next.begin(), next.end(), clock.begin());
      const std::span<const Flow> flows =
          std::span(e.flows).subspan(e.first_flow[r], e.first_flow[r + 1] - e.first_flow[r]);
      begun.resize(flows.size());
      for (std::size_t i = 0; i < flows.size(); ++i) {
        const Flow& f = flows[i];
        begun[i] = std::max(clock[f.src], clock[f.dst]);
        if (f.time > 0) begun[i] = all_free(t, f, begun[i]);
      }
      for (std::size_t i = 0; i < flows.size(); ++i) {
        const Flow& f = flows[i];
        const std::int64_t done = begun[i] + f.time;
        next[f.src] = std::max(next[f.src], done);
        next[f.dst] = std::max(next[f.dst], done);
        if (f.time == 0) continue;
        sides[f.src].outgoing->occupy(begun[i], done);
        sides[f.dst].incoming->occupy(begun[i], done);
        links.occupy(t.members[f.src].device, t.members[f.dst].device, begun[i], done);
      }
      for (const Flow& f : flows) next[f.dst] += f.add;
    }
    for (std::size_t m = 0; m < p; ++m) {
      const Side& side = sides[m];
      end[side.at] = std::max(next[m] + e.after[m], side.packed);
      if constexpr (kRecord) {
        waiting[side.at] = std::min(last_begun, end[side.at]) - start[side.at];
        sent[side.at] = e.sent[m];
      }
      if (end[side.at] > limit) return false;
    }
    return true;
  }

  // The earliest time from `from` on at which a flow's two ports and its links are free for it.
  std::int64_t all_free(const Transfer& t, const Flow& f, std::int64_t from) const {
    const Port &src = *sides[f.src].outgoing, &dst = *sides[f.dst].incoming;
    for (;;) {
      const std::int64_t there =
          links.free_from(t.members[f.src].device, t.members[f.dst].device,
                          dst.free_from(src.free_from(from, f.time), f.time), f.time);
      if (there == from) return there;
      from = there;
    }
  }

  // Of a task in the plan that has run.
  Work work_of(const Plan& plan, const Place& place, const DeviceClass& program,
               std::uint32_t task) {
    const Task& t = program.tasks[task];
    if (t.kind == TaskKind::kTransfer) return {sent[place.first_task + task], {}};
    if (t.kind == TaskKind::kNormRows || t.kind == TaskKind::kUpdateRows)
      return {row_work(*g, plan, program, t, place.member).bytes, {}};
    if (t.kind == TaskKind::kCompute) {
      const Shard& shard = plan.shards[plan.entry(t, place.member)];
      Hasher h;
      h.word(shard.signature);
      h.word(static_cast<std::uint64_t>(shard.op) << 32 | t.step);
      h.word(static_cast<std::uint64_t>(plan.micro_batches) << 32 | plan.zigzag);
      const auto [it, is_new] = works.try_emplace(h.finish());
      if (is_new) {
        const OpDefinition& definition = g->ops()[shard.op].definition;
        const Step& step = definition.steps[t.step];
        it->second = {step_bytes(definition, step, shard.axes),
                      step_flops(definition, step, shard.axes)};
      }
      return it->second;
    }
    Work work;
    for (const BufferUse& use : program.uses_of(t))
      if (use.buffer != kNoIndex)
        work.bytes +=
            program.buffers[use.buffer].size * (use.access == UseAccess::kReadWrite ? 2 : 1);
    return work;
  }

  Result<Trace> trace(const Plan& plan, const SimulateOptions& options) {
    SOAPSTONE_TRY(prepare(plan, options));
    const auto last = run<true>(plan, kNever.value);
    SOAPSTONE_ASSERT(last, "a step longer than {} ns", kNever.value);
    Trace out;
    out.origin = TraceOrigin::kPredicted;
    out.step_time = Nanoseconds(*last);
    std::unordered_map<std::string, std::uint32_t> label_index;
    std::unordered_map<std::uint64_t, std::uint32_t> known_label;
    const auto label_of = [&](const DeviceClass& program, const Task& t) {
      // Most tasks have the label of one before them.
      const std::optional<std::uint64_t> short_label = key_of_label(plan, t);
      if (short_label)
        if (const auto known = known_label.find(*short_label); known != known_label.end())
          return known->second;
      const auto [it, is_new] = label_index.emplace(task_label(*g, plan, program, t),
                                                    static_cast<std::uint32_t>(out.labels.size()));
      if (is_new) out.labels.push_back(it->first);
      if (short_label) known_label.emplace(*short_label, it->second);
      return it->second;
    };
    std::vector<std::vector<std::uint32_t>> labels(plan.classes.size());  // per class and task
    std::vector<std::uint32_t> by_device(places.size());
    std::iota(by_device.begin(), by_device.end(), 0u);
    std::sort(by_device.begin(), by_device.end(),
              [&](auto a, auto b) { return places[a].device < places[b].device; });
    Spans& s = out.spans;
    Spans::fields(s, [&](std::string_view, auto& column, auto...) { column.resize(end.size()); });
    std::size_t span = 0;
    for (const std::uint32_t p : by_device) {
      const Place& place = places[p];
      const DeviceClass& program = plan.classes[place.class_index];
      const auto lane = static_cast<std::uint32_t>(out.lanes.size());
      out.lanes.push_back({place.device, LaneKind::kCompute});
      std::vector<std::uint32_t>& labels_here = labels[place.class_index];
      if (labels_here.empty())
        for (const Task& t : program.tasks) labels_here.push_back(label_of(program, t));
      for (std::uint32_t i = 0; i < program.tasks.size(); ++i, ++span) {
        const Task& t = program.tasks[i];
        const std::size_t at = place.first_task + i;
        s.lane[span] = lane;
        s.start[span] = Nanoseconds(start[at]);
        s.end[span] = Nanoseconds(end[at]);
        s.waiting[span] = Nanoseconds(waiting[at]);
        s.task[span] = i;
        s.kind[span] = t.kind;
        s.phase[span] = t.phase;
        s.label[span] = labels_here[i];
        const Work work = work_of(plan, place, program, i);
        s.bytes[span] = work.bytes;
        s.flops[span] = work.flops;
        s.source[span] = source[at];
      }
      if (!options.memory) continue;
      const auto times = [&](const std::vector<std::int64_t>& of) {
        const auto first = of.begin() + static_cast<std::ptrdiff_t>(place.first_task);
        return std::vector<Nanoseconds>(first,
                                        first + static_cast<std::ptrdiff_t>(program.tasks.size()));
      };
      out.memory.push_back(memory_counter(program, place.device, times(start), times(end)));
    }
    add_communication_lanes(out);
    if (options.of_plan) set_plan(out, plan);
    return out;
  }
};

Simulator::Simulator(const Graph& graph, const Cluster& cluster, const CostModel& costs)
    : impl_(std::make_unique<Impl>(graph, cluster, costs)) {}
Simulator::~Simulator() = default;
Simulator::Simulator(Simulator&&) noexcept = default;

Result<Trace> Simulator::trace(const Plan& plan, const SimulateOptions& options) {
  return impl_->trace(plan, options);
}

std::optional<Nanoseconds> Simulator::step_time(const Plan& plan, Nanoseconds give_up_above) {
  const Status prepared = impl_->prepare(plan);
  SOAPSTONE_ASSERT(prepared, "{}", prepared.error().message);
  const auto last = impl_->run<false>(plan, std::min(give_up_above, kNever).value);
  if (!last) return std::nullopt;
  return Nanoseconds(*last);
}

Result<Trace> simulate(const Graph& graph, const Plan& plan, const Cluster& cluster,
                       const CostModel& costs, const SimulateOptions& options) {
  return Simulator(graph, cluster, costs).trace(plan, options);
}

Bytes live_peak_in_order(const DeviceClass& program) {
  std::vector<Nanoseconds> start, end;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(program.tasks.size()); ++i) {
    start.emplace_back(i);
    end.emplace_back(i + 1);
  }
  return memory_counter(program, program.members[0], start, end).live_peak;
}

Bytes memory_needed(const DeviceClass& program, Bytes enough) {
  if (program.arena.value >= 0) return program.arena;
  Bytes all;
  for (const Buffer& b : program.buffers) all += aligned_size(b.size);
  if (all <= enough) return all;
  Plan alone;
  alone.classes.push_back(program);
  place_buffers(alone);
  return alone.classes[0].arena;
}

}  // namespace soapstone::simulator
