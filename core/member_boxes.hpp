// Where the buffers of a class lie on each of its members.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph.hpp"
#include "core/plan.hpp"

namespace soapstone::core {

// The box of every buffer of one member. Buffers name the boxes of the first member; for the others
// they follow from the shards and transfers that use them. `graph` is that of a micro-batch.
std::vector<Box> member_boxes(const Graph& graph, const Plan& plan, const DeviceClass& program,
                              std::uint32_t member);

}  // namespace soapstone::core
