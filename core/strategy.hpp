// Which device computes which part of which operator.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/graph.hpp"

namespace soapstone::core {

// How one operator is cut. Device number = product of degrees × replicas;
// devices are distinct and stand row-major over the axes as declared, replicas
// innermost. Replicas compute equal copies; gradients are never summed over them.
struct OpStrategy {
  std::vector<std::int32_t> degrees;  // one per axis of the operator's definition
  std::int32_t replicas = 1;
  std::vector<DeviceId> devices;

  friend bool operator==(const OpStrategy&, const OpStrategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("degrees", self.degrees);
    visit("replicas", self.replicas);
    visit("devices", self.devices);
  }
};

// One OpStrategy per operator of the graph, and how the step is organised.
struct Strategy {
  std::vector<OpStrategy> ops;
  std::int32_t micro_batches = 1;  // equal parts of the batch whose gradients are accumulated

  friend bool operator==(const Strategy&, const Strategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("ops", self.ops);
    visit("micro_batches", self.micro_batches);
  }
};

// The axes that an OpStrategy splits.
AxisSet split_axes(const OpStrategy& strategy);

// 1 where the axis is not split.
std::int64_t largest_degree(const Axis& axis);
// Legal degrees of an axis up to `most`: all divisors of its granules first
// (ascending), then the other integers.
std::vector<std::int32_t> legal_degrees(const Axis& axis, std::int32_t most);

// Errors name the operator, the axis or device, the value and what is accepted.
Status check(const Graph& graph, const Strategy& strategy, std::uint32_t device_count);
Status check(const OpNode& node, const OpStrategy& strategy, std::uint32_t device_count);

// Everything whole on one device.
Strategy single_device(const Graph& graph, DeviceId device = DeviceId(0));
// Every operator's sample axis over as many of `devices` as it has samples.
Strategy data_parallel(const Graph& graph, std::span<const DeviceId> devices);

// The file form: operators and axes by name, so that a person can write one.
// An operator or axis that is not named stays as in `base` (whole, on device 0).
struct OpStrategyDocument {
  std::map<std::string, std::int32_t> degrees;
  std::int32_t replicas = 1;
  std::vector<std::int32_t> devices;

  friend bool operator==(const OpStrategyDocument&, const OpStrategyDocument&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("degrees", self.degrees, kOptional);
    visit("replicas", self.replicas, kOptional);
    visit("devices", self.devices);
  }
};
struct StrategyDocument {
  static constexpr std::string_view kFormat = "soapstone.strategy";
  static constexpr int kVersion = 1;
  std::string graph;       // the graph's name
  std::string graph_hash;  // hexadecimal; empty: not checked
  std::int32_t micro_batches = 1;
  std::map<std::string, OpStrategyDocument> ops;

  friend bool operator==(const StrategyDocument&, const StrategyDocument&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("graph_hash", self.graph_hash, kOptional);
    visit("micro_batches", self.micro_batches, kOptional);
    visit("ops", self.ops);
  }
};
StrategyDocument to_document(const Graph& graph, const Strategy& strategy);
Result<Strategy> from_document(const Graph& graph, const StrategyDocument& document);

std::string hex(std::uint64_t hash);

// "0-3,8".
std::string device_text(std::span<const DeviceId> devices);

// Short text, e.g. "conv1 n=2, fc1 o=2 on 0-1; …" with equal neighbours folded.
std::string summary(const Graph& graph, const Strategy& strategy);

}  // namespace soapstone::core
