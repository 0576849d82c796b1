// Which device computes which part of which operator.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/pipeline.hpp"

namespace soapstone::core {

// What of an operator waits in the host's memory while the device has no use for it
// (arXiv 1602.08124, 2101.06840).
enum class Offload : std::uint8_t { kNone, kActivations, kOptimizer, kBoth };
SOAPSTONE_ENUM_NAMES(Offload, {Offload::kNone, "none"}, {Offload::kActivations, "activations"},
                     {Offload::kOptimizer, "optimizer"}, {Offload::kBoth, "both"})

// How one operator is cut. Device number = product of degrees × replicas;
// devices are distinct and stand row-major over the axes as declared, replicas
// innermost. Replicas compute equal copies; gradients are never summed over them.
struct OpStrategy {
  std::vector<std::int32_t> degrees;  // one per axis of the operator's definition
  std::int32_t replicas = 1;
  std::vector<DeviceId> devices;
  std::int32_t stage = 0;  // of the pipeline
  // What the copies of its weights keep in parts only (ZeRO, arXiv 1910.02054): 0 nothing, 1 the
  // optimizer's state, 2 gradients too, 3 weights too, which are gathered before every use.
  std::int32_t zero = 0;
  // Over how many neighbouring copies the parts are spread; every such group has all of them
  // (hybrid sharding, arXiv 2304.11277). 0: over all copies.
  std::int32_t zero_over = 0;
  // One of the copies of its weights is the server of the others: gradients are pushed to it, and
  // what it makes of them is pulled in the next step (Li et al. 2014).
  bool server = false;
  // What it computes is given up after the forward pass and computed again when the backward pass
  // asks for it (arXiv 1604.06174).
  bool recompute = false;
  Offload offload = Offload::kNone;
  // It is computed in rounds (Rounds): attention whose keys and values go around the parts of the
  // sequence instead of being gathered (arXiv 2310.01889).
  bool ring = false;

  friend bool operator==(const OpStrategy&, const OpStrategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("degrees", self.degrees);
    visit("replicas", self.replicas);
    visit("devices", self.devices);
    visit("stage", self.stage);
    visit("zero", self.zero);
    visit("zero_over", self.zero_over);
    visit("server", self.server);
    visit("recompute", self.recompute);
    visit("offload", self.offload);
    visit("ring", self.ring);
  }
};

// One OpStrategy per operator of the graph, and how the step is organised.
struct Strategy {
  std::vector<OpStrategy> ops;
  std::int32_t micro_batches = 1;  // equal parts of the batch whose gradients are accumulated
  ScheduleKind schedule = ScheduleKind::k1F1B;
  std::vector<std::string> schedule_lines;  // a schedule of one's own (parse_schedule); or none
  // Gradients of weights that are summed over the same devices are sent together, this much at
  // least (but for the last ones): buckets (arXiv 2006.15704). 0: each by itself.
  Bytes bucket = Bytes(0);
  // The sequence of causal attention is held in zig-zag order of so many chunks (in_zigzag), for c
  // parts of it 2c, so that all of them have equally much to compute. 0: in order.
  std::int32_t zigzag = 0;

  friend bool operator==(const Strategy&, const Strategy&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("ops", self.ops);
    visit("micro_batches", self.micro_batches);
    visit("schedule", self.schedule);
    visit("schedule_lines", self.schedule_lines);
    visit("bucket", self.bucket);
    visit("zigzag", self.zigzag);
  }
};

// The pipeline of a strategy. Stages that lie on the same devices are of one rank; ranks are
// numbered in the order of their first stage.
struct Pipeline {
  std::vector<std::vector<std::uint32_t>> ops;  // per stage, ascending
  std::vector<std::int32_t> rank_of_stage;
  std::vector<TimedAction> actions;  // of one step
};
// Refuses stages that are empty, that share some but not all of their devices, an edge of the graph
// that leads back, and schedules that do not fit.
Result<Pipeline> pipeline_of(const Graph& graph, const Strategy& strategy, bool training);

// The axes that an OpStrategy splits, in a ring the one that it goes over included.
AxisSet split_axes(const OpDefinition& definition, const OpStrategy& strategy);

// 1 where the axis is not split.
std::int64_t largest_degree(const Axis& axis);
// Parts of a ring at most; 1: the operator is not computed in rounds.
std::int64_t largest_ring(const OpDefinition& definition);
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
  std::int32_t stage = 0;
  std::int32_t zero = 0;
  std::int32_t zero_over = 0;
  bool server = false;
  bool recompute = false;
  Offload offload = Offload::kNone;
  bool ring = false;

  friend bool operator==(const OpStrategyDocument&, const OpStrategyDocument&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("degrees", self.degrees, kOptional);
    visit("replicas", self.replicas, kOptional);
    visit("devices", self.devices);
    visit("stage", self.stage, kOptional);
    visit("zero", self.zero, kOptional);
    visit("zero_over", self.zero_over, kOptional);
    visit("server", self.server, kOptional);
    visit("recompute", self.recompute, kOptional);
    visit("offload", self.offload, kOptional);
    visit("ring", self.ring, kOptional);
  }
};
struct StrategyDocument {
  static constexpr std::string_view kFormat = "soapstone.strategy";
  static constexpr int kVersion = 1;
  std::string graph;       // the graph's name
  std::string graph_hash;  // hexadecimal; empty: not checked
  std::int32_t micro_batches = 1;
  std::map<std::string, OpStrategyDocument> ops;
  ScheduleKind schedule = ScheduleKind::k1F1B;
  std::vector<std::string> schedule_lines = {};
  Bytes bucket = Bytes(0);
  std::int32_t zigzag = 0;

  friend bool operator==(const StrategyDocument&, const StrategyDocument&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("graph", self.graph);
    visit("graph_hash", self.graph_hash, kOptional);
    visit("micro_batches", self.micro_batches, kOptional);
    visit("schedule", self.schedule, kOptional);
    visit("schedule_lines", self.schedule_lines, kOptional);
    visit("bucket", self.bucket, kOptional);
    visit("zigzag", self.zigzag, kOptional);
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
