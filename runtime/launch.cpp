#include "runtime/launch.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <fmt/core.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.hpp"

namespace soapstone::runtime {

namespace {

std::string value_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? "" : text;
}
int integer(const char* variable) { return std::atoi(value_of(variable).c_str()); }

// Cores that this process may use.
int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// What such a list of Slurm as "2(x3),1" says of this node, SLURM_NODEID; 0 where it does not.
int of_slurm_node(const char* variable) {
  std::stringstream parts(value_of(variable));
  int nodes_left = integer("SLURM_NODEID");
  for (std::string part; std::getline(parts, part, ',');) {
    int value = 0, nodes = 1;
    if (std::sscanf(part.c_str(), "%d(x%d)", &value, &nodes) < 1) return 0;
    if (nodes_left < nodes) return value;
    nodes_left -= nodes;
  }
  return 0;
}

// Cores of this host that are the job's: Slurm need not confine a job to what it asked for.
int cores_of_job() {
  const int allotted = of_slurm_node("SLURM_JOB_CPUS_PER_NODE");
  return allotted > 0 ? std::min(allotted, usable_cores()) : usable_cores();
}

// Whether Slurm gave this task cores of its own (--cpu-bind), in which case others have others.
bool is_bound_by_slurm() {
  const std::string type = value_of("SLURM_CPU_BIND_TYPE");
  return !type.empty() && type != "none" && usable_cores() < sysconf(_SC_NPROCESSORS_ONLN);
}

}  // namespace

Surroundings surroundings() {
  Surroundings s;
  if (integer("OMPI_COMM_WORLD_SIZE") > 0) {
    s = {integer("OMPI_COMM_WORLD_SIZE"), integer("OMPI_COMM_WORLD_RANK"),
         integer("OMPI_COMM_WORLD_LOCAL_SIZE"), integer("OMPI_COMM_WORLD_LOCAL_RANK"), "mpirun"};
  } else if (integer("PMI_SIZE") > 0 && integer("MPI_LOCALNRANKS") > 0) {
    s = {integer("PMI_SIZE"), integer("PMI_RANK"), integer("MPI_LOCALNRANKS"),
         integer("MPI_LOCALRANKID"), "mpirun"};
  } else if (!value_of("SLURM_STEP_ID").empty() && !value_of("SLURM_PROCID").empty() &&
             integer("SLURM_STEP_NUM_TASKS") > 0) {
    // A step of one task is a shell (srun --pty bash) or a single process.
    if (integer("SLURM_STEP_NUM_TASKS") > 1)
      s = {integer("SLURM_STEP_NUM_TASKS"), integer("SLURM_PROCID"),
           of_slurm_node("SLURM_STEP_TASKS_PER_NODE"), integer("SLURM_LOCALID"), "srun"};
  } else if (integer("PMI_SIZE") > 0) {
    s = {integer("PMI_SIZE"), integer("PMI_RANK"), 0, 0, "mpirun"};
  }
  return s;
}

SlurmJob slurm_job() {
  return {value_of("SLURM_JOB_ID"), integer("SLURM_JOB_NUM_NODES"), value_of("SLURM_JOB_NODELIST")};
}

core::Status check_can_join(const Surroundings& here) {
  if (here.launcher != "srun" || !value_of("PMIX_RANK").empty()) return {};
  const std::string accepted = fmt::format(
      "srun --mpi=pmix, where `srun --mpi=list` names it; salloc -n {0} mpirun "
      "soapstone …; or soapstone … --ranks {0} in a job of salloc or sbatch, without srun",
      here.ranks);
  if (value_of("PMI_RANK").empty())
    return core::refuse(
        "srun started {} processes that MPI cannot join, without PMIx or PMI; accepted: {}",
        here.ranks, accepted);
  if (here.rank == 0 && mpi_version().starts_with("Open MPI"))
    fmt::print(stderr,
               "soapstone: srun offers PMI and no PMIx, which few builds of Open MPI know; if it "
               "stops now, use {}\n",
               accepted);
  return {};
}

int threads_for_rank(const Surroundings& here, int asked) {
  if (asked > 0) return asked;
  // What Slurm bound the task to is its own already.
  if (here.launcher == "srun" && is_bound_by_slurm()) return usable_cores();
  return std::max(1, cores_of_job() / std::max(1, here.ranks_on_host));
}

void pin_to_cores(const Surroundings& here, int threads) {
  cpu_set_t all;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  std::vector<int> cores;
  for (int c = 0; c < CPU_SETSIZE; ++c)
    if (CPU_ISSET(c, &all)) cores.push_back(c);
  const int ranks = std::max(1, here.ranks_on_host), rank = here.rank_on_host;
  if (here.launcher == "srun" && is_bound_by_slurm()) return;
  if (cores_of_job() < usable_cores()) return;  // which ones are other jobs' is not known
  if (ranks * threads > static_cast<int>(cores.size()) || rank >= ranks) return;
  cpu_set_t own;
  CPU_ZERO(&own);
  for (int t = 0; t < threads; ++t)
    CPU_SET(cores[static_cast<std::size_t>(rank * threads + t)], &own);
  sched_setaffinity(0, sizeof own, &own);
}

core::Result<int> launch_ranks(const std::string& program,
                               const std::vector<std::string>& arguments,
                               const LaunchOptions& options) {
  const std::string mpirun = core::find_program("mpirun");
  if (mpirun.empty())
    return core::refuse(
        "{} ranks need mpirun, which is not on PATH: install OpenMPI (Debian: openmpi-bin), or "
        "start the ranks yourself (srun --mpi=pmix -n {} soapstone …), or use --ranks 1",
        options.ranks, options.ranks);
  const int cores = usable_cores();
  const std::string extra = value_of("SOAPSTONE_MPIRUN_ARGS");
  const SlurmJob job = slurm_job();
  // Between hosts a launcher knows better how many threads a rank has.
  const int threads = options.threads > 0 ? options.threads : std::max(1, cores / options.ranks);
  // The cores of other hosts are not known here.
  const bool crowded = extra.empty() && job.nodes < 2 && options.ranks * threads > cores;
  if (crowded)
    fmt::print(stderr, "soapstone: {} ranks of {} threads share {} cores: timings mean nothing\n",
               options.ranks, threads, cores);

  if (!job.id.empty()) {
    fmt::print(stderr, "soapstone: mpirun starts {} ranks in Slurm job {} on {} node(s): {}\n",
               options.ranks, job.id, job.nodes, job.node_list);
    // mpirun reaches the nodes by srun, which would otherwise wait for the end of the step that
    // this program is in.
    setenv("SLURM_OVERLAP", "1", 0);
  }

  std::vector<std::string> words{mpirun,      "-n",   std::to_string(options.ranks),
                                 "--bind-to", "none", "--oversubscribe"};
  if (crowded) words.insert(words.end(), {"--mca", "mpi_yield_when_idle", "1"});
  if (!extra.empty()) {
    std::stringstream stream(extra);
    for (std::string word; stream >> word;) words.push_back(word);
    words.insert(words.end(), {"-x", "SOAPSTONE_MPIRUN_ARGS"});
  }
  words.insert(words.end(),
               {"-x", fmt::format("OMP_NUM_THREADS={}", threads), "-x", "OMP_PROC_BIND=false"});
  words.push_back(program);
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (geteuid() == 0) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);

  std::fflush(nullptr);
  // Waited for below, by the one thread that there is.
  sigset_t waited, before;
  sigemptyset(&waited);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&waited, signal);
  if (const int code = pthread_sigmask(SIG_BLOCK, &waited, &before); code != 0)
    return core::fail("signals cannot be waited for: {}", std::strerror(code));
  const pid_t child = fork();
  if (child < 0) return core::fail("cannot start {}: {}", mpirun, std::strerror(errno));
  if (child == 0) {
    // A group of its own: Ctrl-C reaches this program only, which passes it on in a milder form. No
    // terminal to read from, and an end when this program ends.
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (const int nothing = open("/dev/null", O_RDONLY); nothing >= 0)
      (void)dup2(nothing, STDIN_FILENO);
    execv(mpirun.c_str(), argv.data());
    fmt::print(stderr, "soapstone: cannot start {}: {}\n", mpirun, std::strerror(errno));
    _exit(127);
  }
  int status = 0, asked = 0;
  for (;;) {
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR)
      return core::fail("waiting for {}: {}", mpirun, std::strerror(errno));
    siginfo_t info{};
    const int signal = sigwaitinfo(&waited, &info);
    if (signal == SIGINT || signal == SIGTERM) (void)kill(child, asked++ == 0 ? SIGUSR1 : SIGTERM);
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (WIFSIGNALED(status))
    return core::fail("{} was killed by signal {} ({})", mpirun, WTERMSIG(status),
                      strsignal(WTERMSIG(status)));
  return WEXITSTATUS(status);
}

namespace {

// A signal handler has no arguments.
std::atomic<bool> cancelled{false};
static_assert(std::atomic<bool>::is_always_lock_free);
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGUSR1};
struct sigaction actions_before[std::size(kSignals)];

}  // namespace

CancelOnSignal::CancelOnSignal() {
  cancelled = false;
  struct sigaction action {};
  action.sa_handler = [](int) { cancelled = true; };
  action.sa_flags = SA_RESTART;
  for (std::size_t k = 0; k < std::size(kSignals); ++k)
    (void)sigaction(kSignals[k], &action, &actions_before[k]);
}
CancelOnSignal::~CancelOnSignal() {
  for (std::size_t k = 0; k < std::size(kSignals); ++k)
    (void)sigaction(kSignals[k], &actions_before[k], nullptr);
}
const std::atomic<bool>& CancelOnSignal::flag() const { return cancelled; }

}  // namespace soapstone::runtime
