// Transfers as people think of them: what is moved, how, and between which devices.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/plan.hpp"
#include "core/reflect.hpp"
#include "core/trace.hpp"

namespace soapstone::simulator {

enum class Moved : std::uint8_t {
  kGradients,       // of weights
  kWeights,         // weights that live elsewhere or in parts, gathered or sent back
  kValues,          // what operators make in the forward pass
  kValueGradients,  // their gradients
  kInternal,        // partial results inside an operator
  kScalars,         // norms, losses, counts
  kHost,            // anything, between a device's memory and its host's
};
SOAPSTONE_ENUM_NAMES(Moved, {Moved::kGradients, "gradients"}, {Moved::kWeights, "weights"},
                     {Moved::kValues, "values"}, {Moved::kValueGradients, "gradients of values"},
                     {Moved::kInternal, "partial results"}, {Moved::kScalars, "scalars"},
                     {Moved::kHost, "offloaded data"})

// Transfers of one kind between the same devices.
struct CommunicationGroup {
  std::string name;    // "all-reduce of gradients over 0-3", "values sent from 0-3 to 4-7"
  std::string family;  // without the devices: "all-reduce of gradients", "values sent"
  Moved moved = Moved::kValues;
  std::string pattern;  // "all-reduce", …; "send": plain copies from some devices to others
  std::string devices;  // "0-3"; of all members. Empty: not known
  std::int64_t transfers = 0;
  core::Bytes bytes;  // sent, by all devices together

  friend bool operator==(const CommunicationGroup&, const CommunicationGroup&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("family", self.family);
    visit("moved", self.moved);
    visit("pattern", self.pattern);
    visit("devices", self.devices);
    visit("transfers", self.transfers);
    visit("bytes", self.bytes);
  }
};

struct Communication {
  std::vector<CommunicationGroup> groups;    // in the order of their first span
  std::vector<std::uint32_t> group_of_span;  // kNoIndex: it computes

  friend bool operator==(const Communication&, const Communication&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("groups", self.groups);
    visit("group_of_span", self.group_of_span);
  }
};

// The trace is of the plan (step_graph refuses others). Without a plan: by labels, and a group is a
// family.
Communication communication(const core::Plan& plan, const core::Trace& trace);
Communication communication(const core::Trace& trace);

// Names in a label of a task ("fc1 forward", "fc1.weight gradient all-reduce", see
// core::task_label): the operator ("fc1", "fc1"; a bucket is its own), and what it is about without
// how it is moved ("fc1 forward", "fc1.weight gradient").
std::string operator_of_label(std::string_view label, core::TaskKind kind);
std::string subject_of_label(std::string_view label);

}  // namespace soapstone::simulator
