#include "search/axis_roles.hpp"

namespace soapstone::search {

using namespace core;

OpStrategy cut(const OpDefinition& def, std::span<const GridDim> grid,
               std::span<const DeviceId> devices) {
  OpStrategy s;
  s.degrees.assign(def.axes.size(), 1);
  std::vector<std::int32_t> degree, copies;
  for (const GridDim& g : grid) {
    std::int32_t d = 1;
    if (g.axis >= 0) {
      const std::int64_t most = g.is_ring
                                    ? largest_ring(def)
                                    : largest_degree(def.axes[static_cast<std::size_t>(g.axis)]);
      auto& known = s.degrees[static_cast<std::size_t>(g.axis)];
      for (d = g.size; d > 1; --d)
        if (g.size % d == 0 && known * d <= most) break;
      known *= d;
      s.ring |= g.is_ring && d > 1;
    }
    degree.push_back(d);
    copies.push_back(g.size / d);
    s.replicas *= g.size / d;
  }
  std::size_t total = 1;
  for (const GridDim& g : grid) total *= static_cast<std::size_t>(g.size);
  s.devices.resize(total);
  for (std::size_t i = 0; i < total; ++i) {
    std::vector<std::int32_t> at(grid.size());
    std::size_t rest = i;
    for (std::size_t g = grid.size(); g-- > 0;) {
      at[g] = static_cast<std::int32_t>(rest % static_cast<std::size_t>(grid[g].size));
      rest /= static_cast<std::size_t>(grid[g].size);
    }
    std::vector<std::int32_t> part(def.axes.size(), 0);
    std::int32_t replica = 0;
    for (std::size_t g = 0; g < grid.size(); ++g) {
      if (grid[g].axis >= 0) {
        auto& p = part[static_cast<std::size_t>(grid[g].axis)];
        p = p * degree[g] + at[g] / copies[g];
      }
      replica = replica * copies[g] + at[g] % copies[g];
    }
    std::size_t index = 0;
    for (std::size_t a = 0; a < part.size(); ++a)
      index = index * static_cast<std::size_t>(s.degrees[a]) + static_cast<std::size_t>(part[a]);
    s.devices[index * static_cast<std::size_t>(s.replicas) + static_cast<std::size_t>(replica)] =
        devices[i];
  }
  return s;
}

}  // namespace soapstone::search
