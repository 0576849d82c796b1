#include "search/evaluator.hpp"

#include <algorithm>

#include "core/units.hpp"

namespace soapstone::search {

using namespace core;

namespace {

LowerOptions unplaced(LowerOptions options) {
  options.place_memory = false;
  return options;
}

const CostModel& costs_of(const Problem& problem) {
  SOAPSTONE_ASSERT(problem.costs != nullptr, "a problem without costs");
  return *problem.costs;
}

}  // namespace

Evaluator::Evaluator(const Problem& problem)
    : problem_(problem),
      lowering_(*problem.graph, *problem.cluster, *problem.catalog, unplaced(problem.lower)),
      simulator_(*problem.graph, *problem.cluster, costs_of(problem)) {}

Plan Evaluator::lower(const Strategy& strategy) {
  auto plan = lowering_.lower(strategy);
  SOAPSTONE_ASSERT(plan, "{}", plan.error().message);
  return std::move(*plan);
}

std::optional<Bytes> Evaluator::limit(DeviceId device) const {
  std::optional<Bytes> least = problem_.memory_limit;
  const Bytes has = problem_.cluster->kind(device).memory;
  if (has.value > 0 && (!least || has < *least)) least = has;
  return least;
}

std::optional<Evaluation> Evaluator::evaluate(const Strategy& strategy, Nanoseconds give_up_above) {
  const Plan plan = lower(strategy);
  const auto time = simulator_.step_time(plan, give_up_above);
  if (!time) return std::nullopt;
  Evaluation out{*time, Bytes(0)};
  for (const DeviceClass& program : plan.classes)
    for (const DeviceId d : program.members)
      if (const auto most = limit(d)) {
        const Bytes needed = simulator::memory_needed(program, *most);
        out.excess = std::max(out.excess, needed - *most);
      }
  return out;
}

Evaluator::Report Evaluator::report(const Strategy& strategy) {
  const Plan plan = lower(strategy);
  Report out;
  out.step_time = *simulator_.step_time(plan);
  Bytes worst;
  for (const DeviceClass& program : plan.classes) {
    const Bytes needed = simulator::memory_needed(program);
    out.peak_memory = std::max(out.peak_memory, needed);
    for (const DeviceId d : program.members)
      if (const auto most = limit(d); most && needed - *most > worst) {
        worst = needed - *most;
        out.why_not = fmt::format("device {} needs {}, the limit is {}", d.value,
                                  human_text(needed), human_text(*most));
      }
  }
  return out;
}

}  // namespace soapstone::search
