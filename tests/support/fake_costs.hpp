// Costs for mental arithmetic, and clusters to go with them.
#pragma once

#include <functional>

#include "core/cluster.hpp"
#include "core/cost_model.hpp"

namespace soapstone::tests {

using namespace core;  // NOLINT: tests speak core's language

// Everything takes no time unless a test says otherwise.
struct FakeCosts final : CostModel {
  std::function<Nanoseconds(const LocalProblem&, const Step&)> on_compute;
  std::function<Nanoseconds(Bytes read, Bytes written)> on_copy;
  std::function<Nanoseconds(std::int64_t elements)> on_update;
  std::function<Nanoseconds(std::int64_t rows, std::int64_t features)> on_update_rows;
  std::function<Nanoseconds(DeviceId src, DeviceId dst, Bytes, int sharing)> on_message;

  Cost compute(const LocalProblem& problem, int step, std::string_view,
               const DeviceKind&) const override {
    return {on_compute
                ? on_compute(problem, problem.definition->steps[static_cast<std::size_t>(step)])
                : Nanoseconds(0),
            CostSource::kMeasured};
  }
  Cost copy(Bytes read, Bytes written, const DeviceKind&) const override {
    return {on_copy ? on_copy(read, written) : Nanoseconds(0), CostSource::kMeasured};
  }
  Cost update(std::int64_t elements, int, DType, const DeviceKind&) const override {
    return {on_update ? on_update(elements) : Nanoseconds(0), CostSource::kMeasured};
  }
  Cost update_rows(std::int64_t rows, std::int64_t features, int, DType,
                   const DeviceKind&) const override {
    return {on_update_rows ? on_update_rows(rows, features) : Nanoseconds(0),
            CostSource::kMeasured};
  }
  Cost message(const Cluster&, DeviceId src, DeviceId dst, Bytes size, int sharing) const override {
    return {on_message ? on_message(src, dst, size, sharing) : Nanoseconds(0),
            CostSource::kMeasured};
  }
};

// 1 TFLOP/s, 100 GB/s memory, links of 10 GB/s inside and 1 GB/s between nodes, no latencies.
inline Cluster small_cluster(int nodes, int devices, int lanes, Bytes memory = Bytes(0)) {
  ClusterSpec spec;
  spec.name = "small";
  spec.device_kind.push_back(
      {.name = "toy",
       .threads = 1,
       .peak = {{"f32", FlopsPerSecond(1e12)}, {"f64", FlopsPerSecond(5e11)}},
       .memory = memory.value > 0 ? memory : Bytes(std::int64_t{1} << 40),
       .memory_bandwidth = BytesPerSecond(1e11),
       .lanes = lanes,
       .launch_overhead = Nanoseconds(0),
       .source = "made up"});
  NodeSpec node{
      .count = nodes, .device_kind = "toy", .devices = devices, .interconnect = std::nullopt};
  if (devices > 1)
    node.interconnect = InterconnectSpec{.kind = InterconnectKind::kPcie,
                                         .bandwidth = BytesPerSecond(1e10),
                                         .latency = Nanoseconds(0),
                                         .shared = false,
                                         .pair_bandwidth = std::nullopt,
                                         .source = "made up"};
  spec.node.push_back(node);
  if (nodes > 1)
    spec.network = NetworkSpec{
        .bandwidth = BytesPerSecond(1e9), .latency = Nanoseconds(0), .source = "made up"};
  return Cluster::build(std::move(spec)).value();
}

}  // namespace soapstone::tests
