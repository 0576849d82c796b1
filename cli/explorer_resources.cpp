#include "cli/explorer_resources.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/core.h>

#include "core/models/models.hpp"

namespace soapstone::cli {

namespace {

core::Result<explorer::Catalogue> catalogue() {
  explorer::Catalogue out;
  for (const core::ModelInfo& info : core::models())
    out.models.push_back({std::string(info.name), std::string(info.description)});
  out.clusters.push_back({"local", "this machine"});
  for (const auto name : core::preset_names()) {
    SOAPSTONE_ASSIGN(const core::Cluster cluster, core::load_cluster(std::string(name)));
    out.clusters.push_back({std::string(name), cluster.spec().description});
  }
  return out;
}

}  // namespace

explorer::Resources explorer_resources(const std::string& program, const CostArguments& arguments) {
  explorer::Resources r;
  r.program = program;
  r.runs = cache_folder() / "runs";
  r.catalogue = catalogue;
  r.model = [](const explorer::ModelChoice& choice) {
    ModelArguments model;
    model.name = choice.name;
    model.batch = choice.batch;
    model.dtype = choice.dtype;
    model.parameters = choice.parameters;
    return build_graph(model);
  };
  r.cluster = [](const std::string& name) {
    // `local` is two ranks, `local:4` four.
    ClusterArguments cluster;
    cluster.name = name;
    if (name.starts_with("local:")) {
      cluster.name = "local";
      cluster.ranks = std::max(1, std::atoi(name.c_str() + 6));
    }
    return load_cluster(cluster);
  };
  r.strategy = [](const core::Graph& graph, const core::Cluster& cluster, const std::string& text) {
    return load_strategy(graph, cluster, text);
  };
  r.costs = [arguments](const core::Cluster& cluster) -> core::Result<explorer::Costs> {
    auto opened = open_costs(cluster, arguments);
    if (!opened) return tl::unexpected(opened.error());
    // One owner for all three, which refer to each other.
    const auto costs = std::make_shared<Costs>(std::move(*opened));
    return explorer::Costs{{costs, &costs->model()}, {costs, costs->catalog.get()}};
  };
  return r;
}

}  // namespace soapstone::cli
