// Starting ranks, and finding out that one is a rank.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace soapstone::runtime {

// How this process was started.
struct Surroundings {
  int ranks = 0;  // 0: by hand
  int rank = 0;
  int ranks_on_host = 0;  // 0: not known
  int rank_on_host = 0;
  std::string launcher{};  // "mpirun", "srun", or empty
};
Surroundings surroundings();

// The job of Slurm that this process is in, as salloc, sbatch and srun tell it.
struct SlurmJob {
  std::string id{};  // empty: in none
  int nodes = 0;
  std::string node_list{};  // "node[1-2]"
};
SlurmJob slurm_job();

// Refused where MPI could only end this process: srun started it without PMIx or PMI.
core::Status check_can_join(const Surroundings& here);

// The library's version line; empty where MPI is not built in.
std::string mpi_version();

struct LaunchOptions {
  int ranks = 1;
  int threads = 0;  // per rank; 0: the host's cores shared among its ranks, at least 1
};

// Runs `program arguments…` as ranks under mpirun and waits. Extra arguments of
// mpirun come from SOAPSTONE_MPIRUN_ARGS (hosts, say); in a job of Slurm the hosts are the job's
// nodes. More ranks than cores are allowed with a warning on stderr. Refused where there is no
// mpirun. Returns the exit code of the ranks. SIGINT and SIGTERM become SIGUSR1 for the ranks,
// which mpirun would otherwise kill within a second: they have the time to save. A second one ends
// them.
core::Result<int> launch_ranks(const std::string& program,
                               const std::vector<std::string>& arguments,
                               const LaunchOptions& options);

// Threads for this rank: `asked` if positive, else the cores that Slurm bound it to, or its share
// of the host's cores that are its job's.
int threads_for_rank(const Surroundings& here, int asked);
// Pins this process to its share of the cores where the ranks of the host do
// not need more threads than it has cores; otherwise leaves it as it is.
void pin_to_cores(const Surroundings& here, int threads);

// While one exists, SIGINT, SIGTERM and SIGUSR1 (what a launcher makes of them) only set the flag
// that a training looks at. One at a time.
class CancelOnSignal {
 public:
  CancelOnSignal();
  ~CancelOnSignal();
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;
  const std::atomic<bool>& flag() const;
};

}  // namespace soapstone::runtime
