// Adds up what a graph's metrics are computed from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.hpp"
#include "core/metric.hpp"
#include "runtime/plan_run.hpp"

namespace soapstone::runtime {

// The sums of all tensors that the metrics of one kind of run need, one after the other.
class Tally {
 public:
  // Evaluation knows all metrics of the graph, training those that cost it nothing.
  Tally(const core::Graph& graph, core::StepUse run);

  bool empty() const { return metrics_.empty(); }
  std::size_t size() const { return size_; }
  // What the own ranks counted in the last step.
  void add(const PlanRun& run, std::span<double> sums) const;
  // Of sums over all ranks, and over as many steps as wanted.
  std::vector<core::MetricValue> metrics(std::span<const double> sums) const;

 private:
  struct Part {
    core::TensorId tensor;
    std::size_t first = 0, count = 0;
  };
  std::span<const double> of(core::TensorId tensor, std::span<const double> sums) const;

  std::vector<core::GraphMetric> metrics_;
  std::vector<Part> parts_;
  std::size_t size_ = 0;
};

}  // namespace soapstone::runtime
