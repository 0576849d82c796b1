// soapstone simulate MODEL
#include "simulator/simulate.hpp"

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/documents.hpp"
#include "cli/optimizer.hpp"
#include "cli/output.hpp"
#include "core/document.hpp"
#include "core/lower.hpp"
#include "core/trace_file.hpp"
#include "core/units.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  ModelArguments model;
  ClusterArguments cluster;
  CostArguments costs;
  std::string strategy = "data-parallel";
  std::string trace, plan;
  OptimizerChoice optimizer;
};

core::Status simulate_step(const Invocation& invocation, const Options& options) {
  SOAPSTONE_TRY(check_folder_of("--plan", options.plan));
  SOAPSTONE_TRY(check_folder_of("--trace", options.trace));
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(options.model));
  SOAPSTONE_ASSIGN(const core::Cluster cluster, load_cluster(options.cluster, options.strategy));
  SOAPSTONE_ASSIGN(const Costs costs, open_costs(cluster, options.costs));
  SOAPSTONE_ASSIGN(const core::Strategy strategy, load_strategy(graph, cluster, options.strategy));
  SOAPSTONE_ASSIGN(const core::Plan plan, core::lower(graph, strategy, cluster, *costs.catalog,
                                                      options.optimizer.lower_options()));
  SOAPSTONE_ASSIGN(const core::Trace trace,
                   simulator::simulate(graph, plan, cluster, costs.model()));
  if (!options.plan.empty()) SOAPSTONE_TRY(core::save_document(options.plan, plan));
  if (!options.trace.empty()) SOAPSTONE_TRY(core::save_trace(options.trace, trace));

  SimulateOutput out;
  out.model = graph.name();
  out.cluster = cluster.name();
  out.strategy = strategy_text(graph, strategy, options.strategy);
  out.batch = graph.batch();
  out.step_time_ns = trace.step_time.value;
  core::MemoryCounter fullest;
  for (const auto& m : trace.memory)
    if (m.live_peak >= fullest.live_peak) fullest = m;
  out.peak_memory_bytes = fullest.live_peak.value;
  out.arena_memory_bytes = fullest.arena.value;
  const StepFigures figures =
      step_figures(graph, cluster, devices_in_use(strategy), trace.step_time);
  out.samples_per_second = figures.samples_per_second;
  out.tflops_per_device = figures.tflops_per_device;
  out.share_of_peak = figures.share_of_peak;
  out.measured_share = measured_share(trace);
  out.devices = simulator::utilization(trace);
  out.memory = simulator::memory_of_devices(plan);
  if (invocation.json) return print_json(out);
  fmt::print("{} with a batch of {} on {}: {}\n", out.model, out.batch, out.cluster, out.strategy);
  fmt::print("predicted step  {}\n", step_text(figures, trace.step_time));
  fmt::print("memory          {} at most alive on a device, {} allocated\n",
             core::human_text(fullest.live_peak), core::human_text(fullest.arena));
  fmt::print("device time     {}\n", simulator::text(out.devices));
  constexpr std::size_t kMostRows = 8;
  fmt::print("memory at the peak:\n{}\n", simulator::text(out.memory, kMostRows));
  fmt::print("computing time  {:.0f} % from measurements, the rest from the roofline\n",
             100 * out.measured_share);
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  declare_cluster(app, o->cluster);
  declare_costs(app, o->costs);
  declare_strategy(app, o->strategy);
  declare_optimizer(app, o->optimizer);
  app.add_option("--trace", o->trace,
                 "Write the predicted trace here; binary where the name ends in .trace")
      ->type_name("FILE");
  app.add_option("--plan", o->plan, "Write the plan here")->type_name("FILE");
  declare_model(app, o->model);
  return [o](const Invocation& invocation) { return simulate_step(invocation, *o); };
}

}  // namespace

const Verb kSimulateVerb{"simulate", "Predict a training step of a strategy",
                         "soapstone simulate alexnet --batch 64 --cluster p100-4x4 --strategy "
                         "data-parallel --trace predicted.json",
                         declare};

}  // namespace soapstone::cli
