// How long a person waits for a graph: folding, laying out, colouring.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "core/cluster.hpp"
#include "core/lower.hpp"
#include "core/models/models.hpp"
#include "core/ops/add.hpp"
#include "core/ops/relu.hpp"
#include "explorer_gui/model/graph_paint.hpp"
#include "explorer_gui/model/graph_scene.hpp"
#include "reports/graph_layout.hpp"
#include "simulator/roofline_model.hpp"
#include "simulator/simulate.hpp"

namespace {

using namespace soapstone;
using explorer::Shown;

// A transformer of about so many operators.
core::Graph transformer(std::int64_t ops) {
  const auto graph = [](std::int64_t layers) {
    return core::build_model("gpt2",
                             {.batch = 8, .parameters = {{"layers", static_cast<double>(layers)}}})
        .value();
  };
  const auto one = static_cast<std::int64_t>(graph(1).ops().size());
  const auto two = static_cast<std::int64_t>(graph(2).ops().size());
  return graph(std::max<std::int64_t>(1, (ops - one) / (two - one) + 1));
}

// Operators that nothing groups: names without parts, no two neighbours alike, inputs from up to
// eight operators before.
core::Graph irregular(std::int64_t ops) {
  core::GraphBuilder g("irregular");
  std::vector<core::TensorId> made{g.source("x", {{8, 64}, core::DType::kF32, {}})};
  std::uint64_t state = 7;
  const auto below = [&](std::uint64_t n) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % n;
  };
  const auto before = [&] {
    return made[made.size() - 1 - below(std::min<std::uint64_t>(8, made.size()))];
  };
  for (std::int64_t i = 0; i < ops; ++i) {
    const std::string name = fmt::format("n{:x}{}", below(1U << 30), i);
    if (below(2) == 0)
      made.push_back(g.add(name, core::Relu{}, {before()}));
    else
      made.push_back(g.add(name, core::Add{}, {before(), before()}));
  }
  const auto labels = g.source("labels", {{8}, core::DType::kI32, {}}, 64);
  return g.build_with_loss(made.back(), labels).value();
}

std::vector<Shown> everything(const explorer::FoldTree& tree) {
  std::vector<Shown> open(tree.folds.size(), Shown::kEach);
  for (std::size_t f = 0; f < tree.folds.size(); ++f)
    if (!tree.folds[f].opens()) open[f] = Shown::kClosed;
  return open;
}

void stage(benchmark::State& state, const core::Graph& graph, bool all) {
  std::size_t nodes = 0;
  for (auto _ : state) {
    const auto tree = explorer::fold_tree(graph);
    explorer::LayoutCache cache;
    const auto scene = explorer::graph_scene(
        graph, tree, all ? everything(tree) : explorer::first_sight(tree), cache);
    nodes = scene.value().nodes.size();
  }
  state.counters["ops"] = static_cast<double>(graph.ops().size());
  state.counters["nodes"] = static_cast<double>(nodes);
}

void first_sight(benchmark::State& state, core::Graph (*make)(std::int64_t)) {
  stage(state, make(state.range(0)), false);
}
void all_open(benchmark::State& state, core::Graph (*make)(std::int64_t)) {
  stage(state, make(state.range(0)), true);
}

// One level without folds, as Graphviz and as our own layout take it.
void one_level(benchmark::State& state,
               core::Result<reports::GraphLayout> (*layout)(const reports::LayoutInput&)) {
  const core::Graph graph = irregular(state.range(0));
  reports::LayoutInput input;
  input.nodes.assign(graph.ops().size(), {172, 56});
  for (const core::Tensor& t : graph.tensors())
    if (t.role == core::TensorRole::kActivation)
      for (const core::OperandRef& use : t.uses)
        if (const reports::LayoutEdge e{t.producer.op.value, use.op.value};
            input.edges.empty() || input.edges.back() != e)
          input.edges.push_back(e);
  for (auto _ : state) benchmark::DoNotOptimize(layout(input).value().width);
}

void colours(benchmark::State& state) {
  const core::Graph graph = transformer(state.range(0));
  const core::Cluster cluster = core::load_cluster("p100-4x4").value();
  const core::NominalCatalog catalog;
  const simulator::RooflineModel costs;
  std::vector<core::DeviceId> devices;
  for (std::uint32_t d = 0; d < cluster.size(); ++d) devices.push_back(core::DeviceId(d));
  const core::Strategy strategy = core::data_parallel(graph, devices);
  core::Lowering lowering(graph, cluster, catalog, {});
  const core::Plan plan = lowering.lower(strategy).value();
  simulator::Simulator simulator(graph, cluster, costs);
  const core::Trace trace = simulator.trace(plan).value();
  const auto tree = explorer::fold_tree(graph);
  explorer::LayoutCache cache;
  const auto scene = explorer::graph_scene(graph, tree, everything(tree), cache).value();
  double figures_seconds = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    const auto figures = explorer::graph_figures(graph, strategy, plan, trace);
    figures_seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    explorer::PaintRequest request;
    request.by = explorer::NodeColour::kTime;
    request.figures = &figures;
    benchmark::DoNotOptimize(explorer::graph_paint(graph, scene, request).nodes.size());
  }
  state.counters["figures_ms"] =
      benchmark::Counter(figures_seconds * 1e3, benchmark::Counter::kAvgIterations);
}

#define SOAPSTONE_GRAPH_BENCH(function, ...) \
  BENCHMARK_CAPTURE(function, __VA_ARGS__)->Unit(benchmark::kMillisecond)

SOAPSTONE_GRAPH_BENCH(first_sight, tiny, transformer)->Arg(60);
SOAPSTONE_GRAPH_BENCH(first_sight, transformer, transformer)->Arg(5000)->Arg(20000);
SOAPSTONE_GRAPH_BENCH(first_sight, irregular, irregular)->Arg(5000)->Arg(20000);
SOAPSTONE_GRAPH_BENCH(all_open, tiny, irregular)->Arg(60);
SOAPSTONE_GRAPH_BENCH(all_open, transformer, transformer)->Arg(5000)->Arg(20000);
SOAPSTONE_GRAPH_BENCH(all_open, irregular, irregular)->Arg(5000)->Arg(20000);
SOAPSTONE_GRAPH_BENCH(one_level, graphviz, reports::graph_layout)->Arg(40)->Arg(200)->Arg(590);
SOAPSTONE_GRAPH_BENCH(one_level, layered, reports::layered_layout)
    ->Arg(40)
    ->Arg(200)
    ->Arg(590)
    ->Arg(5000);
BENCHMARK(colours)->Unit(benchmark::kMillisecond)->Arg(5000);

}  // namespace
