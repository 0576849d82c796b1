// Measuring this machine: its devices and links, for `clusters local`.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "core/result.hpp"

namespace soapstone::cli {

// Starts `ranks` ranks, measures computing, memory and messages with all of
// them busy, keeps the curves in the cost database and writes the cluster to
// `out` (empty: where `--cluster local` finds it, and to stdout).
core::Status measure_local_cluster(const Invocation& invocation, int ranks, const std::string& out);

}  // namespace soapstone::cli
