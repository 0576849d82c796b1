// Messages as collectives send them: several at once over one link.
#pragma once

#include "core/quantity.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/profiler.hpp"

namespace soapstone::runtime {

enum class Traffic : std::uint8_t {
  kOneWay,    // half of a ping-pong between two ranks
  kExchange,  // two ranks send to each other at once
  kRing,      // every rank sends to the next one
};

// A message of `size` between ranks `a` and `b` (kRing: among all); the others
// wait. Called by all processes, one rank each; the same on all: the mean of
// the medians of those who take part.
Measurement measure_traffic(Communicator& communicator, Traffic traffic, core::Bytes size, int a,
                            int b, const MeasureOptions& options = {});

}  // namespace soapstone::runtime
