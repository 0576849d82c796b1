// How long the explorer takes to answer an edit: plan, timeline, memory and who holds it.
#include <benchmark/benchmark.h>

#include "core/models/models.hpp"
#include "explorer_gui/model/local_backend.hpp"
#include "search/space.hpp"
#include "simulator/roofline_model.hpp"

namespace {

using namespace soapstone;

explorer::Resources nominal() {
  explorer::Resources r;
  r.costs = [](const core::Cluster&) -> core::Result<explorer::Costs> {
    return explorer::Costs{std::make_shared<simulator::RooflineModel>(),
                           std::make_shared<core::NominalCatalog>()};
  };
  return r;
}

// Every operator has a strategy of its own; each edit gives one of them another. 0: operators that
// are cut over the devices in all ways that there are; 1: by their samples over neighbours.
void edit(benchmark::State& state, const std::string& model, const std::string& cluster) {
  explorer::Setting setting;
  setting.graph = std::make_shared<const core::Graph>(core::build_model(model).value());
  setting.cluster = std::make_shared<const core::Cluster>(core::load_cluster(cluster).value());
  const core::NominalCatalog catalog;
  const simulator::RooflineModel costs;
  search::Problem problem;
  problem.costs = &costs;
  problem.catalog = &catalog;
  problem.graph = setting.graph.get();
  problem.cluster = setting.cluster.get();
  const search::Space space = search::Space::make(problem).value();
  search::Rng rng(7);
  core::Strategy strategy = space.random(rng);
  if (state.range(0) == 1) {
    std::vector<core::DeviceId> devices;
    for (std::uint32_t d = 0; d < setting.cluster->size(); ++d) devices.emplace_back(d);
    strategy = core::data_parallel(*setting.graph, devices);
  }
  const auto backend = explorer::local_backend(nominal());
  benchmark::DoNotOptimize(backend->evaluate(setting, strategy));
  std::size_t spans = 0;
  for (auto _ : state) {
    core::Strategy edited = strategy;
    const std::size_t op = rng.below(space.size());
    edited.ops[op] = space.random(op, rng);
    const auto evaluated = backend->evaluate(setting, edited).value();
    spans += evaluated.trace.spans.size();
  }
  state.counters["spans"] =
      benchmark::Counter(static_cast<double>(spans), benchmark::Counter::kAvgIterations);
}

BENCHMARK_CAPTURE(edit, tiny, std::string("mlp"), std::string("p100-4x4"))
    ->Arg(0)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(edit, inception_64, std::string("inception-v3"), std::string("k80-16x4"))
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
