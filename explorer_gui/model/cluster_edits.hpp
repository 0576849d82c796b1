// Changes of a cluster: the same cluster file, with other figures or fewer devices.
#pragma once

#include <cstdint>

#include "core/cluster.hpp"

namespace soapstone::explorer {

// Which of the spec's node entries node number `node` comes from.
std::size_t entry_of_node(const core::ClusterSpec& spec, std::uint32_t node);

// All give the changed spec; the source of a changed figure says what it was.
core::ClusterSpec with_network(core::ClusterSpec spec, core::BytesPerSecond bandwidth,
                               core::Nanoseconds latency);
// Of all nodes of that entry.
core::ClusterSpec with_interconnect(core::ClusterSpec spec, std::size_t entry,
                                    core::BytesPerSecond bandwidth, core::Nanoseconds latency);
// All rates of a device kind times `factor`.
core::ClusterSpec with_speed(core::ClusterSpec spec, std::size_t kind, double factor);
core::ClusterSpec with_memory(core::ClusterSpec spec, std::size_t kind, core::Bytes memory);
// What is left of a node without one of its devices is an entry of its own. The last device of a
// cluster cannot go.
core::Result<core::ClusterSpec> without_device(core::ClusterSpec spec, std::uint32_t device);
core::Result<core::ClusterSpec> without_node(core::ClusterSpec spec, std::uint32_t node);
// One more node like that one.
core::ClusterSpec with_one_more(core::ClusterSpec spec, std::uint32_t node);
// That node alone slower or faster: a kind of device and a node entry of its own.
core::ClusterSpec with_node_speed(core::ClusterSpec spec, std::uint32_t node, double factor);

}  // namespace soapstone::explorer
