// Training by the strategy that is shown: the command, and what it tells while it runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/trace.hpp"
#include "explorer_gui/model/design.hpp"
#include "explorer_gui/model/process.hpp"
#include "reports/training_metrics.hpp"

namespace soapstone::explorer {

enum class LaunchPlace : std::uint8_t { kLocal, kHostFile, kSlurm };
SOAPSTONE_ENUM_NAMES(LaunchPlace, {LaunchPlace::kLocal, "this machine"},
                     {LaunchPlace::kHostFile, "hosts of a file"}, {LaunchPlace::kSlurm, "Slurm"})

struct LaunchChoice {
  LaunchPlace place = LaunchPlace::kLocal;
  std::string host_file;  // of mpirun: a line per host
  int nodes = 1;          // of Slurm
  std::string partition;  // of Slurm; empty: the usual one
  int threads = 0;        // per rank; 0: the cores shared among the ranks
  std::string data = "synthetic";
  std::int64_t steps = 50;
  double learning_rate = 0;  // 0: the optimizer's usual one
  bool pace = false;         // computing takes the predicted time instead of being done
  std::string program = "soapstone";

  friend bool operator==(const LaunchChoice&, const LaunchChoice&) = default;
};

// The files of a run.
struct RunFiles {
  std::string folder, strategy, cluster, metrics, trace;
};
RunFiles run_files(const std::string& folder);

// Why the design cannot be trained like that; empty: it can.
std::string why_no_launch(const Design& design, const LaunchChoice& choice);

// One rank per device of the cluster. Works in a shell as it stands.
Command launch_command(const Design& design, const LaunchChoice& choice, const RunFiles& files);

// A training while it runs and after.
struct LaunchRun {
  std::uint64_t job = 0;
  bool running = false;
  bool stopping = false;
  std::string command;  // as text
  RunFiles files;
  std::vector<std::string> log;  // the last lines
  reports::TrainingMetrics metrics;
  std::shared_ptr<const core::Trace> trace;  // while it runs: of its steps so far
  int exit_code = -1;                        // -1: not known
  std::string error;                         // with the last lines of the rank that failed
};

// Adds a line; of very many the first ones go.
void add_line(std::vector<std::string>& log, std::string_view line);

// The lines that say why a run failed: from the first complaint on, at most `most`.
std::string failure_text(const std::vector<std::string>& log, std::size_t most = 12);

}  // namespace soapstone::explorer
