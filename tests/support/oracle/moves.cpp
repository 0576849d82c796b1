#include "tests/support/oracle/moves.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "tests/support/reference/step_call.hpp"

namespace soapstone::oracle {

namespace {

using core::Box;
using core::Layout;
using reference::for_each_index;
using reference::Index;
using reference::row_major_position;

std::size_t position(const Box& box, Index p) {
  std::size_t at = 0;
  for (std::size_t d = 0; d < box.size(); ++d)
    at = at * static_cast<std::size_t>(box[d].extent()) +
         static_cast<std::size_t>(p[d] - box[d].begin);
  return at;
}

std::size_t first_replica(const Layout& layout, std::size_t shard) {
  return shard - shard % static_cast<std::size_t>(layout.replicas);
}

// Which shards (first replicas) an element's value is the sum of. Where overlaps are copies, those
// of one partial are equal, and the first stands for all.
std::vector<std::size_t> summands(const Layout& layout, Index p) {
  std::vector<std::size_t> found;
  std::set<std::int32_t> partials;
  for (std::size_t s = 0; s < layout.size(); s += static_cast<std::size_t>(layout.replicas)) {
    const Box box = layout.box(s);
    bool inside = true;
    for (std::size_t d = 0; d < box.size(); ++d)
      inside &= box[d].begin <= p[d] && p[d] < box[d].end;
    if (inside &&
        (partials.insert(layout.partial(s)).second || layout.overlap == core::Overlap::kSum))
      found.push_back(s);
  }
  return found;
}

}  // namespace

std::vector<Values> pieces_of(const Layout& layout, const core::Shape& shape, Values& whole,
                              std::mt19937_64& random) {
  std::vector<Values> pieces;
  for (std::size_t s = 0; s < layout.size(); ++s)
    pieces.emplace_back(static_cast<std::size_t>(core::elements(layout.box(s))));
  for_each_index(core::whole(shape), [&](Index p) {
    double& value = whole[static_cast<std::size_t>(row_major_position(shape, p))];
    const auto from = summands(layout, p);
    if (from.empty()) value = 0;
    // Numbers by summand; every other shard that covers p has a copy of its partial's.
    std::map<std::size_t, double> numbers;
    std::map<std::int32_t, double> by_partial;
    double left = value;
    for (std::size_t k = 0; k < from.size(); ++k) {
      const double part = k + 1 == from.size() ? left : static_cast<double>(random() % 19) - 9;
      left -= part;
      numbers[from[k]] = part;
      by_partial[layout.partial(from[k])] = part;
    }
    for (std::size_t s = 0; s < layout.size(); ++s) {
      const Box box = layout.box(s);
      bool inside = true;
      for (std::size_t d = 0; d < box.size(); ++d)
        inside &= box[d].begin <= p[d] && p[d] < box[d].end;
      if (!inside) continue;
      pieces[s][position(box, p)] = layout.overlap == core::Overlap::kSum
                                        ? numbers.at(first_replica(layout, s))
                                        : by_partial.at(layout.partial(s));
    }
  });
  return pieces;
}

core::Result<Values> value_of(const Layout& layout, const core::Shape& shape,
                              const std::vector<Values>& pieces) {
  for (std::size_t s = 0; s < layout.size(); ++s)
    if (pieces[s] != pieces[first_replica(layout, s)])
      return core::fail("replicas on shards {} and {} differ", s, first_replica(layout, s));
  Values whole(static_cast<std::size_t>(core::elements(shape)), std::nan(""));
  std::string error;
  for_each_index(core::whole(shape), [&](Index p) {
    double& value = whole[static_cast<std::size_t>(row_major_position(shape, p))];
    const auto from = summands(layout, p);
    if (!from.empty()) value = 0;
    for (const std::size_t s : from) value += pieces[s][position(layout.box(s), p)];
    if (layout.overlap == core::Overlap::kSum) return;
    for (const std::size_t s : from)
      for (std::size_t other = 0; other < layout.size(); ++other) {
        const Box box = layout.box(other);
        bool inside = layout.partial(other) == layout.partial(s);
        for (std::size_t d = 0; d < box.size(); ++d)
          inside &= box[d].begin <= p[d] && p[d] < box[d].end;
        if (inside && pieces[other][position(box, p)] != pieces[s][position(layout.box(s), p)])
          error = fmt::format("copies on shards {} and {} differ", s, other);
      }
  });
  if (!error.empty()) return core::fail("{}", error);
  return whole;
}

core::Result<std::vector<Values>> moved(const core::Reshard& reshard, const Layout& from,
                                        const Layout& to, const std::vector<Values>& pieces) {
  std::vector<Values> out;
  for (std::size_t s = 0; s < to.size(); ++s)
    out.emplace_back(static_cast<std::size_t>(core::elements(to.box(s))), std::nan(""));
  std::set<core::DeviceId> seen;
  for (const core::ReshardGroup& g : reshard.groups) {
    for (const core::DeviceId d : g.members) {
      if (!seen.insert(d).second) return core::fail("device {} is in two groups", d.value);
      if (const auto dst = to.shard_on(d); dst >= 0 && g.sum)
        for (double& v : out[static_cast<std::size_t>(dst)]) v = 0;
    }
    const auto is_member = [&](core::DeviceId d) {
      return std::find(g.members.begin(), g.members.end(), d) != g.members.end();
    };
    for (std::size_t k = 0; k < g.moves.size(); ++k) {
      const core::BoxMove& m = g.moves[k];
      if (!is_member(from.devices[m.src]) || !is_member(to.devices[m.dst]))
        return core::fail("{} leaves its group", core::print(m));
      if (!core::contains(from.box(m.src), m.box) || !core::contains(to.box(m.dst), m.box))
        return core::fail("{} is not in both boxes", core::print(m));
      if (k > 0 && g.moves[k - 1].dst > m.dst) return core::fail("moves are not ordered by dst");
      std::string error;
      for_each_index(m.box, [&](Index p) {
        double& into = out[m.dst][position(to.box(m.dst), p)];
        if (!g.sum && !std::isnan(into))
          error = fmt::format("{} writes an element again", core::print(m));
        into = (g.sum ? into : 0) + pieces[m.src][position(from.box(m.src), p)];
      });
      if (!error.empty()) return core::fail("{}", error);
    }
  }
  for (std::size_t s = 0; s < out.size(); ++s)
    for (const double v : out[s])
      if (std::isnan(v)) return core::fail("shard {} is not filled", s);
  return out;
}

std::int64_t least_elements_moved(const Layout& from, const Layout& to, const core::Shape& shape) {
  if (to == from) return 0;
  std::int64_t count = 0;
  std::vector<std::vector<std::size_t>> from_of;
  for_each_index(core::whole(shape), [&](Index p) {
    const auto sources = summands(from, p);
    const auto destinations = summands(to, p);
    for (std::size_t dst = 0; dst < to.size(); ++dst) {
      const Box box = to.box(dst);
      bool inside = to.partial(dst) == 0;
      for (std::size_t d = 0; d < box.size(); ++d)
        inside &= box[d].begin <= p[d] && p[d] < box[d].end;
      // Of overlapping sums the first part gets the value.
      if (to.overlap == core::Overlap::kSum &&
          (destinations.empty() || first_replica(to, dst) != destinations[0]))
        inside = false;
      if (!inside) continue;
      const std::int64_t own = from.shard_on(to.devices[dst]);
      for (const std::size_t s : sources) {
        bool here = own >= 0 && first_replica(from, static_cast<std::size_t>(own)) == s;
        if (own >= 0 && from.overlap == core::Overlap::kCopy &&
            from.partial(static_cast<std::size_t>(own)) == from.partial(s)) {
          const Box held = from.box(static_cast<std::size_t>(own));
          bool covers = true;
          for (std::size_t d = 0; d < held.size(); ++d)
            covers &= held[d].begin <= p[d] && p[d] < held[d].end;
          here |= covers;
        }
        count += !here;
      }
    }
  });
  return count;
}

Layout random_layout(const core::Shape& shape, std::uint32_t devices, LayoutKind kind,
                     std::mt19937_64& random) {
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
  };
  Layout layout;
  std::int64_t left = 1 + below(devices);
  bool overlaps = false;
  for (const std::int64_t extent : shape) {
    const std::int64_t count = 1 + below(std::min<std::int64_t>(left, 4));
    left /= count;
    std::vector<std::int64_t> cuts{0, extent};
    for (std::int64_t k = 1; k < count; ++k)
      cuts.push_back(random() % 4 == 0 ? below(extent + 1) : extent * k / count);
    std::sort(cuts.begin(), cuts.end());
    const bool wider = count > 1 && random() % 4 == 0, narrower = !kind.covers && random() % 4 == 0;
    std::vector<core::Interval> parts;
    for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
      core::Interval part{cuts[k], cuts[k + 1]};
      if (wider)
        part = {std::max<std::int64_t>(0, part.begin - below(3)),
                std::min(extent, part.end + below(3))};
      if (narrower) part.end -= below(2);
      parts.push_back(core::intersect(part, {0, extent}));
    }
    overlaps |= wider;
    layout.parts.push_back(std::move(parts));
  }
  layout.partials =
      static_cast<std::int32_t>(random() % 2 == 0 ? 1 + below(std::min<std::int64_t>(left, 3)) : 1);
  left /= layout.partials;
  layout.replicas = static_cast<std::int32_t>(random() % 2 == 0 ? 1 + below(left) : 1);
  layout.overlap = overlaps && random() % 2 == 0 ? core::Overlap::kSum : core::Overlap::kCopy;
  std::vector<std::uint32_t> all(devices);
  std::iota(all.begin(), all.end(), 0u);
  if (random() % 3 != 0) std::shuffle(all.begin(), all.end(), random);
  std::size_t size =
      static_cast<std::size_t>(layout.partials) * static_cast<std::size_t>(layout.replicas);
  for (const auto& p : layout.parts) size *= p.size();
  for (std::size_t i = 0; i < size; ++i) layout.devices.emplace_back(all[i]);
  return layout;
}

}  // namespace soapstone::oracle
