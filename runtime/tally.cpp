#include "runtime/tally.hpp"

#include <algorithm>

#include "core/assert.hpp"

namespace soapstone::runtime {

Tally::Tally(const core::Graph& graph, core::StepUse run) {
  for (const core::GraphMetric& m : graph.metrics()) {
    if (run == core::StepUse::kTraining && !m.in_training) continue;
    metrics_.push_back(m);
    for (const core::TensorId tensor : {m.value, m.over}) {
      if (std::any_of(parts_.begin(), parts_.end(),
                      [&](const Part& p) { return p.tensor == tensor; }))
        continue;
      const auto count = static_cast<std::size_t>(core::elements(graph.tensor(tensor).desc.shape));
      parts_.push_back({tensor, size_, count});
      size_ += count;
    }
  }
}

void Tally::add(const PlanRun& run, std::span<double> sums) const {
  for (const Part& p : parts_) run.add_reported(p.tensor, sums.subspan(p.first, p.count));
}

std::span<const double> Tally::of(core::TensorId tensor, std::span<const double> sums) const {
  const auto part =
      std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) { return p.tensor == tensor; });
  SOAPSTONE_ASSERT(part != parts_.end(), "tensor {} is not counted", tensor.value);
  return sums.subspan(part->first, part->count);
}

std::vector<core::MetricValue> Tally::metrics(std::span<const double> sums) const {
  std::vector<core::MetricValue> out;
  for (const core::GraphMetric& m : metrics_) {
    const auto given = of(m.value, sums);
    std::vector<double> value(given.begin(), given.end());
    for (double& v : value) v *= m.scale;
    out.push_back(core::metric_value(m.name, m.kind, value, of(m.over, sums)));
  }
  return out;
}

}  // namespace soapstone::runtime
