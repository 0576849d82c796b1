#include "tests/explorer_gui/world.hpp"

#include <stdlib.h>

#include "core/document.hpp"
#include "core/models/models.hpp"
#include "search/expert.hpp"
#include "search/parallelism.hpp"
#include "simulator/roofline_model.hpp"

namespace soapstone::explorer {

namespace {

std::vector<core::DeviceId> all_devices(const core::Cluster& cluster) {
  std::vector<core::DeviceId> out;
  for (std::uint32_t d = 0; d < cluster.size(); ++d) out.push_back(core::DeviceId(d));
  return out;
}

}  // namespace

Resources world() {
  Resources r;
  r.catalogue = []() -> core::Result<Catalogue> {
    Catalogue out;
    for (const core::ModelInfo& info : core::models())
      out.models.push_back({std::string(info.name), std::string(info.description)});
    for (const auto name : core::preset_names()) out.clusters.push_back({std::string(name), ""});
    return out;
  };
  r.model = [](const ModelChoice& choice) -> core::Result<core::Graph> {
    if (choice.name.ends_with(".json")) {
      SOAPSTONE_ASSIGN(core::GraphSpec spec, core::load_document<core::GraphSpec>(choice.name));
      return core::Graph::build(std::move(spec));
    }
    return core::build_model(choice.name, {.batch = choice.batch,
                                           .dtype = choice.dtype.value_or(core::DType::kF32),
                                           .parameters = choice.parameters});
  };
  r.cluster = [](const std::string& name) { return core::load_cluster(name); };
  r.strategy = [](const core::Graph& graph, const core::Cluster& cluster,
                  const std::string& text) -> core::Result<core::Strategy> {
    if (text == "single") return core::single_device(graph);
    if (text == "data-parallel") return core::data_parallel(graph, all_devices(cluster));
    if (text == "expert") return search::expert(graph, cluster);
    if (text.ends_with(".json")) {
      SOAPSTONE_ASSIGN(const auto document, core::load_document<core::StrategyDocument>(text));
      return core::from_document(graph, document);
    }
    SOAPSTONE_ASSIGN(const search::Parallelism p, search::parse_parallelism(text));
    return search::hybrid(graph, cluster, p);
  };
  r.costs = [](const core::Cluster&) -> core::Result<Costs> {
    return Costs{std::make_shared<simulator::RooflineModel>(),
                 std::make_shared<core::NominalCatalog>()};
  };
  return r;
}

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "soapstone-XXXXXX").string();
  path_ = ::mkdtemp(name.data());
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Work::Work(const std::string& program) {
  Resources resources = world();
  resources.program = program;
  resources.runs = folder.path() / "runs";
  session =
      std::make_unique<Session>(local_backend(std::move(resources)), folder.path() / "config");
  session->finish_jobs();
}

Work::Work(const std::string& model, std::int64_t batch, const std::string& cluster,
           std::vector<std::string> strategies, const std::string& program)
    : Work(program) {
  Session::Beginning beginning;
  beginning.model = ModelChoice{model, batch, {}, {}};
  beginning.cluster = cluster;
  beginning.strategies = std::move(strategies);
  session->begin(beginning);
  session->finish_jobs();
}

}  // namespace soapstone::explorer
