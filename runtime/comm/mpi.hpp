// Ranks as processes that MPI started.
#pragma once

#include <memory>

#include "runtime/comm/communicator.hpp"

namespace soapstone::runtime {

// Starts MPI in this process, once in its life. `ranks`: what is expected; 0: whatever was started.
//
// Death of a rank: who stops with an error tells all others over a communicator
// of its own, which everyone who waits looks at. Who is killed is noticed by
// mpirun, which names the rank and stops the others.
core::Result<std::unique_ptr<Communicator>> make_mpi_communicator(int ranks);

}  // namespace soapstone::runtime
