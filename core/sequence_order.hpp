// A graph whose sequence is held in zig-zag order (zigzag.hpp).
#pragma once

#include <cstdint>

#include "core/graph.hpp"
#include "core/result.hpp"

namespace soapstone::core {

// The same network, operators, tensors and weights by the same names and numbers, where the
// sequence that causal attention runs along stands in zig-zag order of so many chunks everywhere:
// sources are delivered in it (SourceSpec::zigzag), and operators to which positions mean something
// know of it (Op::in_zigzag). Losses and gradients are those of the graph itself. 0 chunks: the
// graph itself.
//
// The sequence is followed from the axes of causal attention (OpDefinition::causal) through all
// dimensions that are mapped to one axis. Refused is a graph without causal attention and an
// operator for which neighbours along the sequence matter, by its name, with the reason.
Result<Graph> in_zigzag(const Graph& graph, std::int64_t chunks);

// What the tasks of a plan compute: one of so many equal micro-batches of the graph in that order.
Result<Graph> planned_graph(const Graph& graph, std::int64_t micro_batches, std::int64_t chunks);

}  // namespace soapstone::core
