#include "cli/common.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <fmt/core.h>

#include "core/document.hpp"
#include "core/file.hpp"
#include "core/models/models.hpp"
#include "core/ranked_strategies.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"
#include "search/expert.hpp"

namespace soapstone::cli {

namespace {

std::int64_t system_memory() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

std::vector<core::DeviceId> all_devices(const core::Cluster& cluster) {
  std::vector<core::DeviceId> devices;
  for (std::uint32_t d = 0; d < cluster.size(); ++d) devices.push_back(core::DeviceId(d));
  return devices;
}

core::Error in_file(const std::string& file, const core::Error& error) {
  return {fmt::format("{}: {}", file, error.message), error.kind};
}

}  // namespace

void declare_model(CLI::App& app, ModelArguments& model, Presence presence) {
  auto* name = app.add_option("model", model.name, "Model of the zoo (soapstone models) or a graph document");
  if (presence == Presence::kRequired) name->required();
  app.add_option("--batch", model.batch, "Samples per step; default: the model's");
  app.add_option_function<std::string>(
      "--dtype",
      [&model](const std::string& text) {
        const auto t = core::enum_from_name<core::DType>(text);
        if (!t || *t == core::DType::kI32) throw CLI::ValidationError("--dtype", fmt::format("`{}`: f32 or f64 is accepted", text));
        model.dtype = *t;
      },
      "f32 (default) or f64");
}

core::Result<core::Graph> build_graph(const ModelArguments& model) {
  if (model.batch < 0) return core::usage_error("--batch {}: at least 1 is accepted", model.batch);
  if (model.name.ends_with(".json")) {
    SOAPSTONE_ASSIGN(core::GraphSpec spec, core::load_document<core::GraphSpec>(model.name));
    if (model.batch != 0 && !spec.sources.empty() && spec.sources[0].desc.shape[0] != model.batch)
      return core::usage_error("--batch {}: the graph in {} has a batch of {}", model.batch, model.name, spec.sources[0].desc.shape[0]);
    auto graph = core::Graph::build(std::move(spec));
    if (!graph) return tl::unexpected(in_file(model.name, graph.error()));
    return graph;
  }
  return core::build_model(model.name, {.batch = model.batch, .dtype = model.dtype});
}

void declare_cluster(CLI::App& app, ClusterArguments& cluster) {
  app.add_option("--cluster", cluster.name, "Preset (soapstone clusters), .toml or .json file, or `local`")->capture_default_str();
}

std::filesystem::path cache_folder() {
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0') return std::filesystem::path(xdg) / "soapstone";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return std::filesystem::path(home) / ".cache" / "soapstone";
  return std::filesystem::temp_directory_path() / "soapstone";
}

std::filesystem::path default_database() { return cache_folder() / "costs.sqlite"; }

std::filesystem::path local_cluster_file(int ranks) {
  char host[256] = "host";
  gethostname(host, sizeof host - 1);
  return cache_folder() / fmt::format("local-{}-{}.toml", host, ranks);
}

core::ClusterSpec assumed_local_cluster(int ranks) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = std::max(1, cores / std::max(1, ranks));
  core::ClusterSpec spec;
  spec.name = fmt::format("local-{}", ranks);
  spec.description = fmt::format("This machine as {} ranks of {} threads, not measured", ranks, threads);
  core::DeviceKind kind;
  kind.name = kLocalDeviceKind;
  kind.threads = threads;
  kind.peak["f32"] = core::FlopsPerSecond(60e9 * threads);
  kind.peak["f64"] = core::FlopsPerSecond(30e9 * threads);
  kind.memory = core::Bytes(system_memory() / std::max(1, ranks));
  kind.memory_bandwidth = core::BytesPerSecond(10e9 * threads);
  kind.lanes = 1;
  kind.launch_overhead = core::Nanoseconds(2000);
  kind.source = "assumed: 60 GFLOP/s f32 and 10 GB/s per thread; `soapstone clusters local` measures them";
  spec.device_kind.push_back(kind);
  core::NodeSpec node;
  node.device_kind = kLocalDeviceKind;
  node.devices = ranks;
  if (ranks > 1)
    node.interconnect = core::InterconnectSpec{core::InterconnectKind::kSharedMemory, core::BytesPerSecond(2e9),
                                               core::Nanoseconds(2000), false, std::nullopt,
                                               "assumed; `soapstone clusters local` measures it"};
  spec.node.push_back(node);
  return spec;
}

core::Result<core::Cluster> load_cluster(const ClusterArguments& arguments) {
  if (arguments.name != "local") {
    SOAPSTONE_ASSIGN(core::Cluster cluster, core::load_cluster(arguments.name));
    if (arguments.ranks > 0 && static_cast<std::size_t>(arguments.ranks) > cluster.size())
      return core::usage_error("--ranks {}: cluster {} has {} devices", arguments.ranks, cluster.name(), cluster.size());
    return cluster;
  }
  const int ranks = arguments.ranks > 0 ? arguments.ranks : 2;
  const auto file = local_cluster_file(ranks);
  if (std::filesystem::exists(file)) return core::load_cluster(file.string());
  fmt::print(stderr, "soapstone: no measurements of this machine with {} ranks yet; assumed figures are used "
                     "(`soapstone clusters local --ranks {}` measures)\n", ranks, ranks);
  return core::Cluster::build(assumed_local_cluster(ranks));
}

void declare_strategy(CLI::App& app, std::string& strategy) {
  app.add_option("--strategy", strategy, "File, ranked.json#K, or single | data-parallel | expert")->capture_default_str();
}

core::Result<core::Strategy> load_strategy(const core::Graph& graph, const core::Cluster& cluster, const std::string& text) {
  const auto checked = [&](core::Result<core::Strategy> strategy, const std::string& where) -> core::Result<core::Strategy> {
    if (!strategy) return tl::unexpected(where.empty() ? strategy.error() : in_file(where, strategy.error()));
    if (const auto status = core::check(graph, *strategy, static_cast<std::uint32_t>(cluster.size())); !status)
      return tl::unexpected(where.empty() ? status.error() : in_file(where, status.error()));
    return strategy;
  };
  if (text == "single") return core::single_device(graph);
  if (text == "data-parallel") return core::data_parallel(graph, all_devices(cluster));
  if (text == "expert") return search::expert(graph, cluster);
  const auto hash = text.rfind('#');
  const std::string file = text.substr(0, hash);
  if (!std::filesystem::exists(file)) {
    static constexpr std::string_view kNames[] = {"single", "data-parallel", "expert"};
    return core::usage_error("--strategy `{}`: no such file; {}, a strategy file or ranked.json#K is accepted", text,
                             core::accepted_names(text, kNames));
  }
  SOAPSTONE_ASSIGN(const std::string content, core::read_file(file));
  SOAPSTONE_ASSIGN(const core::DocumentFormat format, core::document_format(content, file));
  if (format.kind == core::RankedStrategies::kFormat) {
    SOAPSTONE_ASSIGN(const auto ranked, core::document_from_text<core::RankedStrategies>(content, file));
    std::int64_t rank = 1;
    if (hash != std::string::npos) {
      const std::string number = text.substr(hash + 1);
      rank = !number.empty() && number.find_first_not_of("0123456789") == std::string::npos && number.size() < 10 ? std::stoll(number) : 0;
    }
    if (rank < 1 || rank > static_cast<std::int64_t>(ranked.strategies.size()))
      return core::usage_error("--strategy {}: {} holds strategies #1 to #{}", text, file, ranked.strategies.size());
    return checked(core::from_document(graph, ranked.strategies[static_cast<std::size_t>(rank - 1)].strategy), file);
  }
  SOAPSTONE_ASSIGN(const auto document, core::document_from_text<core::StrategyDocument>(content, file));
  return checked(core::from_document(graph, document), file);
}

}  // namespace soapstone::cli
