// The strategy that people use by hand.
#pragma once

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/strategy.hpp"

namespace soapstone::search {

// Decided from the operators' axes alone. An operator is
//   spatial   if an attribute axis has a halo or exchanges sums: convolution, pooling, batch_norm
//   matrix    if a weight follows a parameter axis and a reduction axis that an input follows:
//   linear table     if a weight follows a reduction axis that no input follows: embedding heads if
//   it has a parameter axis and no weight: attention
// A graph with heads is cut as Megatron-LM does (arXiv 1909.08053): the samples
// over the nodes, and inside a node tables by rows; matrices by their outputs
// or, where their input comes cut along what they sum over, by their inputs;
// operators without weights as their input comes; the rest is computed by
// every device of the node. Any other graph is cut as in "One weird trick"
// (arXiv 1404.5997): matrices by their outputs over all devices, what follows
// them as it comes, everything else by samples over all devices.
core::Strategy expert(const core::Graph& graph, const core::Cluster& cluster);

}  // namespace soapstone::search
