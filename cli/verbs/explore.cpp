// soapstone explore [FILE…]
#include <cstdlib>
#include <filesystem>

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/costs.hpp"
#include "cli/explorer_resources.hpp"
#include "core/models/models.hpp"
#include "explorer_gui/model/remote_backend.hpp"
#include "explorer_gui/model/session.hpp"
#include "explorer_gui/view/app.hpp"
#include "explorer_gui/view/window.hpp"

namespace soapstone::cli {

namespace {

struct Options {
  std::vector<std::string> files;
  ModelArguments model;
  std::string cluster;
  std::vector<std::string> strategies;
  CostArguments costs;
  std::string host;
  std::string remote_program = "soapstone";
};

// `ssh HOST soapstone serve`; SOAPSTONE_SSH names another program than ssh, as GIT_SSH does.
core::Result<std::shared_ptr<explorer::Backend>> backend_of(const Invocation& invocation,
                                                            const Options& options) {
  if (options.host.empty())
    return std::shared_ptr<explorer::Backend>(
        explorer::local_backend(explorer_resources(invocation.program, options.costs)));
  const char* const ssh = std::getenv("SOAPSTONE_SSH");
  const std::vector<std::string> command{ssh && *ssh ? ssh : "ssh", "-T", options.host,
                                         options.remote_program, "serve"};
  SOAPSTONE_ASSIGN(auto remote, explorer::remote_backend(options.host, [command] {
                     return explorer::channel_to(command);
                   }));
  return std::shared_ptr<explorer::Backend>(std::move(remote));
}

bool is_of_zoo(const std::string& name) {
  const auto models = core::models();
  return std::any_of(models.begin(), models.end(),
                     [&](const core::ModelInfo& info) { return info.name == name; });
}

core::Status explore(const Invocation& invocation, const Options& options) {
  explorer::Session::Beginning beginning;
  for (const std::string& file : options.files) {
    if (is_of_zoo(file)) {
      if (beginning.model)
        return core::usage_error("{} and {}: one model is accepted", beginning.model->name, file);
      beginning.model = explorer::ModelChoice{file, options.model.batch, options.model.dtype,
                                              options.model.parameters};
      continue;
    }
    // Files of another machine are looked for there.
    if (!options.host.empty()) {
      beginning.files.push_back(file);
      continue;
    }
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored))
      return core::usage_error(
          "`{}`: no such file, and no model of the zoo (soapstone models lists them)", file);
    beginning.files.push_back(std::filesystem::absolute(file).string());
  }
  beginning.cluster = options.cluster;
  if (beginning.model && beginning.cluster.empty()) beginning.cluster = "local";
  beginning.strategies = options.strategies;
  if (!beginning.strategies.empty() && !beginning.model)
    return core::usage_error("--strategy {}: goes with a model, which stands first",
                             beginning.strategies[0]);

  SOAPSTONE_ASSIGN(const auto backend, backend_of(invocation, options));
  explorer::Settings settings = explorer::load_settings(explorer::config_folder());
  SOAPSTONE_ASSIGN(const auto window, explorer::view::Window::open({.title = "Soapstone",
                                                                    .width = settings.width,
                                                                    .height = settings.height,
                                                                    .visible = true}));
  explorer::Session session(backend);
  explorer::view::App app(session, *window);
  session.begin(beginning);
  app.run();
  return {};
}

Action declare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("files", o->files,
                 "A model of the zoo; model, strategy, trace, ranked strategies, cluster or design "
                 "files; Chrome traces of PyTorch, JAX or another program, of all ranks together, "
                 "or a folder of them; none: choose in the window")
      ->type_name("MODEL|FILE");
  app.add_option("--cluster", o->cluster, "Preset, .toml or .json file, `local` or `local:RANKS`")
      ->type_name("CLUSTER|local|FILE")
      ->group(kClusterGroup);
  declare_costs(app, o->costs);
  app.add_option("--strategy", o->strategies,
                 "As for simulate; several are compared; default: data-parallel")
      ->type_name("STRATEGY");
  app.add_option("--batch", o->model.batch, "Samples per step; default: the model's")
      ->group(kModelGroup);
  declare_dtype(app, o->model);
  app.add_option("--host", o->host,
                 "Work on this machine over ssh: models, searches and trainings live there, the "
                 "window here; a connection that is lost is made again")
      ->type_name("USER@HOST");
  app.add_option("--remote-program", o->remote_program, "With --host: soapstone there")
      ->type_name("PATH")
      ->capture_default_str();
  return [o](const Invocation& invocation) { return explore(invocation, *o); };
}

}  // namespace

const Verb kExploreVerb{"explore", "See why a strategy is slow, and change it, in a window",
                        "soapstone explore alexnet --batch 64 --cluster p100-4x4", declare,
                        Answer::kText};

}  // namespace soapstone::cli
