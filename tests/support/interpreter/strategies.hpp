// Clusters, catalogs and random strategies for tests that lower and interpret.
#pragma once

#include <random>
#include <string>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/strategy.hpp"

namespace soapstone::interpreter {

// One node of equal devices.
core::Cluster cluster_of(int devices);

// Candidates with workspaces, so that memory is placed around them.
class WorkspaceCatalog final : public core::KernelCatalog {
 public:
  core::KernelChoice choose(const core::LocalProblem& problem,
                            const core::DeviceKind& device) const override;
};

// Any legal degrees on any axes, replicas, any devices in any order.
core::OpStrategy random_op_strategy(const core::OpNode& node, int devices, std::mt19937_64& random);
// As above for every operator; some repeat the degree of an earlier operator's axis of the same
// name on the same devices, as strategies that people write do. `micro_batches` must divide the
// batch.
core::Strategy random_strategy(const core::Graph& graph, int devices, int micro_batches,
                               std::mt19937_64& random);

// As a document's JSON would be too long: one line for a failure.
std::string describe(const core::Graph& graph, const core::Strategy& strategy);

}  // namespace soapstone::interpreter
