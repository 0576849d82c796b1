#include "cli/optimizer.hpp"

#include "cli/enum_option.hpp"

namespace soapstone::cli {

void declare_optimizer(CLI::App& app, OptimizerChoice& choice) {
  declare_names(app, "--optimizer", choice.kind, "sgd (with momentum), adamw or adagrad");
}

#ifdef SOAPSTONE_HAS_KERNELS

void declare_optimizer(CLI::App& app, OptimizerArguments& arguments) {
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
  declare_names(app, "--lr-schedule", s.schedule, "constant, step or cosine");
  app.add_option("--warm-up", s.warm_up_steps, "Steps of linear warm-up")->capture_default_str();
  app.add_option("--decay-every", s.decay_every_steps, "step: steps between decays")
      ->capture_default_str();
  app.add_option("--decay", s.decay, "step: factor")->capture_default_str();
  app.add_option("--final-lr", s.final_learning_rate, "cosine: learning rate of the last step")
      ->capture_default_str();
}

core::Result<runtime::OptimizerSettings> settings_of(const OptimizerArguments& arguments) {
  runtime::OptimizerSettings settings = arguments.settings;
  settings.learning_rate = arguments.learning_rate != 0
                               ? arguments.learning_rate
                               : runtime::usual_learning_rate(settings.kind);
  SOAPSTONE_TRY(runtime::check(settings));
  return settings;
}

#endif

}  // namespace soapstone::cli
