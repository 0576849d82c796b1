// What devices do with the time of a step.
#pragma once

#include <string>
#include <vector>

#include "core/trace.hpp"

namespace soapstone::simulator {

// Shares of a step; they add up to 1. A lane that waits for other devices in the midst of a task
// does so at the beginning of it.
struct Utilization {
  double computing = 0;              // and everything else that is no transfer
  double exposed_communication = 0;  // a transfer runs and nothing else
  double idle = 0;                   // nothing runs: bubbles of a pipeline, waiting for others

  friend bool operator==(const Utilization&, const Utilization&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("computing", self.computing);
    visit("exposed_communication", self.exposed_communication);
    visit("idle", self.idle);
  }
};

// Of every device that has a lane, ascending.
struct DeviceUtilization {
  core::DeviceId device;
  Utilization use;
};
std::vector<DeviceUtilization> utilization_of_devices(const core::Trace& trace);
// The mean over devices; nothing but zeros for a trace without lanes or time.
Utilization utilization(const core::Trace& trace);

// "computing 61 %, exposed communication 9 %, idle 30 %".
std::string text(const Utilization& use);

}  // namespace soapstone::simulator
