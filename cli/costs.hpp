// Which kernels and which costs belong to a cluster: this machine's own, or nominal ones.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/common.hpp"
#include "core/cluster.hpp"
#include "core/cost_model.hpp"
#include "core/kernel_catalog.hpp"
#include "core/plan.hpp"
#include "core/trace.hpp"
#include "simulator/cost_database.hpp"
#ifdef SOAPSTONE_HAS_KERNELS
#include "runtime/profiler.hpp"
#endif

namespace soapstone::cli {

struct CostArguments {
  std::string database;  // empty: the default one
};
void declare_costs(CLI::App& app, CostArguments& arguments);

// A cluster whose devices are processors of the machine this runs on is one that `clusters local`
// wrote.
bool is_this_machine(const core::Cluster& cluster);

// What measurements are kept for: this host with its kernel libraries.
simulator::Environment environment();
// Creates the file where there is none.
core::Result<simulator::CostDatabase> open_database(const CostArguments& arguments);
#ifdef SOAPSTONE_HAS_KERNELS
simulator::Measurement stored(const runtime::Measurement& measured);
#endif
// Devices of the fullest node, which compute at the same time.
int busy_devices(const core::Cluster& cluster);

struct Costs {
  std::unique_ptr<core::CostModel> modelled;
  std::unique_ptr<core::CostModel> measured;
  std::unique_ptr<core::KernelCatalog> catalog;

  const core::CostModel& model() const { return measured ? *measured : *modelled; }

  Costs();
  Costs(Costs&&) noexcept;
  ~Costs();
};
core::Result<Costs> open_costs(const core::Cluster& cluster, const CostArguments& arguments);

// The file that measurements go into.
std::filesystem::path database_file(const CostArguments& arguments);

// Step time with samples/s, TFLOP/s per device and share of peak, for people.
struct StepFigures {
  double samples_per_second = 0;
  double tflops_per_device = 0;
  double share_of_peak = 0;
};
// Devices that compute something.
std::size_t devices_in_use(const core::Strategy& strategy);
StepFigures step_figures(const core::Graph& graph, const core::Cluster& cluster,
                         std::size_t devices, core::Nanoseconds step);
// Share of a predicted trace's computing time that comes from measurements.
double measured_share(const core::Trace& predicted);
std::string step_text(const StepFigures& figures, core::Nanoseconds step);

}  // namespace soapstone::cli
