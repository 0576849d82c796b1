// Starting ranks of the present command line.
#pragma once

#include <functional>
#include <memory>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "core/result.hpp"
#include "runtime/comm/communicator.hpp"

namespace soapstone::cli {

// load_cluster for a verb that runs: `local` without a number of ranks has as many as were started,
// 1 where none were.
core::Result<core::Cluster> load_cluster_of_ranks(ClusterArguments cluster,
                                                  const std::string& strategy);

// Where this process is no rank yet and more than one is asked for: starts `ranks` ranks of the
// same command line under mpirun, waits, and returns true; an error if they failed. Where it is a
// rank already (mpirun, Slurm): pins it to its cores and returns false; an error if there are not
// as many ranks as asked for.
core::Result<bool> run_as_ranks(const Invocation& invocation, int ranks, int threads);

// Runs `work` on every rank (runtime::guarded). The first process says what went wrong, on
// whichever rank it was; the others fail without a message.
core::Status run_on_ranks(runtime::Communicator& communicator,
                          const std::function<core::Status()>& work);

// `mpi` between ranks that were started as such, `local` for a single rank.
core::Result<std::unique_ptr<runtime::Communicator>> open_communicator(int ranks);

}  // namespace soapstone::cli
