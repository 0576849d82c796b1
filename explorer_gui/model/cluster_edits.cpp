#include "explorer_gui/model/cluster_edits.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/core.h>

#include "core/units.hpp"

namespace soapstone::explorer {

namespace {

// "measured" → "12.5 GB/s before (measured)". A figure that is changed twice keeps its first words.
template <class Figure>
std::string changed(const std::string& source, Figure before) {
  return source.find(" before (") != std::string::npos
             ? source
             : fmt::format("{} before ({})", core::human_text(before), source);
}

struct NodePlace {
  std::size_t entry = 0;
  int number = 0;  // among the entry's nodes
  int device = 0;  // within the node
};

NodePlace place_of_node(const core::ClusterSpec& spec, std::uint32_t node) {
  NodePlace at;
  int left = static_cast<int>(node);
  while (at.entry + 1 < spec.node.size() && left >= spec.node[at.entry].count)
    left -= spec.node[at.entry++].count;
  at.number = left;
  return at;
}

NodePlace place_of_device(const core::ClusterSpec& spec, std::uint32_t device) {
  NodePlace at;
  int left = static_cast<int>(device);
  for (; at.entry < spec.node.size(); ++at.entry) {
    const core::NodeSpec& n = spec.node[at.entry];
    if (left < n.count * n.devices) break;
    left -= n.count * n.devices;
  }
  at.number = left / spec.node[at.entry].devices;
  at.device = left % spec.node[at.entry].devices;
  return at;
}

// Makes the node an entry of its own, in its place; gives the entry's index.
std::size_t single_out(core::ClusterSpec& spec, NodePlace at) {
  const core::NodeSpec all = spec.node[at.entry];
  std::vector<core::NodeSpec> parts;
  const auto add = [&](int count) {
    if (count == 0) return;
    parts.push_back(all);
    parts.back().count = count;
  };
  add(at.number);
  const std::size_t mine = at.entry + parts.size();
  add(1);
  add(all.count - at.number - 1);
  spec.node.erase(spec.node.begin() + static_cast<std::ptrdiff_t>(at.entry));
  spec.node.insert(spec.node.begin() + static_cast<std::ptrdiff_t>(at.entry), parts.begin(),
                   parts.end());
  return mine;
}

core::ClusterSpec renamed(core::ClusterSpec spec) {
  if (!spec.name.ends_with("-changed")) spec.name += "-changed";
  return spec;
}

core::DeviceKind times(core::DeviceKind kind, double factor) {
  const auto scaled = [&](auto rate) {
    return decltype(rate)(
        static_cast<decltype(rate.value)>(static_cast<double>(rate.value) * factor));
  };
  for (auto& [type, rate] : kind.peak) rate = scaled(rate);
  kind.memory_bandwidth = scaled(kind.memory_bandwidth);
  if (kind.source.find("times as fast") == std::string::npos)
    kind.source = fmt::format("{:.3g} times as fast as: {}", factor, kind.source);
  return kind;
}

}  // namespace

std::size_t entry_of_node(const core::ClusterSpec& spec, std::uint32_t node) {
  return place_of_node(spec, node).entry;
}

core::ClusterSpec with_network(core::ClusterSpec spec, core::BytesPerSecond bandwidth,
                               core::Nanoseconds latency) {
  if (!spec.network) return spec;
  core::NetworkSpec& n = *spec.network;
  if (n.bandwidth == bandwidth && n.latency == latency) return spec;
  n.source = changed(n.source, n.bandwidth);
  n.bandwidth = bandwidth;
  n.latency = latency;
  return renamed(std::move(spec));
}

core::ClusterSpec with_interconnect(core::ClusterSpec spec, std::size_t entry,
                                    core::BytesPerSecond bandwidth, core::Nanoseconds latency) {
  if (!spec.node[entry].interconnect) return spec;
  core::InterconnectSpec& n = *spec.node[entry].interconnect;
  if (n.bandwidth == bandwidth && n.latency == latency) return spec;
  n.source = changed(n.source, n.bandwidth);
  if (n.pair_bandwidth)
    n.pair_bandwidth =
        core::BytesPerSecond(n.pair_bandwidth->value * (bandwidth.value / n.bandwidth.value));
  n.bandwidth = bandwidth;
  n.latency = latency;
  return renamed(std::move(spec));
}

core::ClusterSpec with_speed(core::ClusterSpec spec, std::size_t kind, double factor) {
  spec.device_kind[kind] = times(spec.device_kind[kind], factor);
  return renamed(std::move(spec));
}

core::ClusterSpec with_memory(core::ClusterSpec spec, std::size_t kind, core::Bytes memory) {
  spec.device_kind[kind].memory = memory;
  return renamed(std::move(spec));
}

core::Result<core::ClusterSpec> without_device(core::ClusterSpec spec, std::uint32_t device) {
  const std::size_t entry = single_out(spec, place_of_device(spec, device));
  core::NodeSpec& n = spec.node[entry];
  if (n.devices > 1) {
    if (--n.devices == 1) n.interconnect.reset();
    return renamed(std::move(spec));
  }
  if (spec.node.size() == 1) return core::refuse("the last device of a cluster cannot go");
  spec.node.erase(spec.node.begin() + static_cast<std::ptrdiff_t>(entry));
  return renamed(std::move(spec));
}

core::Result<core::ClusterSpec> without_node(core::ClusterSpec spec, std::uint32_t node) {
  const std::size_t entry = single_out(spec, place_of_node(spec, node));
  if (spec.node.size() == 1) return core::refuse("the last node of a cluster cannot go");
  spec.node.erase(spec.node.begin() + static_cast<std::ptrdiff_t>(entry));
  return renamed(std::move(spec));
}

core::ClusterSpec with_one_more(core::ClusterSpec spec, std::uint32_t node) {
  ++spec.node[place_of_node(spec, node).entry].count;
  return renamed(std::move(spec));
}

core::ClusterSpec with_node_speed(core::ClusterSpec spec, std::uint32_t node, double factor) {
  const std::size_t entry = single_out(spec, place_of_node(spec, node));
  const std::string before = spec.node[entry].device_kind;
  const auto kind = std::find_if(spec.device_kind.begin(), spec.device_kind.end(),
                                 [&](const auto& k) { return k.name == before; });
  const std::string ending = fmt::format("-of-node{}", node);
  if (before.ends_with(ending)) {
    *kind = times(*kind, factor);
    return renamed(std::move(spec));
  }
  core::DeviceKind changed_kind = times(*kind, factor);
  changed_kind.name += ending;
  spec.node[entry].device_kind = changed_kind.name;
  spec.device_kind.push_back(std::move(changed_kind));
  return renamed(std::move(spec));
}

}  // namespace soapstone::explorer
