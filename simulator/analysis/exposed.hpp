// Why devices do not compute: every idle nanosecond has one cause.
//
// A device is idle while its compute lane is, from 0 to the step's time. What its next task waited
// for, and what that waited for, covers an idle time without holes (chain_before): of that,
//   communication  is a transfer that was under way, on this device or further up the chain, or a
//                  processor that copied for one
//   straggler      is another device that computed something this one has a part of as well
//   bubble         is another device that computed something this one has no part of: another stage
//   host           is a gap that the trace does not explain
//   ends           is time before the first task of a chain, and what the step takes beyond the end
//                  of the last task (of a measured step that may be negative)
// After its last task a device waits for its own transfers, then for the task that ends the step.
#pragma once

#include <cstdint>
#include <vector>

#include "core/reflect.hpp"
#include "simulator/analysis/communication.hpp"
#include "simulator/analysis/critical_path.hpp"
#include "simulator/analysis/step_graph.hpp"

namespace soapstone::simulator {

// A piece of a device's idle time.
struct IdlePiece {
  core::DeviceId device;
  core::Nanoseconds start, end;
  TimeKind kind = TimeKind::kEnds;       // communication, straggler, bubble, host or ends
  std::uint32_t cause = core::kNoIndex;  // span
  std::uint32_t group = core::kNoIndex;  // of the communication

  core::Nanoseconds length() const { return end - start; }
  friend bool operator==(const IdlePiece&, const IdlePiece&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device);
    visit("start", self.start);
    visit("end", self.end);
    visit("kind", self.kind);
    visit("cause", self.cause);
    visit("group", self.group);
  }
};

// computing + communication + straggler + bubble + host + ends = the step's time, to the
// nanosecond.
struct DeviceTime {
  core::DeviceId device;
  core::Nanoseconds computing;
  core::Nanoseconds communication, straggler, bubble, host, ends;

  core::Nanoseconds idle() const { return communication + straggler + bubble + host + ends; }
  friend bool operator==(const DeviceTime&, const DeviceTime&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device);
    visit("computing_ns", self.computing);
    visit("communication_ns", self.communication);
    visit("straggler_ns", self.straggler);
    visit("bubble_ns", self.bubble);
    visit("host_ns", self.host);
    visit("ends_ns", self.ends);
  }
};

// Times of all devices added.
struct ExposedGroup {
  CommunicationGroup group;
  core::Nanoseconds busy;     // under way, without waiting for other members
  core::Nanoseconds hidden;   // of that: the device computes meanwhile
  core::Nanoseconds exposed;  // idle time of any device that it is the cause of
  std::vector<std::uint32_t> spans;

  double hidden_share() const {
    return busy.value == 0 ? 0
                           : static_cast<double>(hidden.value) / static_cast<double>(busy.value);
  }
  friend bool operator==(const ExposedGroup&, const ExposedGroup&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("group", self.group);
    visit("busy_ns", self.busy);
    visit("hidden_ns", self.hidden);
    visit("exposed_ns", self.exposed);
    visit("spans", self.spans);
  }
};

struct Exposure {
  core::Nanoseconds step_time;
  std::vector<DeviceTime> devices;   // that have spans, ascending
  std::vector<ExposedGroup> groups;  // in the order of Communication::groups
  std::vector<IdlePiece> pieces;     // by device, then time
  // Per span: of a transfer, the idle time that it is the cause of, shared with those under way
  // beside it (sharing.hpp); over a group they add up to its `exposed`.
  std::vector<core::Nanoseconds> exposed_of_span;
  core::Nanoseconds queued;  // of all devices added (queueing)

  // Shares of the time of all devices together.
  double share(core::Nanoseconds time) const;
  double bubble_share() const;

  friend bool operator==(const Exposure&, const Exposure&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("step_time_ns", self.step_time);
    visit("devices", self.devices);
    visit("groups", self.groups);
    visit("pieces", self.pieces);
    visit("exposed_of_span", self.exposed_of_span);
    visit("queued_ns", self.queued);
  }
};

// One entry per span: of a transfer what it takes longer than the quickest on its device of its
// group with as many bytes, which is taken for one that meets no other on its way: a queue in the
// links, or a processor that is busy. Zero of everything else.
std::vector<core::Nanoseconds> queueing(const core::Trace& trace, const StepGraph& graph,
                                        const Communication& communication);

Exposure exposure(const core::Trace& trace, const StepGraph& graph,
                  const Communication& communication);

}  // namespace soapstone::simulator
