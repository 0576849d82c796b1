#include "importers/clock_offsets.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace soapstone::importers {

using core::Nanoseconds;

namespace {

std::int64_t median(std::vector<std::int64_t>& values) {
  std::sort(values.begin(), values.end());
  const std::int64_t low = values[(values.size() - 1) / 2], high = values[values.size() / 2];
  return low + (high - low) / 2;
}

}  // namespace

std::vector<ClockOffset> clock_offsets(std::span<const std::vector<Occurrence>> ranks) {
  const auto count = static_cast<std::uint32_t>(ranks.size());
  // The first rank of every collective, and its end there.
  std::unordered_map<std::uint64_t, std::pair<std::uint32_t, std::int64_t>> first;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::int64_t>> differences;
  for (std::uint32_t r = 0; r < count; ++r)
    for (const Occurrence& o : ranks[r]) {
      const auto [it, is_new] = first.emplace(o.key, std::pair(r, o.end.value));
      if (!is_new && it->second.first != r)
        differences[{it->second.first, r}].push_back(o.end.value - it->second.second);
    }

  std::vector<std::vector<std::uint32_t>> neighbours(count);
  for (const auto& [pair, list] : differences) {
    neighbours[pair.first].push_back(pair.second);
    neighbours[pair.second].push_back(pair.first);
  }
  std::vector<ClockOffset> out(count);
  std::vector<bool> done(count, false);
  for (std::uint32_t root = 0; root < count; ++root) {
    if (done[root]) continue;
    // Prim's algorithm: next the edge of most collectives, then of the smallest ranks.
    using Edge = std::tuple<std::size_t, std::int64_t, std::int64_t>;  // collectives, -from, -to
    std::vector<Edge> edges;
    const auto reach = [&](std::uint32_t rank) {
      done[rank] = true;
      out[rank].reference = root;
      for (const std::uint32_t to : neighbours[rank])
        if (!done[to]) {
          edges.emplace_back(differences.at(std::minmax(rank, to)).size(),
                             -static_cast<std::int64_t>(rank), -static_cast<std::int64_t>(to));
          std::push_heap(edges.begin(), edges.end());
        }
    };
    reach(root);
    while (!edges.empty()) {
      std::pop_heap(edges.begin(), edges.end());
      const auto from = static_cast<std::uint32_t>(-std::get<1>(edges.back())),
                 to = static_cast<std::uint32_t>(-std::get<2>(edges.back()));
      edges.pop_back();
      if (done[to]) continue;
      std::vector<std::int64_t> list = differences.at(std::minmax(from, to));
      if (to < from)
        for (std::int64_t& d : list) d = -d;
      const std::int64_t middle = median(list);
      for (std::int64_t& d : list) d = std::abs(d - middle);
      reach(to);
      ClockOffset& o = out[to];
      o.offset = out[from].offset + Nanoseconds(middle);
      o.collectives = static_cast<std::uint32_t>(list.size());
      o.median_spread = Nanoseconds(median(list));
      o.largest_spread = Nanoseconds(list.back());
    }
  }
  return out;
}

}  // namespace soapstone::importers
