// Why one step takes longer than another, in terms that add up.
//
// The time of each step is told in terms on one basis, and the terms are subtracted.
//   devices        what the devices do with the step's time, on average: their own tasks by
//                  direction, and their idle time by its cause (exposed.hpp). Of every term the
//                  whole nanoseconds of its mean; those that are left over go to the terms with
//                  the largest fractions, so that the sum is the step's time.
//   critical-path  the segments of the critical path (critical_path.hpp). Nobody waits on it, so
//                  that there are neither bubbles nor stragglers: they are what other devices
//                  compute there.
// Communication is told by family, "all-reduce of gradients", so that plans of different shape
// compare. What a transfer takes longer than its equals (queueing) is a term of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/reflect.hpp"
#include "core/trace.hpp"
#include "simulator/analysis/analyse.hpp"

namespace soapstone::simulator {

enum class WaterfallBasis : std::uint8_t { kDevices, kCriticalPath };
SOAPSTONE_ENUM_NAMES(WaterfallBasis, {WaterfallBasis::kDevices, "devices"},
                     {WaterfallBasis::kCriticalPath, "critical-path"})

struct WaterfallTerm {
  std::string name;  // "forward", "all-reduce of gradients", "queueing", …
  TimeKind kind = TimeKind::kForward;
  core::Nanoseconds first, second;                       // of the two steps
  std::vector<std::uint32_t> first_spans, second_spans;  // ascending

  core::Nanoseconds difference() const { return second - first; }
  friend bool operator==(const WaterfallTerm&, const WaterfallTerm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("kind", self.kind);
    visit("first_ns", self.first);
    visit("second_ns", self.second);
    visit("first_spans", self.first_spans);
    visit("second_spans", self.second_spans);
  }
};

// Σ first = the first step's time, Σ second = the second's, to the nanosecond.
struct Waterfall {
  WaterfallBasis basis = WaterfallBasis::kDevices;
  core::Nanoseconds first, second;   // the steps
  std::vector<WaterfallTerm> terms;  // the one with the largest difference first

  core::Nanoseconds difference() const { return second - first; }
  friend bool operator==(const Waterfall&, const Waterfall&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("basis", self.basis);
    visit("first_ns", self.first);
    visit("second_ns", self.second);
    visit("terms", self.terms);
  }
};

// The analyses are of the traces.
Waterfall waterfall(const core::Trace& first, const StepAnalysis& of_first,
                    const core::Trace& second, const StepAnalysis& of_second,
                    WaterfallBasis basis = WaterfallBasis::kDevices);

// A line per term under a heading; terms that are the same in both are left out.
std::string text(const Waterfall& waterfall, const std::string& first, const std::string& second);

}  // namespace soapstone::simulator
