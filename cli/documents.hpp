// What verbs print with --json. Names are stable; docs/schema/ describes each.
// Numbers that are infinite or none are written as the largest double, or as null where a field may
// be null.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "core/result.hpp"
#include "simulator/analysis/accuracy.hpp"
#include "simulator/analysis/diff.hpp"
#include "simulator/analysis/explain.hpp"
#include "simulator/analysis/memory.hpp"
#include "simulator/cost_database.hpp"
#ifdef SOAPSTONE_HAS_KERNELS
#include "runtime/verify.hpp"
#endif

namespace soapstone::cli {

// Puts FILE:LINE: at POINTER: in front of an error about the part of a JSON document that the
// pointer names.
core::Error located(const core::Error& error, std::string_view pointer, std::string_view text,
                    const std::string& file);

struct ModelEntry {
  std::string name, description, data;
  std::int64_t default_batch = 0;
  std::int64_t parameters = 0;
  double flops_per_step = 0;
  std::int64_t operators = 0;
  friend bool operator==(const ModelEntry&, const ModelEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("description", self.description);
    visit("data", self.data);
    visit("default_batch", self.default_batch);
    visit("parameters", self.parameters);
    visit("flops_per_step", self.flops_per_step);
    visit("operators", self.operators);
  }
};
struct ModelsOutput {
  static constexpr std::string_view kFormat = "soapstone.models";
  static constexpr int kVersion = 1;
  std::vector<ModelEntry> models;
  friend bool operator==(const ModelsOutput&, const ModelsOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("models", self.models);
  }
};

struct ClusterEntry {
  std::string name, description;
  std::int64_t devices = 0, nodes = 0;
  friend bool operator==(const ClusterEntry&, const ClusterEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("description", self.description);
    visit("devices", self.devices);
    visit("nodes", self.nodes);
  }
};
struct ClustersOutput {
  static constexpr std::string_view kFormat = "soapstone.clusters";
  static constexpr int kVersion = 1;
  std::vector<ClusterEntry> clusters;
  friend bool operator==(const ClustersOutput&, const ClustersOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("clusters", self.clusters);
  }
};

struct KernelEntry {
  std::string op, candidate, problem;
  bool accepts = false;
  std::string reason;  // why it does not accept; empty if it does
  friend bool operator==(const KernelEntry&, const KernelEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("op", self.op);
    visit("candidate", self.candidate);
    visit("problem", self.problem);
    visit("accepts", self.accepts);
    visit("reason", self.reason);
  }
};
struct KernelsOutput {
  static constexpr std::string_view kFormat = "soapstone.kernels";
  static constexpr int kVersion = 1;
  std::vector<KernelEntry> kernels;
  friend bool operator==(const KernelsOutput&, const KernelsOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kernels", self.kernels);
  }
};

// A predicted step.
struct SimulateOutput {
  static constexpr std::string_view kFormat = "soapstone.prediction";
  static constexpr int kVersion = 1;
  std::string model, cluster, strategy;
  std::int64_t batch = 0;
  std::int64_t step_time_ns = 0;
  std::int64_t peak_memory_bytes = 0;   // live, on the fullest device
  std::int64_t arena_memory_bytes = 0;  // allocated, on the fullest device
  double samples_per_second = 0;
  double tflops_per_device = 0;
  double share_of_peak = 0;
  double measured_share = 0;  // of computing time that comes from measurements
  simulator::Utilization devices;
  std::vector<simulator::DevicesMemory> memory;  // who holds it at the peak
  friend bool operator==(const SimulateOutput&, const SimulateOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("cluster", self.cluster);
    visit("strategy", self.strategy);
    visit("batch", self.batch);
    visit("step_time_ns", self.step_time_ns);
    visit("peak_memory_bytes", self.peak_memory_bytes);
    visit("arena_memory_bytes", self.arena_memory_bytes);
    visit("samples_per_second", self.samples_per_second);
    visit("tflops_per_device", self.tflops_per_device);
    visit("share_of_peak", self.share_of_peak);
    visit("measured_share", self.measured_share);
    visit("devices", self.devices);
    visit("memory", self.memory, core::kOptional);
  }
};

struct ProfileOutput {
  static constexpr std::string_view kFormat = "soapstone.profile";
  static constexpr int kVersion = 1;
  std::string model, cluster, database;
  std::int64_t needed = 0, known_before = 0, measured = 0;
  std::optional<double> time_ratio;  // of what was known and checked: time now ÷ time then
  simulator::CostDatabase::Statistics statistics;
  friend bool operator==(const ProfileOutput&, const ProfileOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("cluster", self.cluster);
    visit("database", self.database);
    visit("needed", self.needed);
    visit("known_before", self.known_before);
    visit("measured", self.measured);
    visit("time_ratio", self.time_ratio);
    visit("statistics", self.statistics);
  }
};

#ifdef SOAPSTONE_HAS_KERNELS
struct VerifiedStrategy {
  std::string strategy;
  runtime::Verdict verdict;
  friend bool operator==(const VerifiedStrategy&, const VerifiedStrategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("strategy", self.strategy);
    visit("verdict", self.verdict);
  }
};
struct VerifyOutput {
  static constexpr std::string_view kFormat = "soapstone.verification";
  static constexpr int kVersion = 1;
  std::string model, backend, data;
  std::int64_t ranks = 0, steps = 0;
  std::uint64_t seed = 0;
  double gradient = 0, loss = 0, weight = 0;  // worst of each kind over all strategies
  double worst_relative_difference = 0;
  double tolerance = 0;
  bool passed = false;
  double first_loss = 0, last_loss = 0;  // of the first strategy
  std::vector<VerifiedStrategy> strategies;
  friend bool operator==(const VerifyOutput&, const VerifyOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("backend", self.backend);
    visit("data", self.data);
    visit("ranks", self.ranks);
    visit("steps", self.steps);
    visit("seed", self.seed);
    visit("gradient", self.gradient);
    visit("loss", self.loss);
    visit("weight", self.weight);
    visit("worst_relative_difference", self.worst_relative_difference);
    visit("tolerance", self.tolerance);
    visit("passed", self.passed);
    visit("first_loss", self.first_loss);
    visit("last_loss", self.last_loss);
    visit("strategies", self.strategies);
  }
};
#endif

// A finished or stopped training.
struct TrainOutput {
  static constexpr std::string_view kFormat = "soapstone.training";
  static constexpr int kVersion = 1;
  std::string model, strategy, data;
  bool synthetic_data = false;
  std::int64_t batch = 0, ranks = 0, threads = 0;
  std::int64_t first_step = 0, steps = 0;
  bool cancelled = false;
  bool paced = false;                           // nothing was computed
  std::optional<double> first_loss, last_loss;  // null: no number, or paced
  std::optional<double> test_loss;
  std::map<std::string, std::optional<double>> test_metrics;  // those of the model, by name
  // Median of the last `measured_steps`, and the least; null: no steps but those that warm up.
  std::optional<std::int64_t> step_time_ns, least_step_time_ns;
  std::int64_t measured_steps = 0;
  std::int64_t training_time_ns = 0;  // evaluation and checkpoints excluded
  std::optional<double> samples_per_second, tflops_per_device, share_of_peak;
  std::int64_t peak_memory_bytes = 0;  // allocated per rank
  friend bool operator==(const TrainOutput&, const TrainOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("strategy", self.strategy);
    visit("data", self.data);
    visit("synthetic_data", self.synthetic_data);
    visit("batch", self.batch);
    visit("ranks", self.ranks);
    visit("threads", self.threads);
    visit("first_step", self.first_step);
    visit("steps", self.steps);
    visit("cancelled", self.cancelled);
    visit("paced", self.paced, core::kOptional);
    visit("first_loss", self.first_loss);
    visit("last_loss", self.last_loss);
    visit("test_loss", self.test_loss, core::kOptional);
    visit("test_metrics", self.test_metrics, core::kOptional);
    visit("step_time_ns", self.step_time_ns);
    visit("least_step_time_ns", self.least_step_time_ns);
    visit("measured_steps", self.measured_steps);
    visit("training_time_ns", self.training_time_ns);
    visit("samples_per_second", self.samples_per_second);
    visit("tflops_per_device", self.tflops_per_device);
    visit("share_of_peak", self.share_of_peak);
    visit("peak_memory_bytes", self.peak_memory_bytes);
  }
};

struct GenerateEntry {
  std::string given, made, reference;  // reference: of a sample, what the data has
  friend bool operator==(const GenerateEntry&, const GenerateEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("given", self.given);
    visit("made", self.made);
    visit("reference", self.reference);
  }
};
struct GenerateOutput {
  static constexpr std::string_view kFormat = "soapstone.generation";
  static constexpr int kVersion = 1;
  std::string model, data;
  std::vector<GenerateEntry> texts;
  friend bool operator==(const GenerateOutput&, const GenerateOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("data", self.data);
    visit("texts", self.texts);
  }
};

struct BenchEntry {
  std::string strategy;
  std::int64_t predicted_step_time_ns = 0, measured_step_time_ns = 0;
  std::vector<std::int64_t>
      rounds_ns;              // median step of each round, ascending; theirs is the measured one
  double measured_share = 0;  // of the predicted computing time, what comes from measurements
  friend bool operator==(const BenchEntry&, const BenchEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("strategy", self.strategy);
    visit("predicted_step_time_ns", self.predicted_step_time_ns);
    visit("measured_step_time_ns", self.measured_step_time_ns);
    visit("rounds_ns", self.rounds_ns);
    visit("measured_share", self.measured_share);
  }
};
struct BenchOutput {
  static constexpr std::string_view kFormat = "soapstone.bench";
  static constexpr int kVersion = 1;
  std::string model, cluster;
  std::int64_t batch = 0;
  std::int32_t ranks = 0, threads = 0;
  std::int64_t steps = 0;
  std::uint64_t seed = 0;
  std::vector<BenchEntry> strategies;
  simulator::Accuracy accuracy;
  friend bool operator==(const BenchOutput&, const BenchOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("cluster", self.cluster);
    visit("batch", self.batch);
    visit("ranks", self.ranks);
    visit("threads", self.threads);
    visit("steps", self.steps);
    visit("seed", self.seed);
    visit("strategies", self.strategies);
    visit("accuracy", self.accuracy);
  }
};

struct DiffOutput {
  static constexpr std::string_view kFormat = "soapstone.diff";
  static constexpr int kVersion = 1;
  simulator::TraceDiff diff;
  friend bool operator==(const DiffOutput&, const DiffOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("diff", self.diff);
  }
};

// A task, with how much longer it may take and what the step would save without it.
struct ExplainSpan {
  std::string name;
  core::DeviceId device;
  std::uint32_t span = 0;  // index into the trace
  std::int64_t start_ns = 0, end_ns = 0, slack_ns = 0, saves_ns = 0;
  friend bool operator==(const ExplainSpan&, const ExplainSpan&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("device", self.device);
    visit("span", self.span);
    visit("start_ns", self.start_ns);
    visit("end_ns", self.end_ns);
    visit("slack_ns", self.slack_ns);
    visit("saves_ns", self.saves_ns);
  }
};
struct ExplainWhatIf {
  std::string change, words;
  std::int64_t before_ns = 0;                // predicted as it is
  std::optional<std::int64_t> step_time_ns;  // null: not possible
  std::string why_not;
  friend bool operator==(const ExplainWhatIf&, const ExplainWhatIf&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("change", self.change);
    visit("words", self.words);
    visit("before_ns", self.before_ns);
    visit("step_time_ns", self.step_time_ns);
    visit("why_not", self.why_not);
  }
};
struct ExplainComparison {
  std::string first, second, sentence;
  simulator::Waterfall waterfall;
  friend bool operator==(const ExplainComparison&, const ExplainComparison&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("first", self.first);
    visit("second", self.second);
    visit("sentence", self.sentence);
    visit("waterfall", self.waterfall);
  }
};
// Why a step takes as long as it does. Spans are indices into its trace: the given one, or what
// `simulate --trace` writes.
struct ExplainOutput {
  static constexpr std::string_view kFormat = "soapstone.explanation";
  static constexpr int kVersion = 1;
  std::string model, cluster, strategy;
  std::int64_t batch = 0;
  core::TraceOrigin origin = core::TraceOrigin::kPredicted;
  std::int64_t step_time_ns = 0;
  std::vector<simulator::Fact> facts;
  std::vector<simulator::PathShare> path_kinds, path_operators;  // of the critical path
  std::vector<simulator::DeviceTime> devices;
  std::vector<simulator::ExposedGroup> groups;
  std::int64_t queued_ns = 0;  // of all transfers together
  double bubble_share = 0;
  std::vector<ExplainSpan> spans;
  std::vector<ExplainWhatIf> what_if;
  std::vector<ExplainComparison> comparisons;
  friend bool operator==(const ExplainOutput&, const ExplainOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("cluster", self.cluster);
    visit("strategy", self.strategy);
    visit("batch", self.batch);
    visit("origin", self.origin);
    visit("step_time_ns", self.step_time_ns);
    visit("facts", self.facts);
    visit("path_kinds", self.path_kinds);
    visit("path_operators", self.path_operators);
    visit("devices", self.devices);
    visit("groups", self.groups);
    visit("queued_ns", self.queued_ns);
    visit("bubble_share", self.bubble_share);
    visit("spans", self.spans);
    visit("what_if", self.what_if);
    visit("comparisons", self.comparisons);
  }
};

struct ReportFile {
  std::string name, what;
  std::int64_t bytes = 0;
  friend bool operator==(const ReportFile&, const ReportFile&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("what", self.what);
    visit("bytes", self.bytes);
  }
};
struct ReportOutput {
  static constexpr std::string_view kFormat = "soapstone.report";
  static constexpr int kVersion = 1;
  std::string model, cluster, strategy, folder;
  std::int64_t batch = 0;
  std::int64_t predicted_step_time_ns = 0;
  std::optional<std::int64_t> measured_step_time_ns;  // null: nothing was measured
  std::optional<double> step_relative_error;
  std::vector<ReportFile> files;   // in the folder
  std::vector<std::string> notes;  // what is not there, and why
  friend bool operator==(const ReportOutput&, const ReportOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("cluster", self.cluster);
    visit("strategy", self.strategy);
    visit("folder", self.folder);
    visit("batch", self.batch);
    visit("predicted_step_time_ns", self.predicted_step_time_ns);
    visit("measured_step_time_ns", self.measured_step_time_ns);
    visit("step_relative_error", self.step_relative_error);
    visit("files", self.files);
    visit("notes", self.notes);
  }
};

struct CheckEntry {
  std::string name, found, gives;
  bool ok = false;
  friend bool operator==(const CheckEntry&, const CheckEntry&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("ok", self.ok);
    visit("found", self.found);
    visit("gives", self.gives);
  }
};
struct DoctorOutput {
  static constexpr std::string_view kFormat = "soapstone.doctor";
  static constexpr int kVersion = 1;
  std::vector<CheckEntry> checks;
  friend bool operator==(const DoctorOutput&, const DoctorOutput&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("checks", self.checks);
  }
};

}  // namespace soapstone::cli
