#include "core/reshard.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>

namespace soapstone::core {

namespace {

// `box` without `hole`, as disjoint boxes appended to `out`.
void subtract(const Box& box, const Box& hole, std::vector<Box>& out) {
  const Box common = intersect(box, hole);
  if (is_empty(common)) {
    out.push_back(box);
    return;
  }
  Box rest = box;
  for (std::size_t d = 0; d < box.size(); ++d) {
    for (const Interval side :
         {Interval{rest[d].begin, common[d].begin}, Interval{common[d].end, rest[d].end}}) {
      if (side.empty()) continue;
      Box piece = rest;
      piece[d] = side;
      out.push_back(piece);
    }
    rest[d] = common[d];
  }
}

struct Devices {
  std::unordered_map<std::uint32_t, std::uint32_t> shard;  // device -> shard
  explicit Devices(const Layout& layout) {
    shard.reserve(layout.size());
    for (std::uint32_t s = 0; s < layout.size(); ++s) shard.emplace(layout.devices[s].value, s);
  }
  std::int64_t find(DeviceId d) const {
    const auto it = shard.find(d.value);
    return it == shard.end() ? -1 : static_cast<std::int64_t>(it->second);
  }
};

// The shard of unit `unit` (a part and partial) that `device`, which gets shard `dst`, reads from.
std::uint32_t nearest_replica(const Layout& from, std::size_t unit, DeviceId device,
                              std::int64_t own_shard, std::uint32_t dst, bool elsewhere) {
  const auto replicas = static_cast<std::size_t>(from.replicas);
  const std::size_t first = unit * replicas;
  for (std::size_t r = 0; r < replicas; ++r)
    if (from.devices[first + r] == device) return static_cast<std::uint32_t>(first + r);
  if (own_shard >= 0)
    return static_cast<std::uint32_t>(first + static_cast<std::size_t>(own_shard) % replicas);
  if (elsewhere) return static_cast<std::uint32_t>(first + dst % replicas);
  std::size_t best = first;
  const auto distance = [&](std::size_t s) {
    return std::abs(static_cast<std::int64_t>(from.devices[s].value) -
                    static_cast<std::int64_t>(device.value));
  };
  for (std::size_t r = 1; r < replicas; ++r)
    if (distance(first + r) < distance(best)) best = first + r;
  return static_cast<std::uint32_t>(best);
}

bool parts_overlap(const Layout& layout) {
  for (const auto& parts : layout.parts)
    for (std::size_t i = 0; i < parts.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (!intersect(parts[i], parts[j]).empty()) return true;
  return false;
}

std::uint32_t find_root(std::vector<std::uint32_t>& parent, std::uint32_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

// Names the collective that has the same result as the group's moves.
void choose_pattern(ReshardGroup& group, const Layout& from, const Layout& to,
                    const Devices& in_from, const Devices& in_to) {
  const auto count = group.members.size();
  if (count == 1) {
    const BoxMove& only = group.moves.front();
    const bool same = group.moves.size() == 1 && from.devices[only.src] == to.devices[only.dst] &&
                      from.box(only.src) == to.box(only.dst) && only.box == to.box(only.dst);
    if (same) group.pattern = Pattern::kNone, group.sum = false;
    return;
  }
  // A collective fills what is wanted from end to end; here some of it is left zero.
  if (to.overlap == Overlap::kSum) return;
  if (std::any_of(group.moves.begin(), group.moves.end(),
                  [](const BoxMove& m) { return is_empty(m.box); }))
    return;
  std::vector<std::int64_t> sources, destinations;
  for (const DeviceId d : group.members) {
    sources.push_back(in_from.find(d));
    destinations.push_back(in_to.find(d));
  }
  // Only shards that take part count: another replica may sit on a member too.
  std::vector<bool> used(from.size(), false), wanted(to.size(), false);
  for (const BoxMove& m : group.moves) used[m.src] = true, wanted[m.dst] = true;
  const auto is_source = [&](std::size_t k) {
    return sources[k] >= 0 && used[static_cast<std::size_t>(sources[k])];
  };
  const auto is_destination = [&](std::size_t k) {
    return destinations[k] >= 0 && wanted[static_cast<std::size_t>(destinations[k])];
  };
  std::size_t source_count = 0, destination_count = 0;
  for (std::size_t k = 0; k < count; ++k)
    source_count += is_source(k), destination_count += is_destination(k);

  const auto held = [&](std::size_t k) { return from.box(static_cast<std::size_t>(sources[k])); };
  const auto goal = [&](std::size_t k) {
    return to.box(static_cast<std::size_t>(destinations[k]));
  };
  const auto equal_boxes = [&](const auto& box_of) {
    for (std::size_t k = 1; k < count; ++k)
      if (box_of(k) != box_of(0)) return false;
    return true;
  };
  const auto tiles = [&](const auto& box_of, const Box& whole_box) {
    std::int64_t covered = 0;
    for (std::size_t k = 0; k < count; ++k) {
      if (!contains(whole_box, box_of(k))) return false;
      covered += elements(box_of(k));
      for (std::size_t j = 0; j < k; ++j)
        if (!is_empty(intersect(box_of(j), box_of(k)))) return false;
    }
    return covered == elements(whole_box);
  };

  if (source_count == count && destination_count == count) {
    if (group.sum) {
      // Every destination adds one contribution of every member: no unit twice, none from
      // elsewhere.
      if (!equal_boxes(held) || group.moves.size() != count * count) return;
      if (equal_boxes(goal) && goal(0) == held(0)) {
        group.pattern = Pattern::kAllReduce;
      } else if (tiles(goal, held(0))) {
        group.pattern = Pattern::kReduceScatter;
      }
      return;
    }
    if (equal_boxes(goal) && tiles(held, goal(0))) {
      group.pattern = Pattern::kAllGather;
      return;
    }
    // Everyone gives everyone something, each piece once.
    std::size_t crossing = 0;
    for (const BoxMove& m : group.moves) crossing += from.devices[m.src] != to.devices[m.dst];
    bool disjoint = crossing == count * (count - 1);
    for (std::size_t k = 0; disjoint && k < count; ++k)
      for (std::size_t j = 0; disjoint && j < k; ++j)
        disjoint = is_empty(intersect(held(j), held(k))) && is_empty(intersect(goal(j), goal(k)));
    if (disjoint) group.pattern = Pattern::kAllToAll;
    return;
  }
  if (source_count == 1 && !group.sum && destination_count + 1 >= count && count > 2) {
    std::size_t root = 0;
    while (!is_source(root)) ++root;
    for (std::size_t k = 0; k < count; ++k)
      if (is_destination(k) ? goal(k) != held(root) : k != root) return;
    group.pattern = Pattern::kBroadcast;
    group.root = static_cast<std::uint32_t>(root);
  }
}

}  // namespace

bool Reshard::nothing() const {
  return std::all_of(groups.begin(), groups.end(),
                     [](const ReshardGroup& g) { return g.pattern == Pattern::kNone; });
}

Reshard reshard(const Layout& from, const Layout& to, Patterns patterns) {
  const Devices in_from(from), in_to(to);
  const bool sum = from.partials > 1 || from.overlap == Overlap::kSum;
  const auto units = from.size() / static_cast<std::size_t>(from.replicas);
  std::vector<Box> unit_boxes;
  unit_boxes.reserve(units);
  for (std::size_t u = 0; u < units; ++u)
    unit_boxes.push_back(from.box(u * static_cast<std::size_t>(from.replicas)));
  // Otherwise the parts that cover an index are copies, of which one is taken.
  const bool takes_every_unit = from.overlap == Overlap::kSum || !parts_overlap(from);

  const bool elsewhere = std::none_of(to.devices.begin(), to.devices.end(),
                                      [&](DeviceId d) { return in_from.find(d) >= 0; });
  // Same cut, same partials, same places: partial sums may stay partial.
  const bool keeps_sums = to == from && (to.partials > 1 || to.overlap == Overlap::kSum);

  std::vector<BoxMove> moves;
  std::vector<Box> wanted, missing, rest;
  for (std::uint32_t dst = 0; dst < to.size(); ++dst) {
    const Box goal = to.box(dst);
    if (is_empty(goal)) continue;
    const DeviceId device = to.devices[dst];
    const std::int64_t own = in_from.find(device);
    if (keeps_sums) {
      moves.push_back({dst, dst, goal});
      continue;
    }
    // A move of nothing, from the device itself if it can be, leaves zeros.
    const auto leave_zeros = [&] {
      moves.push_back(
          {own >= 0 ? static_cast<std::uint32_t>(own) : 0u, dst, Box(goal.size(), Interval{})});
    };
    wanted.clear();
    if (to.partial(dst) == 0) wanted.push_back(goal);
    if (to.overlap == Overlap::kSum) {
      // What an earlier part has is zero here.
      const auto per_part =
          static_cast<std::size_t>(to.partials) * static_cast<std::size_t>(to.replicas);
      for (std::size_t earlier = 0; earlier < dst / per_part * per_part; earlier += per_part) {
        rest.clear();
        for (const Box& w : wanted) subtract(w, to.box(earlier), rest);
        std::swap(wanted, rest);
      }
    }
    std::int64_t count = 0;
    for (const Box& w : wanted) count += elements(w);
    bool any = false;
    if (takes_every_unit) {
      std::int64_t found = 0;
      for (std::size_t u = 0; u < units; ++u)
        for (const Box& w : wanted) {
          const Box common = intersect(unit_boxes[u], w);
          if (is_empty(common)) continue;
          moves.push_back({nearest_replica(from, u, device, own, dst, elsewhere), dst, common});
          found += elements(common);
          any = true;
        }
      SOAPSTONE_ASSERT(from.overlap == Overlap::kSum || found == count * from.partials,
                       "not all of {} is in {}", print(goal), print(from));
    } else {
      const auto own_unit =
          own >= 0 ? static_cast<std::size_t>(own) / static_cast<std::size_t>(from.replicas)
                   : units;
      for (std::int32_t partial = 0; partial < from.partials; ++partial) {
        missing = wanted;
        const auto take = [&](std::size_t u) {
          if (u % static_cast<std::size_t>(from.partials) != static_cast<std::size_t>(partial))
            return;
          const Box common = intersect(unit_boxes[u], goal);
          if (is_empty(common)) return;
          rest.clear();
          const std::uint32_t src = nearest_replica(from, u, device, own, dst, elsewhere);
          for (const Box& m : missing) {
            const Box piece = intersect(m, common);
            if (!is_empty(piece)) moves.push_back({src, dst, piece}), any = true;
            subtract(m, common, rest);
          }
          std::swap(missing, rest);
        };
        if (own_unit < units) take(own_unit);
        for (std::size_t u = 0; u < units && !missing.empty(); ++u)
          if (u != own_unit) take(u);
        SOAPSTONE_ASSERT(missing.empty(), "no shard of {} holds {}", print(from),
                         print(missing.front()));
      }
    }
    if (!any || (!sum && count < elements(goal))) leave_zeros();
  }

  // Connected devices form a group.
  std::map<std::uint32_t, std::uint32_t> index;  // device -> node
  const auto node = [&](DeviceId d) {
    return index.emplace(d.value, static_cast<std::uint32_t>(index.size())).first->second;
  };
  std::vector<std::pair<std::uint32_t, std::uint32_t>> edges;
  for (const BoxMove& m : moves) {
    const auto b = node(to.devices[m.dst]);
    edges.emplace_back(is_empty(m.box) ? b : node(from.devices[m.src]), b);
  }
  std::vector<std::uint32_t> parent(index.size());
  std::iota(parent.begin(), parent.end(), 0u);
  for (const auto& [a, b] : edges) parent[find_root(parent, a)] = find_root(parent, b);

  Reshard result;
  std::unordered_map<std::uint32_t, std::size_t> group_of_root;
  for (const auto& [device, n] : index) {
    const auto root = find_root(parent, n);
    const auto [it, is_new] = group_of_root.emplace(root, result.groups.size());
    if (is_new) {
      result.groups.emplace_back();
      result.groups.back().sum = sum && !keeps_sums;
    }
    result.groups[it->second].members.push_back(DeviceId(device));
  }
  for (std::size_t i = 0; i < moves.size(); ++i) {
    ReshardGroup& g = result.groups[group_of_root.at(find_root(parent, edges[i].second))];
    if (is_empty(moves[i].box)) g.sum = true;  // zeros first
    g.moves.push_back(std::move(moves[i]));
  }
  for (ReshardGroup& g : result.groups) {
    if (patterns == Patterns::kChosen || g.members.size() == 1)
      choose_pattern(g, from, to, in_from, in_to);
    std::erase_if(g.moves, [](const BoxMove& m) { return is_empty(m.box); });
  }
  return result;
}

std::int64_t elements_moved(const Reshard& r, const Layout& from, const Layout& to) {
  std::int64_t count = 0;
  for (const auto& g : r.groups)
    for (const auto& m : g.moves)
      if (from.devices[m.src] != to.devices[m.dst]) count += elements(m.box);
  return count;
}

}  // namespace soapstone::core
