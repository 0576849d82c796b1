// Who does the work for the explorer: this process, or one on another machine.
//
// Every call may take long and is made from worker threads, several at once. Everything that goes
// in or comes out is a value that is also a document, so that a pipe can stand in between.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/lower.hpp"
#include "core/optimizer.hpp"
#include "core/plan.hpp"
#include "core/ranked_strategies.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "core/trace.hpp"
#include "explorer_gui/model/process.hpp"
#include "simulator/analysis/memory.hpp"
#include "simulator/analysis/utilization.hpp"

namespace soapstone::explorer {

// Something that a person may choose, and what it is.
struct Choice {
  std::string name;
  std::string description;

  friend bool operator==(const Choice&, const Choice&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("description", self.description);
  }
};

struct Catalogue {
  std::vector<Choice> models;    // of the zoo
  std::vector<Choice> clusters;  // presets, and this machine as `local`
  std::vector<Choice> samples;   // files that can be opened at once

  friend bool operator==(const Catalogue&, const Catalogue&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("models", self.models);
    visit("clusters", self.clusters);
    visit("samples", self.samples);
  }
};

struct ModelChoice {
  std::string name;                          // of the zoo, or a file
  std::int64_t batch = 0;                    // samples per step; 0: the model's default
  std::optional<core::DType> dtype;          // none: the model's
  std::map<std::string, double> parameters;  // hyper-parameters that differ from the defaults

  friend bool operator==(const ModelChoice&, const ModelChoice&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("batch", self.batch, core::kOptional);
    visit("dtype", self.dtype, core::kOptional);
    visit("parameters", self.parameters, core::kOptional);
  }
};

// What is updated how, as far as it changes plans.
struct OptimizerChoice {
  core::OptimizerKind kind = core::OptimizerKind::kSgd;
  double momentum = 0.9;
  double weight_decay = 0;
  core::TableOptimizer tables = core::TableOptimizer::kSame;
  bool clip = false;  // gradients, by their global norm

  core::LowerOptions lower_options() const;

  friend bool operator==(const OptimizerChoice&, const OptimizerChoice&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("momentum", self.momentum);
    visit("weight_decay", self.weight_decay);
    visit("tables", self.tables);
    visit("clip", self.clip);
  }
};

// What a strategy is a strategy for.
struct Setting {
  std::shared_ptr<const core::Graph> graph;
  std::shared_ptr<const core::Cluster> cluster;
  OptimizerChoice optimizer;

  // Equal settings, equal keys.
  std::uint64_t key() const;
};

// A strategy's step, foretold.
struct Evaluation {
  core::Plan plan;
  core::Trace trace;
  std::vector<simulator::DevicesMemory> memory;  // who holds it at the peak
  simulator::Utilization use;                    // mean over the devices in use
  core::Nanoseconds step_time;
  core::Bytes peak_memory;  // allocated, on the device that needs most
  double samples_per_second = 0;
  double measured_share = 0;  // of the computing time, what comes from measurements
  std::string why_not;        // the memory that it exceeds, as a sentence, or empty

  friend bool operator==(const Evaluation&, const Evaluation&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("plan", self.plan);
    visit("trace", self.trace);
    visit("memory", self.memory);
    visit("use", self.use);
    visit("step_time_ns", self.step_time);
    visit("peak_memory_bytes", self.peak_memory);
    visit("samples_per_second", self.samples_per_second);
    visit("measured_share", self.measured_share);
    visit("why_not", self.why_not);
  }
};

// Parts of an operator that are one problem to kernels, and which kernel computes them.
struct KernelReport {
  std::string problem;  // core::LocalProblem::key
  std::string candidate;
  core::Bytes workspace;            // beyond the operands
  std::vector<Choice> refused;      // the faster candidates before it, and why not
  std::vector<std::int64_t> parts;  // by their place in the operator's list of devices
  std::string device_kind;          // that they lie on

  friend bool operator==(const KernelReport&, const KernelReport&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("problem", self.problem);
    visit("candidate", self.candidate);
    visit("workspace_bytes", self.workspace);
    visit("refused", self.refused);
    visit("parts", self.parts);
    visit("device_kind", self.device_kind);
  }
};

// A step if something were otherwise.
struct WhatIf {
  std::string words;  // "links `network` with 2 times the bandwidth"
  core::Nanoseconds before, after;

  friend bool operator==(const WhatIf&, const WhatIf&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("words", self.words);
    visit("before_ns", self.before);
    visit("after_ns", self.after);
  }
};

struct SearchRequest {
  std::string searcher = "mcmc";  // or exhaustive
  std::string budget = "10s";     // time, or a number of proposals
  std::uint64_t seed = 1;
  std::optional<core::Bytes> memory_limit;  // per device; none: what each has
  std::int32_t micro_batches = 1;
  std::map<std::string, core::OpStrategy> pins;  // operators that stay as they are
  std::size_t most = 10;

  friend bool operator==(const SearchRequest&, const SearchRequest&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("searcher", self.searcher);
    visit("budget", self.budget);
    visit("seed", self.seed);
    visit("memory_limit_bytes", self.memory_limit, core::kOptional);
    visit("micro_batches", self.micro_batches);
    visit("pins", self.pins, core::kOptional);
    visit("most", self.most);
  }
};

struct SearchReport {
  std::int64_t proposals = 0;
  std::optional<core::Nanoseconds> best;  // of a feasible strategy
  core::Nanoseconds elapsed;
  double fraction = 0;  // of the budget

  friend bool operator==(const SearchReport&, const SearchReport&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("proposals", self.proposals);
    visit("best_ns", self.best, core::kOptional);
    visit("elapsed_ns", self.elapsed);
    visit("fraction", self.fraction);
  }
};
// Called now and then; false stops: the best so far is returned.
using SearchProgress = std::function<bool(const SearchReport&)>;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string place() const = 0;  // "this machine", "user@login"
  virtual core::Result<Catalogue> catalogue() = 0;
  virtual core::Result<core::Graph> model(const ModelChoice& choice) = 0;
  // A preset, `local`, or a file.
  virtual core::Result<core::Cluster> cluster(const std::string& name) = 0;
  // single, data-parallel, expert, a short form (search/parallelism.hpp), or a file.
  virtual core::Result<core::Strategy> strategy(const Setting& setting,
                                                const std::string& text) = 0;
  virtual core::Result<Evaluation> evaluate(const Setting& setting,
                                            const core::Strategy& strategy) = 0;
  // Of one operator of the strategy.
  virtual core::Result<std::vector<KernelReport>> kernels(const Setting& setting,
                                                          const core::Strategy& strategy,
                                                          std::uint32_t op) = 0;
  // `change`: as --what-if of `explain` (simulator/analysis/what_if.hpp).
  virtual core::Result<WhatIf> what_if(const Setting& setting, const core::Strategy& strategy,
                                       const std::string& change) = 0;
  // The predicted step with all of such changes at once, none of which may add anything: its spans
  // are of the tasks of the plan that `evaluate` gives.
  virtual core::Result<core::Trace> changed_step(const Setting& setting,
                                                 const core::Strategy& strategy,
                                                 const std::vector<std::string>& changes) = 0;
  virtual core::Result<core::RankedStrategies> search(const Setting& setting,
                                                      const SearchRequest& request,
                                                      const SearchProgress& progress) = 0;
  // Files of that machine.
  virtual core::Result<std::string> read(const std::string& path) = 0;
  virtual core::Status write(const std::string& path, const std::string& text) = 0;
  // A new, empty one that stays.
  virtual core::Result<std::string> folder_of_run() = 0;
  // A program there (process.hpp).
  virtual core::Result<int> execute(const Command& command,
                                    const std::function<void(std::string_view)>& line,
                                    const std::function<bool()>& wanted) = 0;
  // The path of soapstone itself there.
  virtual std::string program() const = 0;
  // Calls come back soon, with an error. Nothing is asked for any more.
  virtual void close() {}
  // Empty, or what is wrong with the connection to it.
  virtual std::string trouble() const { return {}; }
};

}  // namespace soapstone::explorer
