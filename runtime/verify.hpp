// Does a strategy train to the same result as one device?
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/lower.hpp"
#include "core/strategy.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/data/data_source.hpp"
#include "runtime/optimizer.hpp"

namespace soapstone::runtime {

struct VerifyOptions {
  std::int64_t steps = 20;
  std::uint64_t seed = 1;
  OptimizerSettings optimizer;
  core::Patterns patterns = core::Patterns::kChosen;
  std::size_t fold_from = core::LowerOptions{}.fold_from;
  // What the one device trains where it is not the graph itself: the same in another dtype, to see
  // what rounding does to strategies in f32. Outlives the call.
  const core::Graph* reference = nullptr;
  // What a difference is relative to is at least this share of the largest value of the kind, since
  // there are gradients that are zero but for rounding.
  double smallest_scale = 1e-6;
  // Leaves out the k-th transfer that moves a weight's gradient, to see that it is missed.
  std::optional<std::size_t> dropped_gradient_transfer;
};

// The worst of a kind: max|a - b| / max(max|b|, smallest_scale × the largest |b| of the kind), per
// tensor, b being the one device. Not a number counts as infinite.
struct RelativeDifference {
  std::string name;  // of the tensor, or "step 3"
  double value = 0;

  friend bool operator==(const RelativeDifference&, const RelativeDifference&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("value", self.value);
  }
};

struct Verdict {
  RelativeDifference gradient;  // of every weight, in the first step
  RelativeDifference loss;      // of every step
  RelativeDifference weight;    // every one, after the last step
  double worst_relative_difference = 0;
  double first_loss = 0, last_loss = 0;  // of the strategy

  friend bool operator==(const Verdict&, const Verdict&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("gradient", self.gradient);
    visit("loss", self.loss);
    visit("weight", self.weight);
    visit("worst_relative_difference", self.worst_relative_difference);
    visit("first_loss", self.first_loss);
    visit("last_loss", self.last_loss);
  }
};

// The weights whose gradients the plan's transfers move, one per transfer, in the plan's order;
// where a gradient comes as rows, the output of which they are the gradient.
std::vector<std::string> gradient_transfers(const core::Plan& plan, const core::Graph& graph);

// Trains `graph` (in the dtype that it has; f64 for figures that mean something) with every
// strategy and on one device, on the same data. Verdicts are the same on all processes. A strategy
// with micro-batches is compared with one device that has the same micro-batches.
core::Result<std::vector<Verdict>> verify(
    Communicator& communicator, const core::Graph& graph, const core::Cluster& cluster,
    const core::KernelCatalog& catalog, const DataSource& data,
    std::span<const core::Strategy> strategies, const VerifyOptions& options,
    const std::function<void(std::size_t done)>& progress = {});

}  // namespace soapstone::runtime
