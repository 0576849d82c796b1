#include "explorer_gui/model/local_backend.hpp"

#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <stdlib.h>

#include "core/file.hpp"
#include "core/local_problem.hpp"
#include "core/reflect.hpp"
#include "core/sequence_order.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"
#include "explorer_gui/model/detail/sample_files.hpp"
#include "search/exhaustive.hpp"
#include "search/mcmc.hpp"
#include "simulator/analysis/what_if.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::explorer {

core::LowerOptions OptimizerChoice::lower_options() const {
  core::LowerOptions options = core::lower_options(kind, momentum, weight_decay, tables);
  options.clip_gradient_norm = clip;
  return options;
}

std::uint64_t Setting::key() const {
  core::Hasher h;
  h.word(graph->hash());
  h.word(cluster->hash());
  core::append_hash(h, optimizer);
  return h.finish();
}

simulator::Utilization utilization_in_use(const core::Trace& trace) {
  simulator::Utilization mean;
  double devices = 0;
  for (const auto& [device, use] : simulator::utilization_of_devices(trace)) {
    if (use.computing == 0 && use.exposed_communication == 0) continue;
    mean.computing += use.computing;
    mean.exposed_communication += use.exposed_communication;
    mean.idle += use.idle;
    ++devices;
  }
  if (devices > 0) {
    mean.computing /= devices;
    mean.exposed_communication /= devices;
    mean.idle /= devices;
  }
  return mean;
}

namespace {

// Before the name of a design that comes with the program.
constexpr std::string_view kSample = "sample:";

constexpr std::pair<std::string_view, std::string_view> kSampleWords[] = {
    {"slow-link", "A slow link inside one node"},
    {"straggler", "One node a quarter as fast"},
    {"unbalanced-stage", "A pipeline whose first stage has too much"},
    {"wrong-bucket", "Gradients that wait for one large bucket"},
    {"bad-placement", "Tensor-parallel ranks on four nodes"},
    {"memory-overflow", "More memory than the devices have"},
};

// Of the computing time of a predicted trace.
double share_measured(const core::Trace& trace) {
  std::int64_t all = 0, measured = 0;
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    if (trace.spans.kind[i] != core::TaskKind::kCompute) continue;
    const std::int64_t time = (trace.spans.end[i] - trace.spans.start[i]).value;
    all += time;
    if (trace.spans.source[i] == core::CostSource::kMeasured) measured += time;
  }
  return all == 0 ? 0 : static_cast<double>(measured) / static_cast<double>(all);
}

core::LowerOptions without_placing(core::LowerOptions options) {
  options.place_memory = false;
  return options;
}

// Lowering and simulation of one setting, which keep what strategies have in common.
struct Evaluator {
  Setting setting;
  Costs costs;
  core::Lowering lowering;
  simulator::Simulator simulator;

  Evaluator(const Setting& s, Costs c)
      : setting(s),
        costs(std::move(c)),
        lowering(*setting.graph, *setting.cluster, *costs.catalog,
                 without_placing(setting.optimizer.lower_options())),
        simulator(*setting.graph, *setting.cluster, *costs.model) {}
};

class LocalBackend final : public Backend {
 public:
  explicit LocalBackend(Resources resources) : resources_(std::move(resources)) {}

  std::string place() const override { return "this machine"; }
  core::Result<Catalogue> catalogue() override {
    SOAPSTONE_ASSIGN(Catalogue out, resources_.catalogue());
    for (const auto& [name, words] : kSampleWords)
      out.samples.push_back({std::string(kSample) + std::string(name), std::string(words)});
    return out;
  }
  core::Result<core::Graph> model(const ModelChoice& choice) override {
    return resources_.model(choice);
  }
  core::Result<core::Cluster> cluster(const std::string& name) override {
    return resources_.cluster(name);
  }
  core::Result<core::Strategy> strategy(const Setting& setting, const std::string& text) override {
    return resources_.strategy(*setting.graph, *setting.cluster, text);
  }
  core::Result<std::string> read(const std::string& path) override {
    if (path.starts_with(kSample)) {
      for (const auto& [name, text] : explorer_gui::model::detail::sample_files())
        if (path.substr(kSample.size()) == name) return std::string(text);
      return core::usage_error("{}: there is no such sample", path);
    }
    return core::read_file(path);
  }

  core::Status write(const std::string& path, const std::string& text) override {
    return core::write_file_atomically(path, text);
  }
  core::Result<std::string> folder_of_run() override {
    std::error_code error;
    std::filesystem::create_directories(resources_.runs, error);
    std::string name = (resources_.runs / "run-XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr)
      return core::fail("{}: no folder can be made there", resources_.runs.string());
    return name;
  }
  core::Result<int> execute(const Command& command,
                            const std::function<void(std::string_view)>& line,
                            const std::function<bool()>& wanted) override {
    return explorer::execute(command, line, wanted);
  }
  std::string program() const override { return resources_.program; }

  core::Result<Evaluation> evaluate(const Setting& setting,
                                    const core::Strategy& strategy) override {
    const std::scoped_lock lock(evaluating_);
    SOAPSTONE_TRY(prepare(setting));
    Evaluation out;
    SOAPSTONE_ASSIGN(out.plan, evaluator_->lowering.lower(strategy));
    // Where buffers lie and when tasks run do not depend on each other.
    std::uint64_t hash = 0;
    auto placing = std::async(std::launch::async, [&] {
      core::place_buffers(out.plan);
      out.memory = simulator::memory_of_devices(out.plan);
      hash = core::hash_of(out.plan);
    });
    auto traced = evaluator_->simulator.trace(out.plan, {.of_plan = false});
    placing.get();
    SOAPSTONE_ASSIGN(out.trace, std::move(traced));
    core::set_plan(out.trace, out.plan, hash);
    out.use = utilization_in_use(out.trace);
    out.step_time = out.trace.step_time;
    out.measured_share = share_measured(out.trace);
    if (out.step_time.value > 0)
      out.samples_per_second = static_cast<double>(setting.graph->batch()) * 1e9 /
                               static_cast<double>(out.step_time.value);
    core::Bytes excess(0);
    for (const core::DeviceClass& program : out.plan.classes)
      for (const core::DeviceId device : program.members) {
        out.peak_memory = std::max(out.peak_memory, program.arena);
        const core::Bytes has = setting.cluster->kind(device).memory;
        if (has.value == 0 || program.arena - has <= excess) continue;
        excess = program.arena - has;
        out.why_not = fmt::format("needs {} on {}, which has {}", core::human_text(program.arena),
                                  setting.cluster->device(device).name, core::human_text(has));
      }
    return out;
  }

  core::Result<std::vector<KernelReport>> kernels(const Setting& setting,
                                                  const core::Strategy& whole,
                                                  std::uint32_t op) override {
    const std::scoped_lock lock(evaluating_);
    SOAPSTONE_TRY(prepare(setting));
    if (op >= whole.ops.size() || whole.ops.size() != setting.graph->ops().size())
      return core::usage_error("operator {} of a strategy for {} operators: the graph has {}", op,
                               whole.ops.size(), setting.graph->ops().size());
    SOAPSTONE_ASSIGN(const core::Graph micro,
                     core::planned_graph(*setting.graph, whole.micro_batches, whole.zigzag));
    const core::OpNode& node = micro.ops()[op];
    const core::OpStrategy& strategy = whole.ops[op];
    SOAPSTONE_TRY(core::check(node, strategy, static_cast<std::uint32_t>(setting.cluster->size())));
    std::vector<KernelReport> out;
    std::map<std::pair<std::uint64_t, std::string>, std::size_t> known;
    for (std::size_t i = 0; i < strategy.devices.size(); ++i) {
      const core::LocalProblem problem = core::local_problem(node, strategy, i);
      const core::DeviceKind& kind = setting.cluster->kind(strategy.devices[i]);
      const auto [it, is_new] =
          known.emplace(std::pair(problem.signature(), kind.name), out.size());
      if (is_new) {
        const core::KernelChoice chosen = evaluator_->costs.catalog->choose(problem, kind);
        KernelReport& report = out.emplace_back();
        report.problem = problem.key();
        report.candidate = chosen.candidate;
        report.workspace = chosen.workspace;
        report.device_kind = kind.name;
        for (const core::KernelRefusal& r : chosen.refused)
          report.refused.push_back({r.candidate, r.reason});
      }
      out[it->second].parts.push_back(static_cast<std::int64_t>(i));
    }
    return out;
  }

  core::Result<WhatIf> what_if(const Setting& setting, const core::Strategy& strategy,
                               const std::string& text) override {
    SOAPSTONE_ASSIGN(const simulator::Change change, simulator::parse_change(text));
    SOAPSTONE_TRY(simulator::check(change, *setting.graph, *setting.cluster));
    const std::scoped_lock lock(evaluating_);
    SOAPSTONE_TRY(prepare(setting));
    WhatIf out;
    out.words = simulator::words(change);
    SOAPSTONE_ASSIGN(const core::Plan plan, evaluator_->lowering.lower(strategy));
    SOAPSTONE_ASSIGN(const core::Trace now, evaluator_->simulator.trace(plan));
    out.before = now.step_time;
    const simulator::Scenario scenario{*setting.graph,
                                       strategy,
                                       *setting.cluster,
                                       *evaluator_->costs.model,
                                       *evaluator_->costs.catalog,
                                       setting.optimizer.lower_options()};
    SOAPSTONE_ASSIGN(const simulator::Outcome outcome,
                     simulator::what_if(scenario, std::span(&change, 1)));
    out.after = outcome.trace.step_time;
    return out;
  }

  core::Result<core::Trace> changed_step(const Setting& setting, const core::Strategy& strategy,
                                         const std::vector<std::string>& texts) override {
    std::vector<simulator::Change> changes;
    bool links = false;
    for (const std::string& text : texts) {
      SOAPSTONE_ASSIGN(simulator::Change change, simulator::parse_change(text));
      if (change.kind == simulator::ChangeKind::kAdd)
        return core::usage_error("`{}`: the tasks of another plan; ask for that alone", text);
      SOAPSTONE_TRY(simulator::check(change, *setting.graph, *setting.cluster));
      links = links || change.kind == simulator::ChangeKind::kLink ||
              change.kind == simulator::ChangeKind::kLatency;
      changes.push_back(std::move(change));
    }
    const std::scoped_lock lock(evaluating_);
    SOAPSTONE_TRY(prepare(setting));
    // While something is dragged the plan stays what it is.
    if (!asked_ || !(asked_->first == strategy)) {
      asked_.reset();
      SOAPSTONE_ASSIGN(core::Plan plan, evaluator_->lowering.lower(strategy));
      asked_.emplace(strategy, std::move(plan));
    }
    const core::Plan& plan = asked_->second;
    if (links)
      return simulator::simulate_changed(*setting.graph, plan, *setting.cluster,
                                         *evaluator_->costs.model, changes);
    simulator::SimulateOptions options;
    SOAPSTONE_ASSIGN(options.retime,
                     simulator::retimed(*setting.graph, plan, *setting.cluster, changes));
    return evaluator_->simulator.trace(plan, options);
  }

  core::Result<core::RankedStrategies> search(const Setting& setting, const SearchRequest& request,
                                              const SearchProgress& progress) override {
    static constexpr std::string_view kSearchers[] = {"mcmc", "exhaustive"};
    if (request.searcher != "mcmc" && request.searcher != "exhaustive")
      return core::usage_error("searcher `{}`: {}", request.searcher,
                               core::accepted_names(request.searcher, kSearchers));
    SOAPSTONE_ASSIGN(const search::Budget budget, search::parse_budget(request.budget));
    // Its own: the evaluator goes on beside the search.
    SOAPSTONE_ASSIGN(const Costs costs, resources_.costs(*setting.cluster));
    search::Problem problem{.graph = setting.graph.get(),
                            .cluster = setting.cluster.get(),
                            .costs = costs.model.get(),
                            .catalog = costs.catalog.get()};
    for (const auto& [name, pinned] : request.pins) problem.pins[name] = {pinned};
    problem.memory_limit = request.memory_limit;
    problem.micro_batches = request.micro_batches;
    problem.lower = setting.optimizer.lower_options();
    const search::Progress report = [&](const search::ProgressReport& r) {
      return progress({r.proposals, r.best, core::Nanoseconds(r.elapsed.count()), r.fraction});
    };
    return request.searcher == "exhaustive"
               ? search::exhaustive(problem, report, {.most = request.most})
               : search::mcmc(problem, budget, request.seed, report, {.most = request.most});
  }

 private:
  // The evaluator of that setting; under the lock.
  core::Status prepare(const Setting& setting) {
    if (evaluator_ && evaluator_key_ == setting.key()) return {};
    SOAPSTONE_ASSIGN(Costs costs, resources_.costs(*setting.cluster));
    evaluator_ = std::make_unique<Evaluator>(setting, std::move(costs));
    evaluator_key_ = setting.key();
    asked_.reset();
    return {};
  }

  Resources resources_;
  std::mutex evaluating_;
  std::unique_ptr<Evaluator> evaluator_;
  std::uint64_t evaluator_key_ = 0;
  std::optional<std::pair<core::Strategy, core::Plan>> asked_;  // that changes were asked of last
};

}  // namespace

std::unique_ptr<Backend> local_backend(Resources resources) {
  return std::make_unique<LocalBackend>(std::move(resources));
}

}  // namespace soapstone::explorer
