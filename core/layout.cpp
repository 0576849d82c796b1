#include "core/layout.hpp"

namespace soapstone::core {

Box Layout::box(std::size_t shard) const {
  std::size_t index = shard / static_cast<std::size_t>(partials * replicas);
  Box b(parts.size(), Interval{});
  bool empty = false;
  for (std::size_t d = parts.size(); d-- > 0;) {
    b[d] = parts[d][index % parts[d].size()];
    empty |= b[d].empty();
    index /= parts[d].size();
  }
  return empty ? Box(parts.size(), Interval{}) : b;
}

std::int64_t Layout::shard_on(DeviceId device) const {
  for (std::size_t i = 0; i < devices.size(); ++i)
    if (devices[i] == device) return static_cast<std::int64_t>(i);
  return -1;
}

Layout on_one_device(const Shape& shape, DeviceId device) {
  Layout layout;
  for (const auto e : shape) layout.parts.push_back({Interval{0, e}});
  layout.devices = {device};
  return layout;
}

}  // namespace soapstone::core
