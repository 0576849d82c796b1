#include "cli/ranks.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "runtime/launch.hpp"

namespace soapstone::cli {

core::Result<core::Cluster> load_cluster_of_ranks(ClusterArguments cluster,
                                                  const std::string& strategy) {
  if (cluster.name == "local" && cluster.ranks == 0) {
    SOAPSTONE_ASSIGN(const int asked, ranks_of_strategy(strategy));
    const int started = runtime::surroundings().ranks;
    cluster.ranks = started > 0 ? started : std::max(1, asked);
  }
  return load_cluster(cluster);
}

core::Result<bool> run_as_ranks(const Invocation& invocation, int ranks, int threads) {
  const runtime::Surroundings here = runtime::surroundings();
  if (here.ranks > 0) {
    if (here.ranks != ranks)
      return core::usage_error("--ranks {}: {} started {} ranks; both must be the same", ranks,
                               here.launcher, here.ranks);
    if (core::Status status = runtime::check_can_join(here); !status) {
      if (here.rank != 0) status.error().message.clear();
      return tl::unexpected(status.error());
    }
    runtime::pin_to_cores(here, runtime::threads_for_rank(here, threads));
    return false;
  }
  if (ranks == 1) return false;
  SOAPSTONE_ASSIGN(const int code, runtime::launch_ranks(invocation.program, invocation.arguments,
                                                         {ranks, threads}));
  // What went wrong, a rank has said.
  if (code == 1) return core::fail("");
  if (code == 2) return core::usage_error("");
  if (code == 3) return core::refuse("");
  if (code > 128)
    return core::fail("a rank was killed by signal {} ({})", code - 128, strsignal(code - 128));
  if (code != 0) return core::fail("the ranks failed with exit code {}", code);
  return true;
}

core::Status run_on_ranks(runtime::Communicator& communicator,
                          const std::function<core::Status()>& work) {
  core::Status status = runtime::guarded(communicator, work);
  if (!status && communicator.process() != 0) {
    status.error().message.clear();
    // mpirun ends all ranks when one fails: what the first one says must be on its way before.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return status;
}

core::Result<std::unique_ptr<runtime::Communicator>> open_communicator(int ranks) {
  return runtime::make_communicator(runtime::surroundings().ranks > 0 ? "mpi" : "local", ranks);
}

}  // namespace soapstone::cli
