// Arguments that several verbs share: a model, a cluster, a strategy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"

namespace soapstone::cli {

// A verb's help lists its own options first, then groups: "Model", "Cluster", …
// The groups of the options that this header, costs.hpp and optimizer.hpp declare.
inline constexpr const char* kModelGroup = "Model";
inline constexpr const char* kClusterGroup = "Cluster and costs";
inline constexpr const char* kOptimizerGroup = "Optimizer";
// Of this one the manual tells once, for all verbs.
inline constexpr const char* kHyperParameterGroup =
    "Hyper-parameters of models that have them (soapstone models MODEL lists a model's own)";

enum class Presence { kOptional, kRequired };

struct ModelArguments {
  std::string name;                          // of the zoo, or a soapstone.graph document
  std::int64_t batch = 0;                    // 0: the model's default
  std::optional<core::DType> dtype;          // none: f32, or what the document says
  std::map<std::string, double> parameters;  // of a model of the zoo, that differ from its defaults
};
// Called last by a verb, so that the many hyper-parameters end its help.
void declare_model(CLI::App& app, ModelArguments& model, Presence presence = Presence::kRequired);
// Any other number type than bf16, f32 or f64 is a usage error.
void declare_dtype(CLI::App& app, ModelArguments& model);
core::Result<core::Graph> build_graph(const ModelArguments& model);
// `kv_heads` is `kv-heads` on the command line.
std::string option_name(std::string_view parameter);
// The error with the file that it is about before it.
core::Error in_file(const std::string& file, const core::Error& error);

struct ClusterArguments {
  std::string name = "local";  // a preset, a .toml or .json file, or this machine
  int ranks = 0;  // with `local`: how many; 0: as many as a short form asks for, else 2
};
void declare_cluster(CLI::App& app, ClusterArguments& cluster);
// `local` is the file that `soapstone clusters local` wrote for as many ranks, if there is one;
// otherwise this machine as far as it can be read off without measuring.
core::Result<core::Cluster> load_cluster(const ClusterArguments& cluster,
                                         const std::string& strategy = {});

// --strategy, and --parallel, which puts its text there too.
void declare_strategy(CLI::App& app, std::string& strategy);
// A file, `ranked.json#2`, single | data-parallel | expert, or a short form
// (search/parallelism.hpp). Checked against graph and cluster. How many ranks such a text asks for;
// 0: it leaves that open.
core::Result<int> ranks_of_strategy(const std::string& strategy);
// How many ranks share this machine: `given`, or if that is 0, what the strategy asks for, or 2.
core::Result<int> local_ranks(int given, const std::string& strategy);
// A strategy in words: as it was given, where that is short and says it all.
std::string strategy_text(const core::Graph& graph, const core::Strategy& strategy,
                          const std::string& given);
core::Result<core::Strategy> load_strategy(const core::Graph& graph, const core::Cluster& cluster,
                                           const std::string& strategy);

// An error unless a file can be put there: asked before the work whose result it is to hold. Empty:
// fine.
core::Status check_folder_of(std::string_view option, const std::filesystem::path& file);

// Where measurements of this machine are kept: $XDG_CACHE_HOME/soapstone or ~/.cache/soapstone.
std::filesystem::path cache_folder();
std::filesystem::path default_database();
std::filesystem::path local_cluster_file(int ranks);

std::string host_name();

// The name of the device kind that stands for threads of the host that runs this.
inline constexpr std::string_view kLocalDeviceKind = "cpu";

// This machine as `ranks` devices with assumed figures: their sources begin with kAssumed.
inline constexpr std::string_view kAssumed = "assumed";
core::ClusterSpec assumed_local_cluster(int ranks);

}  // namespace soapstone::cli
