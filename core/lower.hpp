// From a strategy to a plan.
#pragma once

#include <memory>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {

struct LowerOptions {
  bool training = true;             // false: forward only, for evaluation
  int optimizer_states = 1;         // state tensors per weight (momentum: 1, plain SGD: 0)
  bool clip_gradient_norm = false;  // adds norms and their all-reduce before the updates
  bool place_memory = true;         // searches skip it
  Patterns patterns = Patterns::kChosen;
};

// Lowers strategies of one graph on one cluster. What depends on one operator
// or one edge alone is kept, so that lowering a strategy that differs from an
// earlier one in a single operator only orders what is known.
//
// Order: per micro-batch the forward pass in topological order (a tensor moves
// to its readers' layouts right after it is made), then the backward pass
// reversed with each operator's input and weight gradients adjacent (a
// gradient moves right after its last contribution); the updates last.
class Lowering {
 public:
  // All three outlive this object.
  Lowering(const Graph& graph, const Cluster& cluster, const KernelCatalog& catalog,
           LowerOptions options = {});
  ~Lowering();
  Lowering(Lowering&&) noexcept;

  // Refuses a strategy that `check` does not accept.
  Result<Plan> lower(const Strategy& strategy);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Result<Plan> lower(const Graph& graph, const Strategy& strategy, const Cluster& cluster,
                   const KernelCatalog& catalog, LowerOptions options = {});

}  // namespace soapstone::core
