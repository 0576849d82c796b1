#include "cli/measure.hpp"

#include <map>

#include <fmt/core.h>

#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/output.hpp"
#include "cli/ranks.hpp"
#include "core/document.hpp"
#include "core/ops/linear.hpp"
#include "core/units.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/launch.hpp"
#include "runtime/profiler.hpp"
#include "runtime/traffic.hpp"
#include "simulator/measured_model.hpp"

namespace soapstone::cli {

namespace {

using runtime::Traffic;

// Short and often: curves have many points.
const runtime::MeasureOptions kCurve{.least_repeats = 5, .most_repeats = 2000, .seconds = 0.05};

constexpr std::int64_t kLargeMessage = std::int64_t{16} << 20;  // bytes

// FLOP/s of a square matrix product on one rank while all ranks compute.
core::Result<double> matmul_rate(runtime::Communicator& communicator,
                                 const core::KernelCatalog& catalog, const core::DeviceKind& kind,
                                 core::DType dtype) {
  constexpr std::int64_t kExtent = 768;
  const core::Op op = core::Linear{.out_features = {kExtent}, .bias = false};
  const core::TensorDesc input{{kExtent, kExtent}, dtype, {}};
  SOAPSTONE_ASSIGN(const core::OpDefinition definition, op.define(std::span(&input, 1)));
  const core::LocalProblem problem{op, &definition, core::axis_intervals(definition, {}, 0)};
  const auto timing =
      runtime::measure_step(communicator, problem, 0, catalog.choose(problem, kind).candidate);
  return core::step_flops(definition.steps[0], problem.axes).value / core::seconds(timing.median);
}

// Ranks per host, in the order of ranks; an error unless ranks of one host stand together and all
// hosts have as many.
core::Result<int> ranks_per_host(runtime::Communicator& communicator) {
  const auto hosts = communicator.gather(host_name());
  std::string verdict;
  if (communicator.process() == 0) {
    std::vector<std::pair<std::string, int>> runs;
    for (const auto& h : hosts) {
      if (runs.empty() || runs.back().first != h) runs.emplace_back(h, 0);
      ++runs.back().second;
    }
    verdict = std::to_string(runs[0].second);
    for (const auto& [h, count] : runs)
      if (count != runs[0].second) verdict = "0";
  }
  const int per_host = std::stoi(communicator.broadcast(verdict));
  if (per_host == 0)
    return core::refuse(
        "every host must have as many ranks as the first one, and the ranks of a host must stand "
        "together");
  return per_host;
}

}  // namespace

core::Status measure_local_cluster(const Invocation& invocation, int ranks,
                                   const std::string& out) {
  SOAPSTONE_ASSIGN(const bool done, run_as_ranks(invocation, ranks, 0));
  if (done) return {};
  const int threads = runtime::threads_for_rank(runtime::surroundings(), 0);
  const kernels::KokkosScope kokkos(threads);
  const kernels::HostCatalog catalog;
  SOAPSTONE_ASSIGN(const auto communicator, open_communicator(ranks));
  const bool first = communicator->process() == 0;
  SOAPSTONE_ASSIGN(const int per_host, ranks_per_host(*communicator));
  const int hosts = ranks / per_host;

  core::ClusterSpec spec = assumed_local_cluster(per_host);
  spec.name = fmt::format("local-{}-{}", host_name(), ranks);
  spec.description =
      fmt::format("{} host(s) of {} rank(s) of {} thread(s), measured with all of them busy", hosts,
                  per_host, threads);
  core::DeviceKind& kind = spec.device_kind[0];
  kind.threads = threads;

  std::vector<std::pair<simulator::CurveKey, std::pair<std::int64_t, simulator::Measurement>>>
      curves;
  const std::string source = "measured by soapstone clusters local";
  const core::Status finished = run_on_ranks(*communicator, [&]() -> core::Status {
    std::optional<ProgressBar> bar;
    if (first) bar.emplace("measure");
    double fraction = 0;
    const auto show = [&](double add, std::string_view what) {
      fraction += add;
      if (bar) bar->show(fraction, what);
    };
    show(0, "matrix products");
    for (const core::DType t : {core::DType::kF32, core::DType::kF64, core::DType::kBF16}) {
      SOAPSTONE_ASSIGN(const double rate, matmul_rate(*communicator, catalog, kind, t));
      kind.peak[std::string(core::name_of(t))] =
          core::FlopsPerSecond(std::round(rate * 1e-7) * 1e7);
    }
    show(0.2, "copies");
    for (std::int64_t size = 1 << 10; size <= std::int64_t{64} << 20; size *= 4) {
      // The curve counts bytes read and written.
      const runtime::Measurement t =
          runtime::measure_copy(*communicator, core::Bytes(size / 2), kCurve);
      curves.push_back({simulator::CurveKey::copy(kind, per_host), {size, stored(t)}});
      if (size == std::int64_t{64} << 20)
        kind.memory_bandwidth = core::BytesPerSecond(
            std::round(static_cast<double>(size) / core::seconds(t.median) * 1e-6) * 1e6);
    }
    show(0.2, "updates");
    for (const core::DType t : {core::DType::kF32, core::DType::kF64})
      for (const int states : {0, 1, 2})
        for (std::int64_t n = 1 << 8; n <= 1 << 22; n *= 8)
          curves.push_back(
              {simulator::CurveKey::update(kind, per_host, states, t),
               {n, stored(runtime::measure_update(*communicator, n, states, t, kCurve))}});
    for (const core::DType t : {core::DType::kF32, core::DType::kF64})
      for (const int states : {0, 1})
        for (const std::int64_t features : simulator::kMeasuredRowWidths)
          for (std::int64_t n = 1 << 6; n <= 1 << 14; n *= 16)
            curves.push_back({simulator::CurveKey::update_rows(kind, per_host, features, states, t),
                              {n, stored(runtime::measure_row_update(*communicator, n, features,
                                                                     states, t, kCurve))}});
    kind.launch_overhead =
        runtime::measure_update(*communicator, 1, 0, core::DType::kF32, kCurve).median;
    kind.source = source;
    show(0.2, "messages");
    const auto messages = [&](const std::string& link, Traffic traffic, int sharing, int a, int b,
                              double seconds, std::int64_t most) {
      runtime::MeasureOptions how = kCurve;
      how.seconds = seconds;
      core::Nanoseconds smallest, largest;
      std::int64_t size = 4;
      for (; size <= most; size *= 4) {
        const runtime::Measurement t =
            runtime::measure_traffic(*communicator, traffic, core::Bytes(size), a, b, how);
        curves.push_back(
            {simulator::CurveKey::message(spec.name, link, sharing), {size, stored(t)}});
        if (size == 4) smallest = t.median;
        largest = t.median;
      }
      return std::pair(smallest, core::BytesPerSecond(std::round(static_cast<double>(size / 4) /
                                                                 core::seconds(largest) * 1e-6) *
                                                      1e6));
    };
    if (per_host > 1) {
      // All flows of a host share its memory: an exchange is two of them, a ring as many as there
      // are ranks.
      const auto one_way =
          messages("shared-memory", Traffic::kOneWay, 1, 0, 1, 0.05, kLargeMessage);
      const auto exchange =
          messages("shared-memory", Traffic::kExchange, 2, 0, 1, 0.05, kLargeMessage);
      if (per_host > 2 && hosts == 1)
        messages("shared-memory", Traffic::kRing, per_host, 0, 1, 0.05, kLargeMessage);
      spec.node[0].interconnect = core::InterconnectSpec{core::InterconnectKind::kSharedMemory,
                                                         exchange.second * 2.0,
                                                         one_way.first,
                                                         true,
                                                         std::nullopt,
                                                         source};
    }
    if (hosts > 1) {
      // An adapter sends and receives at once. Longer messages are extrapolated: too few fit into
      // the time, and a single TCP connection at its limit goes now at the whole rate, now at half.
      const auto exchange =
          messages("network", Traffic::kExchange, 1, 0, per_host, 0.4, std::int64_t{1} << 20);
      spec.network = core::NetworkSpec{exchange.second, exchange.first, source};
    }
    show(1, "done");
    return {};
  });
  SOAPSTONE_TRY(finished);
  spec.node[0].count = hosts;
  if (!first) return {};

  SOAPSTONE_ASSIGN(const core::Cluster cluster, core::Cluster::build(spec));
  SOAPSTONE_ASSIGN(simulator::CostDatabase database, open_database({}));
  for (const auto& [key, point] : curves)
    SOAPSTONE_TRY(database.put(key, point.first, point.second));
  const std::string text = core::to_toml(cluster.spec());
  SOAPSTONE_TRY(core::write_file_atomically(local_cluster_file(ranks), text));
  if (!out.empty()) SOAPSTONE_TRY(core::write_file_atomically(out, text));
  if (invocation.json) return print_json(cluster);
  fmt::print("{}", text);
  return {};
}

}  // namespace soapstone::cli
