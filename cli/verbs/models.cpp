// soapstone models [MODEL]
#include "core/models/models.hpp"

#include <fmt/core.h>

#include "cli/command.hpp"
#include "cli/common.hpp"
#include "cli/documents.hpp"
#include "cli/output.hpp"

namespace soapstone::cli {

namespace {

core::Status list_models(const Invocation& invocation) {
  ModelsOutput out;
  std::vector<std::vector<std::string>> rows{
      {"model", "batch", "parameters", "GFLOP/step", "data", "what"}};
  for (const auto& info : core::models()) {
    SOAPSTONE_ASSIGN(const core::Graph graph, core::build_model(info.name));
    out.models.push_back({std::string(info.name), std::string(info.description),
                          std::string(info.data), info.default_batch, graph.parameter_count(),
                          graph.flops().value, static_cast<std::int64_t>(graph.ops().size())});
    rows.push_back({std::string(info.name), std::to_string(info.default_batch),
                    std::to_string(graph.parameter_count()),
                    fmt::format("{:.4g}", graph.flops().value * 1e-9), std::string(info.data),
                    std::string(info.description)});
  }
  if (invocation.json) return print_json(out);
  fmt::print("{}", table(rows));
  return {};
}

core::Status show_model(const Invocation& invocation, const ModelArguments& model) {
  SOAPSTONE_ASSIGN(const core::Graph graph, build_graph(model));
  if (invocation.json) return print_json(graph.spec());
  std::vector<std::vector<std::string>> rows{{"operator", "kind", "output", "weights", "axes"}};
  for (const auto& node : graph.ops()) {
    std::string output, axes;
    std::int64_t weights = 0;
    for (std::size_t k = 0; k < node.definition.operands.size(); ++k) {
      const auto& operand = node.definition.operands[k];
      if (operand.role == core::OperandRole::kOutput && output.empty())
        output = core::print(operand.desc.shape);
      if (operand.role == core::OperandRole::kWeight) weights += core::elements(operand.desc.shape);
    }
    for (const auto& axis : node.definition.axes) {
      if (!axes.empty()) axes += ' ';
      axes += fmt::format("{}={}", axis.name, axis.extent);
      if (axis.coupling == core::Coupling::kUnsplittable) axes += "(whole)";
    }
    rows.push_back({node.name, std::string(node.op.name()), output, std::to_string(weights), axes});
  }
  fmt::print("{}\n{} parameters, {:.4g} GFLOP per step of {} samples\n", table(rows),
             graph.parameter_count(), graph.flops().value * 1e-9, graph.batch());
  for (const auto& info : core::models()) {
    if (info.name != model.name || info.parameters.empty()) continue;
    std::vector<std::vector<std::string>> parameters{{"hyper-parameter", "default", "what"}};
    for (const auto& p : info.parameters) {
      parameters.push_back(
          {"--" + option_name(p.name), fmt::format("{}", p.value), std::string(p.description)});
    }
    fmt::print("\n{}", table(parameters));
  }
  return {};
}

Action declare(CLI::App& app) {
  auto model = std::make_shared<ModelArguments>();
  declare_model(app, *model, Presence::kOptional);
  return [model](const Invocation& invocation) -> core::Status {
    return model->name.empty() ? list_models(invocation) : show_model(invocation, *model);
  };
}

}  // namespace

const Verb kModelsVerb{"models", "List the built-in models, or the operators of one",
                       "soapstone models fashion-cnn --batch 128", declare};

}  // namespace soapstone::cli
