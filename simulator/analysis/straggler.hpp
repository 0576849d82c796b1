// Devices that others wait for because they are later with the same work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "core/trace.hpp"
#include "simulator/analysis/exposed.hpp"

namespace soapstone::simulator {

enum class StragglerReason : std::uint8_t {
  kMoreWork,      // its tasks have more FLOPs, or as many more bytes
  kSlowerDevice,  // it is of another kind
  kSameWork,      // as much work on a device of the same kind takes it longer, or comes to it later
};
SOAPSTONE_ENUM_NAMES(StragglerReason, {StragglerReason::kMoreWork, "more work"},
                     {StragglerReason::kSlowerDevice, "slower device"},
                     {StragglerReason::kSameWork, "same work, later"})

struct Straggler {
  core::DeviceId device;
  core::Nanoseconds waited;  // by all other devices together
  std::int64_t waiting = 0;  // so many other devices
  // Of the tasks that others waited for: their time here, and what the devices that waited took for
  // tasks of the same names, on average.
  core::Nanoseconds time, time_elsewhere;
  double work = 0;  // FLOPs here ÷ there (bytes where there are no FLOPs)
  StragglerReason reason = StragglerReason::kSameWork;
  std::vector<std::uint32_t> spans;  // those tasks

  friend bool operator==(const Straggler&, const Straggler&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device);
    visit("waited_ns", self.waited);
    visit("waiting_devices", self.waiting);
    visit("time_ns", self.time);
    visit("time_elsewhere_ns", self.time_elsewhere);
    visit("work", self.work);
    visit("reason", self.reason);
    visit("spans", self.spans);
  }
};

// The one that is waited for longest first. Without a cluster no device is of another kind.
std::vector<Straggler> stragglers(const core::Trace& trace, const Exposure& exposure,
                                  const core::Cluster* cluster = nullptr);

}  // namespace soapstone::simulator
