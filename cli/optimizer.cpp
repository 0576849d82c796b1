#include "cli/optimizer.hpp"

#include <vector>

#include "cli/common.hpp"
#include "cli/enum_option.hpp"

namespace soapstone::cli {

namespace {

void declare_table_optimizer(CLI::App& app, core::TableOptimizer& tables) {
  declare_names(app, "--table-optimizer", tables,
                "Of embedding tables that no other operator shares: same as all weights, or sgd or "
                "adagrad without momentum and weight decay. Without these two, sgd and adagrad "
                "update only the rows that a batch meets");
}

// Those that were declared after the first `known` ones.
void group_optimizer(CLI::App& app, std::size_t known) {
  const std::vector<CLI::Option*> options = app.get_options();
  for (std::size_t i = known; i < options.size(); ++i) options[i]->group(kOptimizerGroup);
}

}  // namespace

void declare_optimizer(CLI::App& app, OptimizerChoice& choice) {
  const std::size_t known = app.get_options().size();
  declare_names(app, "--optimizer", choice.kind, "sgd, adamw or adagrad");
  app.add_option("--momentum", choice.momentum, "Of sgd")->capture_default_str();
  app.add_option("--weight-decay", choice.weight_decay, "Of the optimizer")->capture_default_str();
  declare_table_optimizer(app, choice.tables);
  app.add_flag("--clip", choice.clip, "With clipping by the global gradient norm");
  group_optimizer(app, known);
}

#ifdef SOAPSTONE_HAS_KERNELS

void declare_optimizer(CLI::App& app, OptimizerArguments& arguments) {
  const std::size_t known = app.get_options().size();
  auto& s = arguments.settings;
  declare_names(app, "--optimizer", s.kind, "sgd, adamw or adagrad");
  app.add_option("--lr,--learning-rate", arguments.learning_rate,
                 "Learning rate; default: 0.05 with sgd, 0.001 with adamw, 0.01 with adagrad");
  app.add_option("--momentum", s.momentum, "Of sgd")->capture_default_str();
  app.add_flag("--nesterov", s.nesterov, "sgd: Nesterov's momentum");
  app.add_option("--beta1", s.beta1, "Of adamw")->capture_default_str();
  app.add_option("--beta2", s.beta2, "Of adamw")->capture_default_str();
  app.add_option("--epsilon", s.epsilon, "Of adamw and adagrad")->capture_default_str();
  app.add_option("--weight-decay", s.weight_decay, "Decoupled with adamw")->capture_default_str();
  app.add_option("--clip-norm", s.clip_gradient_norm, "Clip gradients by this global norm; 0: not")
      ->capture_default_str();
  declare_table_optimizer(app, s.table_kind);
  app.add_option("--table-lr", arguments.table_learning_rate,
                 "Learning rate of tables, which follows the same schedule; default: --lr, or that "
                 "of --table-optimizer where it is another optimizer");
  declare_names(app, "--lr-schedule", s.schedule, "constant, step or cosine");
  app.add_option("--warm-up", s.warm_up_steps, "Steps of linear warm-up")->capture_default_str();
  app.add_option("--decay-every", s.decay_every_steps, "step: steps between decays")
      ->capture_default_str();
  app.add_option("--decay", s.decay, "step: factor")->capture_default_str();
  app.add_option("--final-lr", s.final_learning_rate, "cosine: learning rate of the last step")
      ->capture_default_str();
  group_optimizer(app, known);
}

core::Result<runtime::OptimizerSettings> settings_of(const OptimizerArguments& arguments) {
  runtime::OptimizerSettings settings = arguments.settings;
  settings.learning_rate = arguments.learning_rate != 0
                               ? arguments.learning_rate
                               : runtime::usual_learning_rate(settings.kind);
  settings.table_learning_rate = arguments.table_learning_rate;
  const core::OptimizerKind of_tables = core::kind_of(settings.table_kind, settings.kind);
  if (settings.table_learning_rate == 0 && of_tables != settings.kind)
    settings.table_learning_rate = runtime::usual_learning_rate(of_tables);
  SOAPSTONE_TRY(runtime::check(settings));
  return settings;
}

#endif

}  // namespace soapstone::cli
