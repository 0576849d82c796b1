// Who holds the memory of a device when most of it is in use.
#pragma once

#include <string>
#include <vector>

#include "core/plan.hpp"

namespace soapstone::simulator {

// Bytes of one device. The sum of all but `host` is what it allocates, to the byte.
struct MemoryHolders {
  core::Bytes weights;      // and copies of weights that live elsewhere or in parts
  core::Bytes gradients;    // of weights
  core::Bytes optimizer;    // its states
  core::Bytes activations;  // data, activations, their gradients, what operators keep for backward
  core::Bytes communication;  // pieces that are packed, sent and received
  core::Bytes workspace;      // of kernels
  core::Bytes other;          // losses, counts, norms
  core::Bytes unused;         // at this time: of buffers that live at others, and to align
  core::Bytes host;           // allocated in the host's memory, beside all that

  core::Bytes allocated() const {
    return weights + gradients + optimizer + activations + communication + workspace + other +
           unused;
  }

  friend bool operator==(const MemoryHolders&, const MemoryHolders&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("weights", self.weights);
    visit("gradients", self.gradients);
    visit("optimizer", self.optimizer);
    visit("activations", self.activations);
    visit("communication", self.communication);
    visit("workspace", self.workspace);
    visit("other", self.other);
    visit("unused", self.unused);
    visit("host", self.host);
  }
};

// At the place of the step, in the order of computing, at which most is alive. The program's
// buffers must be placed.
MemoryHolders memory_holders(const core::DeviceClass& program);

// Devices whose memory is held alike.
struct DevicesMemory {
  std::string devices;  // "0-3,8"
  MemoryHolders holders;

  friend bool operator==(const DevicesMemory&, const DevicesMemory&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("devices", self.devices);
    visit("holders", self.holders);
  }
};
// Of all devices of a plan, in the order of their first device.
std::vector<DevicesMemory> memory_of_devices(const core::Plan& plan);

// A line per row of `rows`, the fullest ones if there are more than `most`, under a heading.
std::string text(const std::vector<DevicesMemory>& rows, std::size_t most);

}  // namespace soapstone::simulator
