#include "cli/costs.hpp"

#include <map>
#include <set>

#include <fmt/core.h>

#include "cli/common.hpp"
#include "core/units.hpp"
#include "simulator/cost_database.hpp"
#include "simulator/measured_model.hpp"
#include "simulator/roofline_model.hpp"
#ifdef SOAPSTONE_HAS_KERNELS
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/launch.hpp"
#endif

namespace soapstone::cli {

Costs::Costs() = default;
Costs::Costs(Costs&&) noexcept = default;
Costs::~Costs() = default;

void declare_costs(CLI::App& app, CostArguments& arguments) {
  app.add_option("--database", arguments.database,
                 "File of measured costs; default: costs.sqlite in the user's cache folder")
      ->type_name("FILE")
      ->group(kClusterGroup);
}

bool is_this_machine(const core::Cluster& cluster) {
  for (const auto& kind : cluster.kinds())
    if (kind.name != kLocalDeviceKind) return false;
  return true;
}

std::filesystem::path database_file(const CostArguments& arguments) {
  return arguments.database.empty() ? default_database()
                                    : std::filesystem::path(arguments.database);
}

simulator::Environment environment() {
  simulator::Environment e;
  e.host = host_name();
#ifdef SOAPSTONE_HAS_KERNELS
  e.versions = fmt::format("Kokkos {}, oneDNN {}, {}", kernels::kokkos_version(),
                           kernels::onednn_version(), runtime::mpi_version());
#endif
  return e;
}

core::Result<simulator::CostDatabase> open_database(const CostArguments& arguments) {
  const auto file = database_file(arguments);
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  if (error)
    return core::fail("{}: cannot be made: {}", file.parent_path().string(), error.message());
  return simulator::CostDatabase::open(file, environment());
}

#ifdef SOAPSTONE_HAS_KERNELS
simulator::Measurement stored(const runtime::Measurement& m) {
  return {m.median, m.high - m.low, m.repeats};
}
#endif

int busy_devices(const core::Cluster& cluster) {
  std::map<std::uint32_t, int> per_node;
  int most = 1;
  for (const auto& device : cluster.devices()) most = std::max(most, ++per_node[device.node]);
  return most;
}

namespace {

// Of ranks, one says what all see.
bool speaks() {
#ifdef SOAPSTONE_HAS_KERNELS
  return runtime::surroundings().rank == 0;
#else
  return true;
#endif
}

}  // namespace

core::Result<Costs> open_costs(const core::Cluster& cluster, const CostArguments& arguments) {
  Costs costs;
  costs.modelled = std::make_unique<simulator::RooflineModel>();
  const bool here = is_this_machine(cluster);
#ifdef SOAPSTONE_HAS_KERNELS
  if (here) costs.catalog = std::make_unique<kernels::HostCatalog>();
#endif
  if (!costs.catalog) costs.catalog = std::make_unique<core::NominalCatalog>();
  if (here && cluster.kinds()[0].source.starts_with(kAssumed) && speaks())
    fmt::print(
        stderr,
        "soapstone: no measurements of this machine with {0} ranks yet; assumed figures are used "
        "(`soapstone clusters local --ranks {0}` measures)\n",
        cluster.size());
  const auto file = database_file(arguments);
  if (!arguments.database.empty() && !std::filesystem::exists(file))
    return core::usage_error("--database {}: no such file; soapstone profile makes one",
                             arguments.database);
  if (here && std::filesystem::exists(file)) {
    SOAPSTONE_ASSIGN(const simulator::CostDatabase database, open_database(arguments));
    SOAPSTONE_ASSIGN(const auto statistics, database.statistics());
    if (statistics.stale > 0 && statistics.costs == 0 && speaks())
      fmt::print(stderr,
                 "soapstone: the {} measurements in {} are of another host or of other library "
                 "versions and are not used\n",
                 statistics.stale, file.string());
    SOAPSTONE_ASSIGN(auto model, simulator::MeasuredModel::load(database, busy_devices(cluster),
                                                                *costs.modelled));
    costs.measured = std::make_unique<simulator::MeasuredModel>(std::move(model));
  }
  return costs;
}

std::size_t devices_in_use(const core::Strategy& strategy) {
  std::set<core::DeviceId> devices;
  for (const auto& op : strategy.ops) devices.insert(op.devices.begin(), op.devices.end());
  return devices.size();
}

StepFigures step_figures(const core::Graph& graph, const core::Cluster& cluster,
                         std::size_t devices, core::Nanoseconds step) {
  StepFigures f;
  const double time = core::seconds(step);
  if (time <= 0 || devices == 0) return f;
  f.samples_per_second = static_cast<double>(graph.batch()) / time;
  const double per_device = graph.flops().value / time / static_cast<double>(devices);
  f.tflops_per_device = per_device * 1e-12;
  // What products multiply: in a bf16 model activations, while weights and losses stay f32.
  core::DType dtype = core::DType::kF32;
  for (const auto& t : graph.tensors())
    if (t.needs_gradient && dtype != core::DType::kBF16) dtype = t.desc.dtype;
  if (const auto peak = core::peak(cluster.kinds()[0], dtype))
    f.share_of_peak = per_device / peak->value;
  return f;
}

double measured_share(const core::Trace& predicted) {
  double measured = 0, all = 0;
  for (std::size_t i = 0; i < predicted.spans.size(); ++i) {
    if (core::runs_beside(predicted.spans.kind[i])) continue;
    const auto time =
        static_cast<double>((predicted.spans.end[i] - predicted.spans.start[i]).value);
    all += time;
    if (predicted.spans.source[i] != core::CostSource::kRoofline) measured += time;
  }
  return all > 0 ? measured / all : 0;
}

std::string step_text(const StepFigures& f, core::Nanoseconds step) {
  return fmt::format("{}, {:.4g} samples/s, {:.3g} TFLOP/s per device, {:.1f} % of peak",
                     core::human_text(step), f.samples_per_second, f.tflops_per_device,
                     100 * f.share_of_peak);
}

}  // namespace soapstone::cli
