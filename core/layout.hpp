// How one tensor lies on devices. Always derived from an OpStrategy, never stored in a document.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/shape.hpp"

namespace soapstone::core {

// What it means when two parts cover the same index.
enum class Overlap : std::uint8_t {
  kCopy,  // both hold the value (halo of a required operand)
  kSum,   // the value is the sum of both (gradient of a halo)
};
SOAPSTONE_ENUM_NAMES(Overlap, {Overlap::kCopy, "copy"}, {Overlap::kSum, "sum"})

// Shard s = ((part of dim 0, part of dim 1, …), partial, replica), row-major in
// this order, lies on devices[s]; devices are distinct. The tensor's value is
// the sum over partials; replicas are equal.
struct Layout {
  std::vector<std::vector<Interval>> parts;  // per dimension
  std::int32_t partials = 1;
  std::int32_t replicas = 1;
  Overlap overlap = Overlap::kCopy;
  std::vector<DeviceId> devices;

  std::size_t size() const { return devices.size(); }
  Box box(std::size_t shard) const;
  std::int32_t partial(std::size_t shard) const {
    return static_cast<std::int32_t>(shard / static_cast<std::size_t>(replicas)) % partials;
  }
  std::int32_t replica(std::size_t shard) const {
    return static_cast<std::int32_t>(shard % static_cast<std::size_t>(replicas));
  }
  // The shard on a device, or -1.
  std::int64_t shard_on(DeviceId device) const;

  friend bool operator==(const Layout&, const Layout&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("parts", self.parts);
    visit("partials", self.partials);
    visit("replicas", self.replicas);
    visit("overlap", self.overlap);
    visit("devices", self.devices);
  }
};

// The whole tensor on one device.
Layout on_one_device(const Shape& shape, DeviceId device);

}  // namespace soapstone::core
