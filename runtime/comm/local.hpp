// All ranks in one process, advanced by one thread in a fixed rotation.
#pragma once

#include <memory>

#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

// Deterministic. A message is copied when both its ends are posted, and neither
// end is complete before, so that what needs buffering to go on shows as a Deadlock.
std::unique_ptr<Communicator> make_local_communicator(int ranks);

}  // namespace soapstone::runtime
