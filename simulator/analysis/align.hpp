// Two steps side by side by what is done, not by when.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "core/reflect.hpp"
#include "core/trace.hpp"

namespace soapstone::simulator {

// A span means the same as another if it is about the same (an operator's step, a tensor that is
// moved, whatever the pattern), in the same direction and of the same micro-batch. Which stage of a
// pipeline an operator belongs to follows from the operator in each of the plans.
struct AlignedKey {
  std::string name;  // "fc1 forward", "fc1.weight gradient"
  core::TaskKind kind = core::TaskKind::kCompute;
  core::Phase phase = core::Phase::kForward;
  std::int64_t micro_batch = 0;  // -1: all of them together

  friend auto operator<=>(const AlignedKey&, const AlignedKey&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("kind", self.kind);
    visit("phase", self.phase);
    visit("micro_batch", self.micro_batch);
  }
};

// Of one of the traces. Spans on several devices are parts of one thing: their times without
// waiting are added.
struct AlignedSide {
  core::Nanoseconds time;
  core::Nanoseconds longest;         // on one device
  core::Nanoseconds start;           // of the first span
  std::vector<std::uint32_t> spans;  // ascending

  friend bool operator==(const AlignedSide&, const AlignedSide&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("time_ns", self.time);
    visit("longest_ns", self.longest);
    visit("start_ns", self.start);
    visit("spans", self.spans);
  }
};

struct AlignedRow {
  AlignedKey key;
  AlignedSide first, second;  // without spans: not in that trace

  friend bool operator==(const AlignedRow&, const AlignedRow&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("key", self.key);
    visit("first", self.first);
    visit("second", self.second);
  }
};

enum class AlignBy : std::uint8_t {
  kMicroBatch,  // rows of every micro-batch
  kStep,        // one row for all, as where the plans have different numbers of them
};

// In the order of their first span in the first trace, then in the second. A null plan: the k-th
// span of a name on a device is of micro-batch k.
std::vector<AlignedRow> align(const core::Trace& first, const core::Plan* plan_of_first,
                              const core::Trace& second, const core::Plan* plan_of_second,
                              AlignBy by = AlignBy::kMicroBatch);

}  // namespace soapstone::simulator
