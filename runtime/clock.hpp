// One time for all ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

// Nanoseconds of the steady clock.
std::int64_t steady_now();

// What must be added to each own rank's clock to get rank 0's, in the order of the own ranks. By
// ping-pong: the offset of the round trip that took least, wrong by at most half of it.
std::vector<std::int64_t> clock_offsets(Communicator& communicator);

}  // namespace soapstone::runtime
