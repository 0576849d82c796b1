#include "tests/support/interpreter/strategies.hpp"

#include <algorithm>
#include <numeric>

namespace soapstone::interpreter {

core::Cluster cluster_of(int devices) {
  core::ClusterSpec spec;
  spec.name = "test";
  core::DeviceKind kind;
  kind.name = "device";
  kind.peak["f64"] = core::FlopsPerSecond(1e9);
  kind.memory = core::Bytes(1 << 30);
  kind.memory_bandwidth = core::BytesPerSecond(1e9);
  kind.source = "a test";
  spec.device_kind = {kind};
  core::NodeSpec node;
  node.device_kind = kind.name;
  node.devices = devices;
  core::InterconnectSpec interconnect;
  interconnect.bandwidth = core::BytesPerSecond(1e9);
  interconnect.latency = core::Nanoseconds(1000);
  interconnect.source = "a test";
  node.interconnect = interconnect;
  spec.node = {node};
  return core::Cluster::build(spec).value();
}

core::KernelChoice WorkspaceCatalog::choose(const core::LocalProblem& problem,
                                            const core::DeviceKind&) const {
  return {std::string(problem.op.name()) + "/test",
          core::Bytes(static_cast<std::int64_t>(problem.signature() % 7) * 100),
          {}};
}

core::OpStrategy random_op_strategy(const core::OpNode& node, int devices,
                                    std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  core::OpStrategy s;
  const auto& axes = node.definition.axes;
  s.degrees.assign(axes.size(), 1);
  int left = 1 + static_cast<int>(below(static_cast<std::size_t>(devices)));
  std::vector<std::size_t> order(axes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);
  const auto ring = std::min<std::int64_t>(left, core::largest_ring(node.definition));
  s.ring = ring > 1 && below(2) == 0;
  for (const std::size_t a : order) {
    if (s.ring && static_cast<int>(a) == node.definition.rounds.along) continue;
    const auto legal = core::legal_degrees(axes[a], s.ring ? left / 2 : left);
    s.degrees[a] = legal[below(legal.size())];
    left /= s.degrees[a];
  }
  if (s.ring) {
    auto& parts = s.degrees[static_cast<std::size_t>(node.definition.rounds.along)];
    parts = 2 + static_cast<std::int32_t>(
                    below(static_cast<std::size_t>(std::min<std::int64_t>(left, ring) - 1)));
    left /= parts;
  }
  if (below(3) == 0)
    s.replicas = 1 + static_cast<std::int32_t>(below(static_cast<std::size_t>(left)));
  const auto count = static_cast<std::size_t>(
      std::accumulate(s.degrees.begin(), s.degrees.end(), s.replicas, std::multiplies<>()));
  std::vector<std::uint32_t> all(static_cast<std::size_t>(devices));
  std::iota(all.begin(), all.end(), 0u);
  if (below(2) == 0) std::shuffle(all.begin(), all.end(), random);
  for (std::size_t i = 0; i < count; ++i) s.devices.emplace_back(all[i]);
  return s;
}

core::Strategy random_strategy(const core::Graph& graph, int devices, int micro_batches,
                               std::mt19937_64& random) {
  const core::Graph micro = graph.micro_batch(micro_batches).value();
  core::Strategy strategy;
  strategy.micro_batches = micro_batches;
  for (const core::OpNode& node : micro.ops()) {
    core::OpStrategy s = random_op_strategy(node, devices, random);
    if (!strategy.ops.empty() && random() % 2 == 0) {
      const std::size_t earlier = random() % strategy.ops.size();
      core::OpStrategy like = strategy.ops[earlier];
      like.degrees.assign(node.definition.axes.size(), 1);
      const auto& axes = micro.ops()[earlier].definition.axes;
      for (std::size_t a = 0; a < axes.size(); ++a)
        for (std::size_t b = 0; b < node.definition.axes.size(); ++b)
          if (axes[a].name == node.definition.axes[b].name)
            like.degrees[b] = strategy.ops[earlier].degrees[a];
      if (core::check(node, like, static_cast<std::uint32_t>(devices))) s = like;
    }
    strategy.ops.push_back(std::move(s));
  }
  return strategy;
}

std::string describe(const core::Graph& graph, const core::Strategy& strategy) {
  std::string out = core::summary(graph, strategy);
  return fmt::format("{} batch {}: {}", graph.name(), graph.batch(), out);
}

}  // namespace soapstone::interpreter
