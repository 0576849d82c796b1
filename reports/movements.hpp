// What moves between devices in a step, for which operator or along which edge of the graph.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "core/collectives/schedule.hpp"
#include "core/graph.hpp"
#include "core/plan.hpp"
#include "core/quantity.hpp"
#include "core/trace.hpp"

namespace soapstone::reports {

// Bytes that all devices together send to others in a step, by one pattern.
struct Move {
  core::Pattern pattern = core::Pattern::kNone;
  core::Bytes bytes;

  friend bool operator==(const Move&, const Move&) = default;
};

// Sums by pattern, ascending, without zeros.
struct Moves {
  std::map<core::Pattern, core::Bytes> by_pattern;

  void add(core::Pattern pattern, core::Bytes bytes);
  void add(const Moves& other);
  core::Bytes all() const;
  // Of one of `count` equal parts.
  std::vector<Move> mean(std::int64_t count = 1) const;

  friend bool operator==(const Moves&, const Moves&) = default;
};

struct OpMoves {
  Moves inside;               // between its steps
  Moves weights;              // gradients of its weights, and the weights themselves if shared
  core::Nanoseconds exposed;  // by both, as far as it is known

  friend bool operator==(const OpMoves&, const OpMoves&) = default;
};

struct EdgeMoves {
  Moves values;                                         // forward
  Moves gradients;                                      // backward
  core::Nanoseconds values_exposed, gradients_exposed;  // as far as it is known

  friend bool operator==(const EdgeMoves&, const EdgeMoves&) = default;
};

struct Movements {
  std::vector<OpMoves> ops;                                            // one per operator
  std::map<std::pair<std::uint32_t, std::uint32_t>, EdgeMoves> edges;  // by tensor and its reader

  friend bool operator==(const Movements&, const Movements&) = default;
};

// `trace` is of `plan` (check_trace). `exposed_of_span`: idle time of devices that a transfer is
// the cause of (simulator::Exposure), one entry per span; or empty: not known.
Movements movements(const core::Graph& graph, const core::Plan& plan, const core::Trace& trace,
                    std::span<const core::Nanoseconds> exposed_of_span = {});

}  // namespace soapstone::reports
