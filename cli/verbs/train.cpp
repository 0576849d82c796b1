// soapstone train MODEL
#include <cmath>
#include <optional>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/data.hpp"
#include "cli/documents.hpp"
#include "cli/optimizer.hpp"
#include "cli/output.hpp"
#include "cli/ranks.hpp"
#include "core/suggest.hpp"
#include "core/trace_file.hpp"
#include "core/units.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"
#include "runtime/trainer.hpp"
#include "simulator/simulate.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;  // ranks 0: as many as the cluster has devices; 1 with `local`
  int threads = 0;
  std::string strategy = "data-parallel";
  DataArguments data{.name = "synthetic"};
  bool no_evaluate = false;
  bool pace = false;
  CostArguments costs;  // of a paced training
  std::string trace;
  std::uint32_t trace_steps = runtime::kMeasuredSteps;
  OptimizerArguments optimizer;
  runtime::TrainOptions train;
};

// JSON has no word for what is no number.
std::optional<double> finite(double x) {
  return std::isfinite(x) ? std::optional(x) : std::nullopt;
}

std::string loss_text(double loss) {
  return std::isfinite(loss) ? fmt::format("{:.4f}", loss) : std::string("no number");
}

// ", accuracy 91.23 %, top5 accuracy 99.00 %"
std::string texts(const std::vector<core::MetricValue>& metrics) {
  std::string out;
  for (const core::MetricValue& m : metrics) out += ", " + core::text(m);
  return out;
}

// What a training on text is to beat; empty where there is none.
std::string baseline_text(const runtime::DataSource& test) {
  const auto baseline = test.baseline();
  if (!baseline) return "";
  const double nats = baseline->nats_per_token, bytes = baseline->bytes_per_token;
  return fmt::format(
      "unigram baseline of the test part: {:.4f} nats per token (perplexity {:.2f}), {:.3f} bits "
      "per byte; {:.3f} bytes per token\n",
      nats, std::exp(nats), nats / bytes / std::log(2.0), bytes);
}

// What a training that computes nothing cannot do.
core::Status check_pace(const Options& options) {
  const std::pair<std::string_view, bool> others[] = {
      {"--checkpoint", !options.train.checkpoint.empty()},
      {"--resume", !options.train.resume.empty()},
      {"--metrics", !options.train.metrics.empty()}};
  for (const auto& [name, is_given] : others)
    if (options.pace && is_given)
      return core::usage_error(
          "--pace with {}: a paced training computes nothing, so that there is nothing to keep or "
          "to tell; accepted: one of them",
          name);
  if (!options.pace && !options.costs.database.empty())
    return core::usage_error(
        "--database {}: only a paced training looks up costs; accepted: --pace with it",
        options.costs.database);
  return {};
}

// How long the simulator has the computing tasks take.
core::Result<std::vector<std::vector<core::Nanoseconds>>> pace_of(const core::Graph& graph,
                                                                  const core::Plan& plan,
                                                                  const core::Cluster& cluster,
                                                                  const CostArguments& arguments) {
  SOAPSTONE_ASSIGN(const Costs costs, open_costs(cluster, arguments));
  SOAPSTONE_ASSIGN(const core::Trace trace,
                   simulator::simulate(graph, plan, cluster, costs.model(), {.memory = false}));
  std::vector<std::vector<core::Nanoseconds>> times(plan.device_count);
  for (const core::DeviceClass& program : plan.classes)
    for (const core::DeviceId d : program.members) times[d.value].resize(program.tasks.size());
  const core::Spans& s = trace.spans;
  for (std::size_t i = 0; i < s.size(); ++i)
    if (!core::runs_beside(s.kind[i]))
      times[trace.lanes[s.lane[i]].device.value][s.task[i]] = s.end[i] - s.start[i];
  return times;
}

core::Status train_model(const Invocation& invocation, Options options) {
  SOAPSTONE_TRY(check_pace(options));
  SOAPSTONE_ASSIGN(options.train.optimizer, settings_of(options.optimizer));
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));

  SOAPSTONE_ASSIGN(const core::Cluster cluster,
                   load_cluster_of_ranks(options.cluster, options.strategy));
  const int ranks = static_cast<int>(cluster.size());
  SOAPSTONE_ASSIGN(const core::Strategy strategy, load_strategy(graph, cluster, options.strategy));
  SOAPSTONE_TRY(check_folder_of("--metrics", options.train.metrics));
  SOAPSTONE_TRY(check_folder_of("--checkpoint", options.train.checkpoint));
  SOAPSTONE_TRY(check_folder_of("--trace", options.trace));
  SOAPSTONE_ASSIGN(const runtime::DataSets data,
                   open_data(options.data, graph, options.train.seed));
  SOAPSTONE_TRY(data.train->check(graph));

  SOAPSTONE_ASSIGN(const bool done, run_as_ranks(invocation, ranks, options.threads));
  if (done) return {};
  const int threads = runtime::threads_for_rank(runtime::surroundings(), options.threads);
  const kernels::KokkosScope kokkos(threads);
  const kernels::HostCatalog catalog;
  SOAPSTONE_ASSIGN(const auto communicator, open_communicator(ranks));
  const bool first = communicator->process() == 0;
  const std::string data_note =
      data.train->is_synthetic() ? "synthetic data" : std::string(data.train->name());
  if (first)
    fmt::print(stderr, "training {} on {} ({} samples), {} rank(s) of {} thread(s): {}\n",
               graph.name(), data_note, data.train->samples(), ranks, threads,
               core::summary(graph, strategy));
  if (options.pace) {
    if (first)
      fmt::print(
          stderr,
          "paced: computing tasks compute nothing and take the time that `simulate` has them "
          "take; losses mean nothing\n");
    options.no_evaluate = true;
    options.train.pace = [&](const core::Plan& plan) {
      return pace_of(graph, plan, cluster, options.costs);
    };
  } else if (first) {
    fmt::print(stderr, "{}", baseline_text(*data.test));
  }

  if (options.trace.empty()) options.trace_steps = 0;
  options.train.trace_steps = options.trace_steps;
  // A short training has fewer steps to warm up, so that some are left to be measured.
  if (options.train.steps > 0)
    options.train.warm_up_steps = static_cast<std::uint32_t>(
        std::min<std::int64_t>(options.train.warm_up_steps, (options.train.steps - 1) / 2));
  core::Result<runtime::TrainReport> report;
  const core::Status finished = run_on_ranks(*communicator, [&]() -> core::Status {
    const runtime::CancelOnSignal signals;
    std::optional<ProgressBar> bar;
    if (first) bar.emplace("train");
    runtime::TrainHooks hooks;
    hooks.cancel = &signals.flag();
    hooks.progress = [&](const runtime::TrainProgress& p) {
      bar->show(p.steps > 0 ? static_cast<double>(p.step) / static_cast<double>(p.steps) : 0,
                fmt::format("step {} of {}, epoch {}, {}{}, {:.0f} samples/s", p.step, p.steps,
                            p.epoch + 1, options.pace ? "paced" : "loss " + loss_text(p.loss),
                            options.pace ? "" : texts(p.metrics), p.samples_per_second));
    };
    hooks.evaluated = [&](const runtime::Evaluation& e) {
      bar->say(fmt::format("epoch {}: test loss {}{}; {} samples ({})", e.epoch + 1,
                           loss_text(e.loss), texts(e.metrics), e.samples, data_note));
    };
    // What cannot be written is told at the end.
    hooks.traced = [&](const core::Trace& trace) { (void)core::save_trace(options.trace, trace); };
    report = runtime::train(*communicator,
                            {graph, strategy, cluster, catalog, *data.train,
                             options.no_evaluate ? nullptr : data.test.get()},
                            options.train, hooks);
    SOAPSTONE_TRY(report);
    return {};
  });
  SOAPSTONE_TRY(finished);
  if (!first) return {};

  TrainOutput out;
  out.model = graph.name();
  out.strategy = core::summary(graph, strategy);
  out.data = std::string(data.train->name());
  out.synthetic_data = data.train->is_synthetic();
  out.batch = graph.batch();
  out.ranks = ranks;
  out.threads = threads;
  out.first_step = report->first_step;
  out.steps = report->steps_done;
  out.cancelled = report->cancelled;
  out.paced = options.pace;
  if (!options.pace) {
    out.first_loss = finite(report->first_loss);
    out.last_loss = finite(report->last_loss);
  }
  if (report->last_evaluation) {
    out.test_loss = finite(report->last_evaluation->loss);
    for (const core::MetricValue& m : report->last_evaluation->metrics) {
      out.test_metrics[m.name] = finite(m.value);
      if (m.kind == core::MetricKind::kAreaUnderCurve)
        out.test_metrics[m.name + "_error"] = m.error;
    }
  }
  const bool measured = report->median_step_time.value > 0;
  const StepFigures figures =
      step_figures(graph, cluster, devices_in_use(strategy), report->median_step_time);
  if (measured) {
    out.step_time_ns = report->median_step_time.value;
    out.least_step_time_ns = report->least_step_time.value;
    out.measured_steps = report->measured_steps;
    out.samples_per_second = figures.samples_per_second;
    out.tflops_per_device = figures.tflops_per_device;
    out.share_of_peak = figures.share_of_peak;
  }
  out.training_time_ns = report->training_time.value;
  out.peak_memory_bytes = report->peak_memory.value;
  core::Status traced;  // what cannot be written does not hide the result
  if (!options.trace.empty())
    traced = measured
                 ? core::save_trace(options.trace, report->trace)
                 : core::fail("--trace {}: not written: all {} steps of this run only warmed up",
                              options.trace, out.steps - out.first_step);
  if (invocation.json) {
    SOAPSTONE_TRY(print_json(out));
    return traced;
  }
  fmt::print("{} on {}: {} steps, ", out.model, data_note, out.steps);
  if (options.pace)
    fmt::print("paced: nothing was computed");
  else
    fmt::print("loss {:.4f} → {:.4f}", report->first_loss, report->last_loss);
  if (report->last_evaluation)
    fmt::print(", test loss {}{}", loss_text(report->last_evaluation->loss),
               texts(report->last_evaluation->metrics));
  fmt::print("\nmeasured step   {}\n",
             measured
                 ? fmt::format("{}; median of the last {} steps",
                               step_text(figures, report->median_step_time), report->measured_steps)
                 : "none: all steps only warmed up");
  fmt::print("memory          {} allocated per rank\n", core::human_text(report->peak_memory));
  if (out.cancelled && !options.train.checkpoint.empty())
    fmt::print("stopped; `--resume {}` goes on from here\n", options.train.checkpoint.string());
  return traced;
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_data(app, o->data, "What to train on");
  app.add_option("--cluster", o->cluster.name,
                 "File that `clusters local` wrote, or `local`: this machine")
      ->type_name("local|FILE")
      ->capture_default_str();
  app.add_option("--ranks", o->cluster.ranks,
                 "Processes, one per device, started under mpirun unless they run already; "
                 "default: as many as the cluster has, 1 with `local`")
      ->check(CLI::Range(1, 4096));
  app.add_option("--threads", o->threads, "Per rank; default: the cores shared among the ranks")
      ->check(CLI::NonNegativeNumber);
  declare_strategy(app, o->strategy);
  app.add_option("--epochs", o->train.epochs, "Passes over the data")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--steps", o->train.steps,
                 "Stop after this many steps in all; 0: after the epochs")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", o->train.seed, "Of weights, order of samples, dropout, synthetic data")
      ->capture_default_str();
  declare_optimizer(app, o->optimizer);
  app.add_flag("--no-evaluate", o->no_evaluate, "Do not evaluate after every epoch");
  app.add_option("--metrics", o->train.metrics, "Write metrics here as JSON lines")
      ->type_name("FILE");
  app.add_option("--checkpoint", o->train.checkpoint,
                 "Save the training's state here after every epoch, at the end, and on Ctrl-C")
      ->type_name("FILE");
  app.add_option("--resume", o->train.resume,
                 "Go on from this checkpoint, under any strategy and number of ranks")
      ->type_name("FILE");
  app.add_option("--trace", o->trace,
                 "Write the measured trace here, also while it runs, ever more seldom; binary "
                 "where the name "
                 "ends in .trace")
      ->type_name("FILE");
  app.add_option("--trace-steps", o->trace_steps,
                 "The trace and the measured step are medians over so many last steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag(
      "--pace", o->pace,
      "Compute nothing: computing tasks take the time that `simulate` has them take, while "
      "data moves as ever. So communication and schedules of more ranks than there are "
      "cores can be measured; losses mean nothing");
  declare_costs(app, o->costs);
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return train_model(invocation, *o); };
}

}  // namespace

const Verb kTrainVerb{"train", "Train a model by a strategy on this machine or cluster",
                      "soapstone train fashion-cnn --data fashion-mnist --batch 128 --ranks 2 "
                      "--strategy data-parallel --epochs 1 --trace measured.json",
                      declare};

}  // namespace soapstone::cli
