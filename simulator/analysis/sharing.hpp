// Whose the time of a transfer is when several are under way.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "core/trace.hpp"
#include "simulator/analysis/communication.hpp"
#include "simulator/analysis/step_graph.hpp"

namespace soapstone::simulator {

// A part of a span's time and whose it is.
struct SpanShare {
  std::uint32_t span = core::kNoIndex;
  core::Nanoseconds time;

  friend bool operator==(const SpanShare&, const SpanShare&) = default;
};
// Transfers that a device has under way at once share its ways out and in, so that the last one to
// arrive is not the one that took the time. What a piece of a transfer's time belongs to: all
// transfers of its group that its device has under way, in proportion to the bytes that they move
// meanwhile (bytes ÷ time under way × time in the piece).
class Sharing {
 public:
  // All three outlive this object.
  Sharing(const core::Trace& trace, const StepGraph& graph, const Communication& communication);
  // Adds up to the piece, to the nanosecond; ascending by start. Of anything but a transfer:
  // itself.
  std::vector<SpanShare> of(std::uint32_t span, core::Nanoseconds start,
                            core::Nanoseconds end) const;

 private:
  struct Row {
    std::vector<std::uint32_t> spans;           // by start
    std::vector<core::Nanoseconds> latest_end;  // of those up to here
  };
  const core::Trace& trace_;
  const StepGraph& graph_;
  const Communication& communication_;
  std::map<std::pair<std::uint32_t, core::DeviceId>, Row> rows_;  // by group
};

}  // namespace soapstone::simulator
