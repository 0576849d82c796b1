// soapstone clusters [NAME | local]
#include <filesystem>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/documents.hpp"
#include "cli/measure.hpp"
#include "cli/output.hpp"
#include "core/file.hpp"
#include "core/units.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  std::string name;
  int ranks = 2;
  std::string out;
};

core::Status list_clusters(const Invocation& invocation) {
  ClustersOutput out;
  for (const auto name : core::preset_names()) {
    SOAPSTONE_ASSIGN(const core::Cluster cluster, core::load_cluster(std::string(name)));
    out.clusters.push_back({std::string(name), cluster.spec().description,
                            static_cast<std::int64_t>(cluster.size()),
                            static_cast<std::int64_t>(cluster.nodes())});
  }
  if (invocation.json) return print_json(out);
  std::vector<std::vector<std::string>> rows{{"cluster", "devices", "nodes", "what"}};
  for (const auto& c : out.clusters)
    rows.push_back({c.name, std::to_string(c.devices), std::to_string(c.nodes), c.description});
  rows.push_back({"local", "", "", "this machine: soapstone clusters local --ranks N measures it"});
  fmt::print("{}", table(rows));
  return {};
}

core::Status show_cluster(const Invocation& invocation, const Options& options) {
  SOAPSTONE_ASSIGN(const core::Cluster cluster, core::load_cluster(options.name));
  if (!options.out.empty())
    return core::write_file_atomically(options.out, core::to_toml(cluster.spec()));
  if (invocation.json) return print_json(cluster);
  fmt::print("{}", core::to_toml(cluster.spec()));
  return {};
}

core::Status clusters(const Invocation& invocation, const Options& options) {
  SOAPSTONE_TRY(check_folder_of("--out", options.out));
  if (options.name.empty()) return list_clusters(invocation);
  if (options.name != "local") return show_cluster(invocation, options);
  return measure_local_cluster(invocation, options.ranks, options.out);
}

Action declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("name", options->name,
                 "Preset or file to show, or `local` to measure this machine")
      ->type_name("CLUSTER|local|FILE");
  app.add_option("--ranks", options->ranks, "With `local`: how many ranks share this machine")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--out", options->out, "Write the TOML file here")->type_name("FILE");
  return [options](const Invocation& invocation) { return clusters(invocation, *options); };
}

}  // namespace

const Verb kClustersVerb{"clusters", "List cluster presets, show one, or measure this machine",
                         "soapstone clusters local --ranks 2 --out local.toml", declare};

}  // namespace soapstone::cli
