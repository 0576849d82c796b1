// Trains a small model on two ranks of this process.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "core/cluster.hpp"
#include "core/models/models.hpp"
#include "core/strategy.hpp"
#include "kernels/catalog.hpp"
#include "kernels/device.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/launch.hpp"
#include "runtime/trainer.hpp"

using namespace soapstone;

template <class T>
T or_exit(core::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}

int main() {
  const core::Graph graph = or_exit(core::build_model("mlp", {.batch = 8}));
  core::ClusterSpec spec;
  spec.name = "here";
  core::DeviceKind kind;
  kind.name = "cpu";
  kind.lanes = 1;
  kind.peak["f32"] = core::FlopsPerSecond(1e9);
  kind.memory = core::Bytes(1 << 30);
  kind.memory_bandwidth = core::BytesPerSecond(1e9);
  kind.source = "made up";
  spec.device_kind.push_back(kind);
  core::NodeSpec node;
  node.device_kind = "cpu";
  node.devices = 2;
  node.interconnect = core::InterconnectSpec{core::InterconnectKind::kSharedMemory,
                                             core::BytesPerSecond(1e9),
                                             core::Nanoseconds(1000),
                                             false,
                                             std::nullopt,
                                             "made up"};
  spec.node.push_back(node);
  const core::Cluster cluster = or_exit(core::Cluster::build(spec));
  const std::vector<core::DeviceId> devices{core::DeviceId(0), core::DeviceId(1)};
  const core::Strategy strategy = core::data_parallel(graph, devices);

  const kernels::KokkosScope kokkos(1);
  const kernels::HostCatalog catalog;
  const auto communicator = runtime::make_local_communicator(2);
  const auto data = or_exit(runtime::make_synthetic_data(graph, 1, 64, 16));
  runtime::TrainOptions options;
  options.steps = 20;
  options.optimizer.learning_rate = 0.05;
  const auto report = or_exit(
      runtime::train(*communicator, {graph, strategy, cluster, catalog, *data.train}, options));
  std::printf("%lld steps, loss %.4f to %.4f; %s\n", static_cast<long long>(report.steps_done),
              report.first_loss, report.last_loss, runtime::mpi_version().c_str());
  return report.steps_done == 20 && report.last_loss < report.first_loss ? 0 : 1;
}
