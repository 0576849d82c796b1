#include "cli/common.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/core.h>
#include <unistd.h>

#include "cli/documents.hpp"
#include "core/document.hpp"
#include "core/file.hpp"
#include "core/json_fwd.hpp"
#include "core/models/hugging_face.hpp"
#include "core/models/models.hpp"
#include "core/ranked_strategies.hpp"
#include "core/suggest.hpp"
#include "core/units.hpp"
#include "search/expert.hpp"
#include "search/parallelism.hpp"

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

// The part of a strategy document that an error of from_document() or check() is about.
std::string part_in_error(const core::Graph& graph, const core::StrategyDocument& document,
                          const std::string& message) {
  if (!document.graph_hash.empty() && document.graph_hash != core::hex(graph.hash()))
    return "/graph_hash";
  const core::JsonPath root, ops(root, std::string_view("ops"));
  for (const auto& [name, ignored] : document.ops)
    if (!graph.find_op(name) || message.starts_with(name + ":"))
      return core::JsonPath(ops, std::string_view(name)).text();
  if (message.starts_with("micro_batches")) return "/micro_batches";
  return "/ops";
}

// The strategy that stands at `pointer` in the text of a file.
core::Result<core::Strategy> strategy_from(const core::Graph& graph, const core::Cluster& cluster,
                                           const core::StrategyDocument& document,
                                           const std::string& pointer, std::string_view text,
                                           const std::string& file) {
  auto strategy = core::from_document(graph, document);
  core::Status status =
      strategy ? core::check(graph, *strategy, static_cast<std::uint32_t>(cluster.size()))
               : tl::unexpected(strategy.error());
  if (!status) {
    core::Error error = status.error();
    const std::string part = part_in_error(graph, document, error.message);
    // The place names the operator already.
    if (const auto colon = error.message.find(": ");
        colon != std::string::npos && part.ends_with("/" + error.message.substr(0, colon)))
      error.message.erase(0, colon + 2);
    return tl::unexpected(located(error, pointer + part, text, file));
  }
  return strategy;
}

}  // namespace

std::string option_name(std::string_view parameter) {
  std::string name(parameter);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

core::Error in_file(const std::string& file, const core::Error& error) {
  return {fmt::format("{}: {}", file, error.message), error.kind};
}

void declare_model(CLI::App& app, ModelArguments& model, Presence presence) {
  auto* name =
      app.add_option(
             "model", model.name,
             "Model of the zoo (soapstone models), a graph document, or a Hugging Face config.json")
          ->type_name("MODEL|FILE");
  if (presence == Presence::kRequired) name->required();
  app.add_option("--batch", model.batch, "Samples per step; default: the model's")
      ->group(kModelGroup);
  declare_dtype(app, model);
  for (const core::ModelParameter& p : core::model_parameters())
    app.add_option_function<double>(
           "--" + option_name(p.name),
           [&model, name = std::string(p.name)](const double& value) {
             model.parameters[name] = value;
           },
           std::string(p.description))
        ->group(kHyperParameterGroup);
}

namespace {

// What a model computes in, as a type name.
std::string number_types() {
  std::string names;
  for (const auto& [type, name] : enum_names(core::DType{}))
    if (type != core::DType::kI32) names += (names.empty() ? "" : "|") + std::string(name);
  return names;
}

}  // namespace

void declare_dtype(CLI::App& app, ModelArguments& model) {
  app.add_option_function<std::string>(
         "--dtype",
         [&model](const std::string& text) {
           const auto t = core::enum_from_name<core::DType>(text);
           if (!t || *t == core::DType::kI32)
             throw CLI::ValidationError("--dtype",
                                        fmt::format("`{}`: bf16, f32 or f64 is accepted", text));
           model.dtype = *t;
         },
         fmt::format("bf16, f32 or f64; weights are never narrower than f32; default: {}",
                     core::name_of(model.dtype.value_or(core::DType::kF32))))
      ->type_name(number_types())
      ->group(kModelGroup);
}

core::Result<core::Graph> build_graph(const ModelArguments& model) {
  if (model.batch < 0) return core::usage_error("--batch {}: at least 1 is accepted", model.batch);
  const bool is_of_zoo =
      std::any_of(core::models().begin(), core::models().end(),
                  [&](const core::ModelInfo& info) { return info.name == model.name; });
  std::error_code ignored;  // what cannot be looked at cannot be read either
  if (!is_of_zoo &&
      (model.name.ends_with(".json") || std::filesystem::exists(model.name, ignored))) {
    SOAPSTONE_ASSIGN(const std::string text, core::read_file(model.name));
    SOAPSTONE_ASSIGN(auto configured, core::hugging_face_model(text, model.name));
    if (configured) {
      configured->options.batch = model.batch;
      configured->options.dtype = model.dtype.value_or(core::DType::kF32);
      for (const auto& [name, value] : model.parameters)
        configured->options.parameters[name] = value;
      auto graph = core::build_model(configured->name, configured->options);
      if (!graph) return tl::unexpected(in_file(model.name, graph.error()));
      return graph;
    }
    if (!model.parameters.empty())
      return core::usage_error("--{}: {} is a document; hyper-parameters go with models of the zoo",
                               option_name(model.parameters.begin()->first), model.name);
    SOAPSTONE_ASSIGN(core::GraphSpec spec,
                     core::document_from_text<core::GraphSpec>(text, model.name));
    for (const core::SourceSpec& source : spec.sources)
      if (model.dtype && source.desc.dtype != core::DType::kI32 &&
          source.desc.dtype != *model.dtype)
        return core::usage_error("{}: {} is {}, {} is wanted", model.name, source.name,
                                 core::name_of(source.desc.dtype), core::name_of(*model.dtype));
    if (model.batch != 0 && !spec.sources.empty() && spec.sources[0].desc.shape[0] != model.batch)
      return core::usage_error("--batch {}: the graph in {} has a batch of {}", model.batch,
                               model.name, spec.sources[0].desc.shape[0]);
    auto graph = core::Graph::build(std::move(spec));
    if (!graph) return tl::unexpected(in_file(model.name, graph.error()));
    return graph;
  }
  auto graph = core::build_model(model.name, {.batch = model.batch,
                                              .dtype = model.dtype.value_or(core::DType::kF32),
                                              .parameters = model.parameters});
  if (!graph && !is_of_zoo)
    graph.error().message += ", or the path of a graph document or a Hugging Face config.json";
  return graph;
}

void declare_cluster(CLI::App& app, ClusterArguments& cluster) {
  app.add_option("--cluster", cluster.name,
                 "Preset (soapstone clusters), .toml or .json file, or `local`")
      ->type_name("CLUSTER|local|FILE")
      ->capture_default_str()
      ->group(kClusterGroup);
  app.add_option("--ranks", cluster.ranks,
                 "With --cluster local: how many ranks share this machine; default: 2")
      ->check(CLI::Range(1, 1024))
      ->group(kClusterGroup);
}

core::Status check_folder_of(std::string_view option, const std::filesystem::path& file) {
  std::error_code ignored;  // what cannot be looked at is no folder to write into
  if (file.has_parent_path() && !std::filesystem::is_directory(file.parent_path(), ignored))
    return core::usage_error("{} {}: there is no folder {}", option, file.string(),
                             file.parent_path().string());
  if (std::filesystem::is_directory(file, ignored))
    return core::usage_error("{} {}: this is a folder; the name of a file is accepted", option,
                             file.string());
  return {};
}

std::filesystem::path cache_folder() {
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0')
    return std::filesystem::path(xdg) / "soapstone";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / "soapstone";
  return std::filesystem::temp_directory_path() / "soapstone";
}

std::filesystem::path default_database() { return cache_folder() / "costs.sqlite"; }

std::string host_name() {
  char host[256] = "host";
  gethostname(host, sizeof host - 1);
  return host;
}

std::filesystem::path local_cluster_file(int ranks) {
  return cache_folder() / fmt::format("local-{}-{}.toml", host_name(), ranks);
}

core::ClusterSpec assumed_local_cluster(int ranks) {
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = std::max(1, cores / std::max(1, ranks));
  core::ClusterSpec spec;
  spec.name = fmt::format("local-{}", ranks);
  spec.description =
      fmt::format("This machine as {} ranks of {} threads, not measured", ranks, threads);
  core::DeviceKind kind;
  kind.name = kLocalDeviceKind;
  kind.threads = threads;
  kind.peak["f32"] = core::FlopsPerSecond(60e9 * threads);
  kind.peak["f64"] = core::FlopsPerSecond(30e9 * threads);
  kind.memory = core::Bytes(system_memory() / std::max(1, ranks));
  kind.memory_bandwidth = core::BytesPerSecond(10e9 * threads);
  kind.lanes = 1;
  kind.launch_overhead = core::Nanoseconds(2000);
  kind.source = std::string(kAssumed) +
                ": 60 GFLOP/s f32 and 10 GB/s per thread; `soapstone clusters local` measures them";
  spec.device_kind.push_back(kind);
  core::NodeSpec node;
  node.device_kind = kLocalDeviceKind;
  node.devices = ranks;
  if (ranks > 1)
    node.interconnect =
        core::InterconnectSpec{core::InterconnectKind::kSharedMemory,
                               core::BytesPerSecond(2e9),
                               core::Nanoseconds(2000),
                               false,
                               std::nullopt,
                               std::string(kAssumed) + "; `soapstone clusters local` measures it"};
  spec.node.push_back(node);
  return spec;
}

core::Result<core::Cluster> load_cluster(const ClusterArguments& arguments,
                                         const std::string& strategy) {
  if (arguments.name != "local") {
    SOAPSTONE_ASSIGN(core::Cluster cluster, core::load_cluster(arguments.name));
    if (arguments.ranks > 0 && static_cast<std::size_t>(arguments.ranks) != cluster.size())
      return core::usage_error(
          "--ranks {}: cluster {} has {} devices; --ranks goes with --cluster local",
          arguments.ranks, cluster.name(), cluster.size());
    return cluster;
  }
  SOAPSTONE_ASSIGN(const int ranks, local_ranks(arguments.ranks, strategy));
  const auto file = local_cluster_file(ranks);
  if (std::filesystem::exists(file)) return core::load_cluster(file.string());
  return core::Cluster::build(assumed_local_cluster(ranks));
}

namespace {

bool is_short_form(const std::string& strategy) {
  return strategy.find('=') != std::string::npos && !std::filesystem::exists(strategy);
}

}  // namespace

core::Result<int> ranks_of_strategy(const std::string& strategy) {
  if (!is_short_form(strategy)) return 0;
  SOAPSTONE_ASSIGN(const search::Parallelism parallelism, search::parse_parallelism(strategy));
  return static_cast<int>(parallelism.ranks());
}

core::Result<int> local_ranks(int given, const std::string& strategy) {
  if (given > 0) return given;
  SOAPSTONE_ASSIGN(const int asked, ranks_of_strategy(strategy));
  return asked > 0 ? asked : 2;
}

void declare_strategy(CLI::App& app, std::string& strategy) {
  CLI::Option* const named =
      app.add_option("--strategy", strategy,
                     "File, ranked.json#K, or single | data-parallel | expert; or as --parallel")
          ->type_name("single|data-parallel|expert|FILE")
          ->capture_default_str();
  app.add_option("--parallel", strategy,
                 "A hybrid strategy, for example dp=4,tp=2,pp=2: degrees dp (data), tp (tensor), "
                 "pp (pipeline), cp (context, cp_style=gather|ring, cp_order=contiguous|zigzag), "
                 "ep (experts), vp (stages per pipeline rank); sp=1 (sequence between matrices), "
                 "zero=0…3, zero_over=COPIES (hybrid sharding), bucket=BYTES (of gradients), "
                 "server=1 (parameter server), recompute=none|selective|full, "
                 "offload=none|activations|optimizer|both, micro_batch=SAMPLES, schedule=1f1b|"
                 "gpipe|interleaved-1f1b|zb-h1|zb-v")
      ->type_name("DEGREES")
      ->excludes(named);
}

std::string strategy_text(const core::Graph& graph, const core::Strategy& strategy,
                          const std::string& given) {
  return is_short_form(given) ? given : core::summary(graph, strategy);
}

core::Result<core::Strategy> load_strategy(const core::Graph& graph, const core::Cluster& cluster,
                                           const std::string& text) {
  if (text == "single") return core::single_device(graph);
  if (text == "data-parallel") return core::data_parallel(graph, all_devices(cluster));
  if (text == "expert") return search::expert(graph, cluster);
  if (is_short_form(text)) {
    SOAPSTONE_ASSIGN(const search::Parallelism parallelism, search::parse_parallelism(text));
    return search::hybrid(graph, cluster, parallelism);
  }
  const auto hash = text.rfind('#');
  const std::string file = text.substr(0, hash);
  if (!std::filesystem::exists(file)) {
    static constexpr std::string_view kNames[] = {"single", "data-parallel", "expert"};
    return core::usage_error(
        "--strategy `{}`: no such file; {}, a strategy file or ranked.json#K is accepted", text,
        core::accepted_names(text, kNames));
  }
  SOAPSTONE_ASSIGN(const std::string content, core::read_file(file));
  SOAPSTONE_ASSIGN(const core::DocumentFormat format, core::document_format(content, file));
  if (format.kind == core::RankedStrategies::kFormat) {
    SOAPSTONE_ASSIGN(const auto ranked,
                     core::document_from_text<core::RankedStrategies>(content, file));
    std::int64_t rank = 1;
    if (hash != std::string::npos) {
      const std::string number = text.substr(hash + 1);
      rank = !number.empty() && number.find_first_not_of("0123456789") == std::string::npos &&
                     number.size() < 10
                 ? std::stoll(number)
                 : 0;
    }
    if (rank < 1 || rank > static_cast<std::int64_t>(ranked.strategies.size()))
      return core::usage_error("--strategy {}: {} holds strategies #1 to #{}", text, file,
                               ranked.strategies.size());
    return strategy_from(graph, cluster,
                         ranked.strategies[static_cast<std::size_t>(rank - 1)].strategy,
                         fmt::format("/strategies/{}/strategy", rank - 1), content, file);
  }
  SOAPSTONE_ASSIGN(const auto document,
                   core::document_from_text<core::StrategyDocument>(content, file));
  return strategy_from(graph, cluster, document, "", content, file);
}

}  // namespace soapstone::cli
