// The training loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/metric.hpp"
#include "core/plan.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/optimizer.hpp"

namespace soapstone::runtime {

// What is trained, how and with what. All outlive the training.
struct TrainProblem {
  const core::Graph& graph;
  const core::Strategy& strategy;
  const core::Cluster& cluster;  // device k is rank k
  const core::KernelCatalog& catalog;
  const DataSource& train;
  const DataSource* test = nullptr;  // none: no evaluation
};

// Without a trace, a step's time is the median over so many last steps.
inline constexpr std::uint32_t kMeasuredSteps = 50;

struct TrainOptions {
  OptimizerSettings optimizer;
  std::int64_t epochs = 1;
  std::int64_t steps = 0;  // in all; 0: as many as the epochs have
  std::uint64_t seed = 1;
  std::filesystem::path metrics;  // JSON lines; empty: none
  std::filesystem::path
      checkpoint;  // written after every epoch, at the end and when cancelled; empty: none
  std::filesystem::path resume;     // a checkpoint to go on from; empty: from the beginning
  std::uint32_t trace_steps = 0;    // the trace is made of the last so many steps; 0: no trace
  std::uint32_t warm_up_steps = 5;  // that no trace or rate counts
  double trace_after = 5;  // seconds between the first two traces of a running training (`traced`)
  // Where given, steps compute nothing: computing tasks take the times that process 0 says of the
  // plan, by device and task (ExecutorOptions::pace). Without evaluation and checkpoints.
  std::function<core::Result<std::vector<std::vector<core::Nanoseconds>>>(const core::Plan&)> pace;
};

// Where a training stands.
struct TrainProgress {
  std::int64_t step = 0, steps = 0;        // done, in all
  std::int64_t epoch = 0;                  // of the last step, from 0
  double loss = 0;                         // of the last step
  std::vector<core::MetricValue> metrics;  // of it; those that cost a training nothing
  double samples_per_second = 0;           // since the last call
};

struct Evaluation {
  std::int64_t step = 0, epoch = 0;  // steps done; epoch just ended
  std::int64_t samples = 0;          // all of the test set, each counted once
  double loss = 0;
  std::vector<core::MetricValue> metrics;  // all that the graph knows
};

struct TrainHooks {
  std::function<void(const TrainProgress&)> progress;  // on process 0, about twice a second
  std::function<void(const Evaluation&)> evaluated;    // on process 0
  // On process 0, of the steps until then, where `trace_steps` are asked for: as soon as there are
  // enough, then after a time that doubles, since it takes the ranks' time.
  std::function<void(const core::Trace&)> traced;
  const std::atomic<bool>* cancel = nullptr;  // set by a signal handler, say; on any process
};

// The same on all processes, but for the trace, which process 0 has.
struct TrainReport {
  bool cancelled = false;
  std::int64_t first_step = 0, steps_done = 0;  // from and to
  double first_loss = 0, last_loss = 0;
  std::optional<Evaluation> last_evaluation;
  // After warming up, by the clock of the process: the median over the last steps, as many as the
  // trace has, which is the trace's step time too; the least over all.
  core::Nanoseconds median_step_time;
  core::Nanoseconds least_step_time;
  std::int64_t measured_steps = 0;  // that the median is over
  double samples_per_second = 0;    // at the median
  core::Nanoseconds training_time;  // evaluation and checkpoints excluded
  core::Bytes peak_memory;          // allocated by the largest of this process's ranks
  std::uint64_t plan_hash = 0;
  core::Trace trace;  // without spans unless asked for
};

// The ranks must be at least as many as the cluster's devices. Every process calls it with the same
// arguments; a failure of one is returned by all. A loss that is no number ends the training with
// an error that says in which operator it began; the weights and the checkpoint stay as they were
// before that step. Throws CommunicationError.
core::Result<TrainReport> train(Communicator& communicator, const TrainProblem& problem,
                                const TrainOptions& options, const TrainHooks& hooks = {});

}  // namespace soapstone::runtime
