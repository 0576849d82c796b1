#include "runtime/trainer.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "core/assert.hpp"
#include "core/json.hpp"
#include "core/lower.hpp"
#include "runtime/checkpoint.hpp"
#include "runtime/clock.hpp"
#include "runtime/data/batch_reader.hpp"
#include "runtime/data/sampler.hpp"
#include "runtime/detail/bytes.hpp"
#include "runtime/plan_run.hpp"
#include "runtime/tally.hpp"
#include "runtime/trace_recorder.hpp"

namespace soapstone::runtime {

namespace {

// JSON has no word for what is not a number.
core::Json number(double value) {
  return std::isfinite(value) ? core::Json(value) : core::Json(nullptr);
}

void add_metrics(core::Json& line, const std::vector<core::MetricValue>& metrics) {
  for (const core::MetricValue& m : metrics) {
    line[m.name] = number(m.value);
    if (m.kind == core::MetricKind::kAreaUnderCurve) line[m.name + "_error"] = m.error;
  }
}

// JSON lines, flushed as they come.
class MetricsFile {
 public:
  static core::Result<MetricsFile> open(const std::filesystem::path& path, bool is_continued) {
    MetricsFile m;
    if (path.empty()) return m;
    m.path_ = path;
    m.file_.open(path, is_continued ? std::ios::app : std::ios::trunc);
    if (!m.file_) return core::fail("{}: {}", path.string(), std::strerror(errno));
    return m;
  }
  core::Status write(const core::Json& line) {
    if (path_.empty()) return {};
    file_ << line.dump() << '\n' << std::flush;
    if (!file_) return core::fail("{}: {}", path_.string(), std::strerror(errno));
    return {};
  }

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

class Trainer {
 public:
  Trainer(Communicator& communicator, const TrainProblem& problem, const TrainOptions& options,
          const TrainHooks& hooks)
      : communicator_(communicator),
        p_(problem),
        options_(options),
        hooks_(hooks),
        sampler_(problem.train.samples(), problem.graph.batch(), options.seed),
        tally_(problem.graph, core::StepUse::kTraining),
        test_tally_(problem.graph, core::StepUse::kEvaluation) {}

  core::Result<TrainReport> run() {
    SOAPSTONE_TRY(communicator_.agree(lower_plans()));
    SOAPSTONE_TRY(learn_pace());
    prepare();
    SOAPSTONE_TRY(compare_plans(communicator_, run_->plan()));
    if (evaluation_) SOAPSTONE_TRY(compare_plans(communicator_, evaluation_->plan()));
    SOAPSTONE_TRY(resume());
    report_.first_step = step_;
    report_.plan_hash = core::hash_of(run_->plan());
    for (const auto& e : run_->executors())
      report_.peak_memory = std::max(report_.peak_memory, e->memory());
    SOAPSTONE_TRY(communicator_.agree(open_metrics()));
    SOAPSTONE_TRY(loop());
    if (!step_times_.empty()) {
      report_.least_step_time =
          core::Nanoseconds(*std::min_element(step_times_.begin(), step_times_.end()));
      report_.median_step_time = median_step_time();
      report_.measured_steps =
          static_cast<std::int64_t>(std::min(step_times_.size(), measured_steps()));
      report_.samples_per_second = static_cast<double>(p_.graph.batch()) /
                                   std::max(1e-9, core::seconds(report_.median_step_time));
    }
    if (recorder_ && recorder_->steps() > 0)
      report_.trace = recorder_->trace(report_.median_step_time);
    return std::move(report_);
  }

 private:
  bool is_first() const { return communicator_.process() == 0; }

  // The same steps as those of the trace, so that both tell one time.
  std::size_t measured_steps() const {
    return options_.trace_steps > 0 ? options_.trace_steps : kMeasuredSteps;
  }
  core::Nanoseconds median_step_time() const {
    const std::size_t most = std::min(step_times_.size(), measured_steps());
    std::vector<std::int64_t> last(step_times_.end() - static_cast<std::ptrdiff_t>(most),
                                   step_times_.end());
    const auto middle = last.begin() + static_cast<std::ptrdiff_t>(last.size() / 2);
    std::nth_element(last.begin(), middle, last.end());
    return core::Nanoseconds(*middle);
  }

  // A trace of a training that runs, so that it can be looked at. Every process comes here at the
  // same steps.
  void trace_meanwhile() {
    if (!recorder_ || recorder_->steps() < 2 || since_trace_ < until_trace_) return;
    until_trace_ = until_trace_ == 0 ? options_.trace_after : 2 * until_trace_;
    since_trace_ = 0;
    const core::Trace trace = recorder_->trace(median_step_time());
    if (is_first() && hooks_.traced) hooks_.traced(trace);
  }

  core::Status lower_plans() {
    SOAPSTONE_TRY(check(options_.optimizer));
    if (options_.steps < 0 || options_.epochs < 0 || (options_.steps == 0 && options_.epochs == 0))
      return core::usage_error("{} epochs, {} steps; accepted: at least 1 of one of them",
                               options_.epochs, options_.steps);
    SOAPSTONE_TRY(p_.train.check(p_.graph));
    if (p_.test != nullptr) SOAPSTONE_TRY(p_.test->check(p_.graph));
    if (static_cast<std::size_t>(communicator_.ranks()) < p_.cluster.size())
      return core::usage_error("{} ranks for a cluster of {} devices; accepted: at least {}",
                               communicator_.ranks(), p_.cluster.size(), p_.cluster.size());
    steps_ = options_.steps > 0 ? options_.steps : options_.epochs * sampler_.steps_per_epoch();
    core::LowerOptions how = lower_options(options_.optimizer);
    SOAPSTONE_ASSIGN(plan_, core::lower(p_.graph, p_.strategy, p_.cluster, p_.catalog, how));
    if (p_.test != nullptr) {
      how.training = false;
      SOAPSTONE_ASSIGN(forward_, core::lower(p_.graph, p_.strategy, p_.cluster, p_.catalog, how));
    }
    return {};
  }

  // Process 0 knows how long tasks take and tells the others.
  core::Status learn_pace() {
    if (!options_.pace) return {};
    SOAPSTONE_ASSERT(p_.test == nullptr && options_.checkpoint.empty() && options_.resume.empty(),
                     "what is paced has nothing to evaluate or to keep");
    core::Status status;
    std::string text;
    if (is_first()) {
      const auto times = options_.pace(plan_);
      if (!times) status = tl::unexpected(times.error());
      detail::ByteWriter writer;
      if (times)
        for (const auto& of_device : *times) {
          writer.put(of_device.size());
          writer.put_bytes(of_device.data(), of_device.size() * sizeof(core::Nanoseconds));
        }
      text = writer.take();
    }
    SOAPSTONE_TRY(communicator_.agree(status));
    text = communicator_.broadcast(text);
    for (detail::ByteReader reader(text); !reader.done();) {
      auto& of_device = pace_.emplace_back(reader.get<std::size_t>());
      const std::size_t size = of_device.size() * sizeof(core::Nanoseconds);
      if (size > 0) std::memcpy(of_device.data(), reader.get_bytes(size), size);
    }
    return {};
  }

  void prepare() {
    run_ = std::make_unique<PlanRun>(communicator_, p_.graph, plan_,
                                     PlanRunOptions{options_.seed, nullptr, {}, std::move(pace_)});
    reader_ = std::make_unique<BatchReader>(p_.graph, p_.train, run_->micro_batch_samples(),
                                            run_->loads());
    if (p_.test != nullptr) {
      evaluation_ = std::make_unique<PlanRun>(communicator_, p_.graph, forward_,
                                              PlanRunOptions{options_.seed, run_.get(), {}});
      test_reader_ = std::make_unique<BatchReader>(
          p_.graph, *p_.test, evaluation_->micro_batch_samples(), evaluation_->loads());
    }
  }

  core::Status resume() {
    if (!options_.resume.empty()) {
      // Process 0 reads; the others may stand on machines that do not have the file.
      std::vector<WholeTensor> weights;
      double numbers[2] = {};
      core::Status status;
      if (is_first()) {
        auto checkpoint = load_checkpoint(options_.resume, p_.graph);
        if (!checkpoint)
          status = tl::unexpected(checkpoint.error());
        else
          status = check_resume(*checkpoint);
        if (status) {
          numbers[0] = static_cast<double>(checkpoint->step);
          weights = std::move(checkpoint->weights);
        }
      }
      SOAPSTONE_TRY(communicator_.agree(status));
      communicator_.sum(numbers);
      step_ = static_cast<std::int64_t>(numbers[0]);
      run_->distribute_weights(weights);
      saved_ = {options_.resume.string(), step_};
    }
    // Last, because it takes the ranks' time together.
    if (options_.trace_steps > 0)
      recorder_ =
          std::make_unique<TraceRecorder>(communicator_, p_.graph, *run_, options_.trace_steps);
    return {};
  }

  core::Status check_resume(const Checkpoint& c) const {
    if (c.seed != options_.seed)
      return core::refuse(
          "{}: trained with seed {}, this run has seed {}: the order of samples would change "
          "midway; "
          "accepted: {}",
          options_.resume.string(), c.seed, options_.seed, c.seed);
    if (c.optimizer.kind != options_.optimizer.kind)
      return core::refuse("{}: trained with {}, this run has {}: what they keep per weight differs",
                          options_.resume.string(), core::name_of(c.optimizer.kind),
                          core::name_of(options_.optimizer.kind));
    const auto tables = [](const OptimizerSettings& s) {
      return core::kind_of(s.table_kind, s.kind);
    };
    if (tables(c.optimizer) != tables(options_.optimizer))
      return core::refuse(
          "{}: tables were trained with {}, this run has {}: what they keep per weight differs",
          options_.resume.string(), core::name_of(tables(c.optimizer)),
          core::name_of(tables(options_.optimizer)));
    if (c.data != p_.train.name())
      return core::refuse("{}: trained on {}, this run has {}", options_.resume.string(), c.data,
                          p_.train.name());
    if (c.step > steps_)
      return core::refuse("{}: {} steps are done, this run is to have {} in all",
                          options_.resume.string(), c.step, steps_);
    return {};
  }

  core::Status open_metrics() {
    if (!is_first()) return {};
    SOAPSTONE_ASSIGN(metrics_, MetricsFile::open(options_.metrics, !options_.resume.empty()));
    return {};
  }

  std::vector<std::int64_t> samples_of(std::int64_t step) {
    return sampler_.batch(step / sampler_.steps_per_epoch(), step % sampler_.steps_per_epoch());
  }

  core::Status loop() {
    const std::int64_t per_epoch = sampler_.steps_per_epoch();
    if (step_ < steps_) reader_->request(samples_of(step_));
    std::int64_t next_report = step_ + 1, interval = 1;
    interval_start_ = steady_now();
    while (step_ < steps_ && !report_.cancelled) {
      const auto loaded = reader_->next();
      if (step_ + 1 < steps_) reader_->request(samples_of(step_ + 1));
      const std::int64_t start = steady_now();
      const StepSettings settings{static_cast<std::uint64_t>(step_),
                                  update_of(options_.optimizer, step_, steps_),
                                  options_.optimizer.clip_gradient_norm, loaded,
                                  table_update_of(options_.optimizer, step_, steps_)};
      run_->step(settings);
      const std::int64_t taken = steady_now() - start;
      report_.training_time += core::Nanoseconds(taken);
      if (!run_->has_stopped() && step_ - report_.first_step >= options_.warm_up_steps) {
        step_times_.push_back(taken);
        if (recorder_) recorder_->add_step();
      }
      const std::size_t at = pending_.size();
      pending_.resize(at + 2 + tally_.size(), 0);
      pending_[at] = run_->loss();
      pending_[at + 1] = run_->has_stopped() ? 0 : own_norm();
      tally_.add(*run_, std::span(pending_).subspan(at + 2));
      ++step_;
      if (run_->has_stopped()) {
        SOAPSTONE_TRY(communicator_.agree(report_steps()));
        return no_number(settings);
      }
      const bool ends_epoch = step_ % per_epoch == 0;
      if (step_ < next_report && !ends_epoch && step_ < steps_) continue;

      SOAPSTONE_TRY(communicator_.agree(report_steps()));
      // About twice a second; every process comes to the same number.
      interval = std::clamp<std::int64_t>(
          static_cast<std::int64_t>(0.5 / std::max(1e-6, seconds_per_step_)), 1, 1000);
      next_report = step_ + interval;
      const bool is_last = step_ == steps_ || report_.cancelled;
      if (!is_last) trace_meanwhile();
      if (ends_epoch || is_last) {
        SOAPSTONE_TRY(communicator_.agree(check_weights()));
        if (evaluation_ && !report_.cancelled) SOAPSTONE_TRY(evaluate());
        if (ends_epoch || report_.cancelled || is_last) SOAPSTONE_TRY(save());
      }
      interval_start_ = steady_now();
    }
    report_.steps_done = step_;
    return {};
  }

  // The norm is the same on all devices that have one; the process with the lowest of them says it.
  double own_norm() const {
    if (options_.optimizer.clip_gradient_norm == 0) return 0;
    core::DeviceId lowest = run_->plan().classes.front().members.front();
    for (const core::DeviceClass& c : run_->plan().classes)
      for (const core::DeviceId d : c.members) lowest = std::min(lowest, d);
    const auto own = communicator_.own_ranks();
    if (std::find(own.begin(), own.end(), static_cast<int>(lowest.value)) == own.end()) return 0;
    return run_->gradient_norm().value_or(0);
  }

  // Brings the steps since the last call together from all processes.
  core::Status report_steps() {
    const std::size_t per_step = 2 + tally_.size(), count = pending_.size() / per_step;
    pending_.push_back(hooks_.cancel != nullptr && hooks_.cancel->load() ? 1 : 0);
    pending_.push_back(is_first() ? static_cast<double>(steady_now() - interval_start_) * 1e-9 : 0);
    communicator_.sum(pending_);
    const double elapsed = pending_.back();
    since_trace_ += elapsed;
    report_.cancelled = pending_[pending_.size() - 2] > 0 && step_ < steps_;
    seconds_per_step_ = elapsed / static_cast<double>(count);
    const double rate = static_cast<double>(p_.graph.batch()) / std::max(1e-9, seconds_per_step_);
    core::Status status;
    TrainProgress progress{step_, steps_, 0, 0, {}, rate};
    for (std::size_t k = 0; k < count; ++k) {
      const std::int64_t step = step_ - static_cast<std::int64_t>(count - k);
      progress.epoch = step / sampler_.steps_per_epoch();
      const auto sums = std::span<const double>(pending_).subspan(k * per_step, per_step);
      progress.loss = sums[0];
      if (step == report_.first_step) report_.first_loss = progress.loss;
      report_.last_loss = progress.loss;
      if (!is_first()) continue;
      progress.metrics = tally_.metrics(sums.subspan(2));
      core::Json line;
      line["kind"] = "step";
      line["step"] = step + 1;
      line["epoch"] = progress.epoch;
      line["loss"] = number(progress.loss);
      add_metrics(line, progress.metrics);
      line["samples_per_second"] = rate;
      line["learning_rate"] = learning_rate(options_.optimizer, step, steps_);
      if (options_.optimizer.clip_gradient_norm > 0) line["gradient_norm"] = number(sums[1]);
      line["data"] = std::string(p_.train.name());
      if (status) status = metrics_.write(line);
    }
    pending_.clear();
    if (is_first() && hooks_.progress) hooks_.progress(progress);
    return status;
  }

  core::Status evaluate() {
    const std::int64_t batch = p_.graph.batch();
    // The last batch is filled up with samples from the beginning, which have no label then; where
    // labels are computed, or the loss knows no missing ones, what does not fill a batch is left
    // out.
    const bool has_labels =
        p_.graph.tensor(labels_of(p_.graph)).role == core::TensorRole::kSource &&
        !test_tally_.empty();
    const std::int64_t samples =
        has_labels ? p_.test->samples() : p_.test->samples() / batch * batch;
    const std::int64_t batches = (samples + batch - 1) / batch;
    const auto request = [&](std::int64_t k) {
      std::vector<std::int64_t> list;
      for (std::int64_t i = k * batch; i < (k + 1) * batch; ++i) list.push_back(i % samples);
      test_reader_->request(std::move(list), std::min(batch, samples - k * batch));
    };
    std::vector<double> totals(1 + test_tally_.size(), 0);  // loss × samples, then the counts
    if (batches > 0) request(0);
    for (std::int64_t k = 0; k < batches; ++k) {
      const auto loaded = test_reader_->next();
      if (k + 1 < batches) request(k + 1);
      evaluation_->step({static_cast<std::uint64_t>(step_), {}, 0, loaded});
      totals[0] += evaluation_->loss() * static_cast<double>(batch);
      test_tally_.add(*evaluation_, std::span(totals).subspan(1));
    }
    communicator_.sum(totals);
    Evaluation e;
    e.step = step_;
    e.epoch = (step_ - 1) / sampler_.steps_per_epoch();
    e.samples = samples;
    e.loss = totals[0] / static_cast<double>(samples);
    e.metrics = test_tally_.metrics(std::span<const double>(totals).subspan(1));
    report_.last_evaluation = e;
    core::Status status;
    if (is_first()) {
      core::Json line;
      line["kind"] = "evaluation";
      line["step"] = e.step;
      line["epoch"] = e.epoch;
      line["samples"] = e.samples;
      line["loss"] = number(e.loss);
      add_metrics(line, e.metrics);
      line["data"] = std::string(p_.test->name());
      status = metrics_.write(line);
      if (hooks_.evaluated) hooks_.evaluated(e);
    }
    return communicator_.agree(status);
  }

  // The error that ends a training: does the step that has stopped again, to see where it goes
  // wrong.
  core::Status no_number(const StepSettings& settings) {
    const std::int64_t step = step_ - 1;
    const auto found = run_->find_non_finite(settings);
    std::string where;
    for (const NonFinite& f : found) {
      where += fmt::format("{} {} in {}", where.empty() ? "; first" : ", first",
                           name_of_non_finite(f.value), f.where);
      if (f.sample >= 0)
        where += fmt::format(" of {}, sample {}", p_.train.name(),
                             samples_of(step)[static_cast<std::size_t>(f.sample)]);
      if (communicator_.ranks() > 1) where += fmt::format(" (rank {})", f.rank);
    }
    return core::fail(
        "{}", communicator_.broadcast(
                  fmt::format("step {}: the loss is {}{}; learning rate {}; {}", step + 1,
                              name_of_non_finite(report_.last_loss), where,
                              learning_rate(options_.optimizer, step, steps_), last_checkpoint())));
  }

  std::string last_checkpoint() const {
    return saved_ ? fmt::format("the last checkpoint, {}, is of step {}", saved_->first,
                                saved_->second)
                  : "no checkpoint was written";
  }

  // A loss can be a number beside weights that are none: max(x, 0) may hide them.
  core::Status check_weights() const {
    const auto ranks = communicator_.own_ranks();
    for (std::size_t k = 0; k < ranks.size(); ++k)
      for (const WeightPart& w : run_->executors()[k]->weights())
        if (const auto found = first_non_finite(w.value))
          return core::fail(
              "step {}: the loss is {}, but weight {} is {} on rank {}: an operator behind it does "
              "not pass that on; learning rate {}; {}",
              step_, report_.last_loss, p_.graph.tensors()[w.tensor].name,
              name_of_non_finite(found->value), ranks[k],
              learning_rate(options_.optimizer, step_ - 1, steps_), last_checkpoint());
    return {};
  }

  core::Status save() {
    if (options_.checkpoint.empty()) return {};
    Checkpoint c;
    c.graph = p_.graph.name();
    c.graph_hash = core::hex(p_.graph.hash());
    c.step = step_;
    c.epoch = step_ / sampler_.steps_per_epoch();
    c.step_in_epoch = step_ % sampler_.steps_per_epoch();
    c.seed = options_.seed;
    c.data = p_.train.name();
    c.optimizer = options_.optimizer;
    c.weights = run_->collect_weights();
    SOAPSTONE_TRY(communicator_.agree(is_first() ? save_checkpoint(options_.checkpoint, p_.graph, c)
                                                 : core::Status{}));
    saved_ = {options_.checkpoint.string(), step_};
    return {};
  }

  Communicator& communicator_;
  const TrainProblem& p_;
  const TrainOptions& options_;
  const TrainHooks& hooks_;
  Sampler sampler_;
  Tally tally_, test_tally_;
  core::Plan plan_, forward_;  // forward: of evaluations
  TaskTimes pace_;
  std::unique_ptr<PlanRun> run_, evaluation_;
  std::unique_ptr<BatchReader> reader_, test_reader_;
  std::unique_ptr<TraceRecorder> recorder_;
  MetricsFile metrics_;
  TrainReport report_;
  std::int64_t step_ = 0, steps_ = 0;
  std::int64_t interval_start_ = 0;
  double seconds_per_step_ = 0;
  double since_trace_ = 0, until_trace_ = 0;  // seconds
  std::vector<double> pending_;  // per step not reported yet: loss, norm, the tally's counts
  std::optional<std::pair<std::string, std::int64_t>> saved_;  // the last checkpoint and its step
  std::vector<std::int64_t> step_times_;
};

}  // namespace

core::Result<TrainReport> train(Communicator& communicator, const TrainProblem& problem,
                                const TrainOptions& options, const TrainHooks& hooks) {
  if (problem.train.samples() < problem.graph.batch())
    return core::usage_error("a batch of {} samples: {} has {}", problem.graph.batch(),
                             problem.train.name(), problem.train.samples());
  return Trainer(communicator, problem, options, hooks).run();
}

}  // namespace soapstone::runtime
