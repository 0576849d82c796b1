// From a strategy to a plan.
#pragma once

#include <memory>
#include <optional>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/optimizer.hpp"
#include "core/plan.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"

namespace soapstone::core {

struct LowerOptions {
  bool training = true;             // false: forward only, for evaluation
  int optimizer_states = 1;         // state tensors per weight (momentum: 1, plain SGD: 0)
  bool clip_gradient_norm = false;  // adds norms and their all-reduce before the updates
  // Tables (table_of): their state tensors (nothing: as all other weights), and whether their
  // optimizer keeps rows of zeros (keeps_rows_of_zeros). Then a table that has at least as many
  // rows as a step has ids gets no gradient of its size: ids and rows of every micro-batch are
  // gathered on the devices that hold it, and only the rows that they meet are updated.
  std::optional<int> table_states = std::nullopt;
  bool by_rows = false;
  bool place_memory = true;  // searches skip it
  // From so many devices on, those that do the same share a program (DeviceClass).
  std::size_t fold_from = 64;
  Patterns patterns = Patterns::kChosen;
};

// What lowering needs to know of the optimizers of weights and of tables; the rest is as it is by
// default.
LowerOptions lower_options(OptimizerKind kind, double momentum, double weight_decay,
                           TableOptimizer tables);

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
