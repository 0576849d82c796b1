#include "kernels/onednn/layer.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "kernels/detail/operand.hpp"
#include "kernels/detail/relu.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels::onednn {

namespace {

void* data_of(const Block& block) { return block.size() == 0 ? nullptr : block.data; }

class LayerKernel final : public PreparedKernel {
 public:
  LayerKernel(std::string_view op, const core::LocalProblem& problem, Layer layer)
      : name_(fmt::format("{}/onednn", op)),
        activate_(fmt::format("soapstone::{}::activate", op)),
        backward_activation_(fmt::format("soapstone::{}::backward_activation", op)),
        steps_(*problem.definition),
        layer_(std::move(layer)),
        activated_(steps_.has("backward_activation")),
        bias_(detail::has_operand(problem, "bias")) {
    layer_.forward.compile();
    layer_.backward_input.compile();
    layer_.backward_weight.compile();
  }

  core::Bytes workspace() const override { return layer_.workspace(); }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    const auto value = [&](std::string_view name) -> const Block& {
      return steps_.value(call, name);
    };
    const auto gradient = [&](std::string_view name) -> const Block& {
      return steps_.gradient(call, name);
    };
    const Block& pre = activated_ ? gradient("pre") : gradient("y");
    if (step == "forward" || step == "product") {
      check_bias(value("bias"));
      layer_.forward.execute(
          {{Argument::kSource, data_of(value("x"))},
           {Argument::kWeight, data_of(value("weight"))},
           {Argument::kBias, data_of(value("bias"))},
           {Argument::kDestination, data_of(value(step == "product" ? "pre" : "y"))}},
          call.workspace);
    } else if (step == "activate") {
      detail::relu_forward(detail::Space(), activate_.c_str(), value("pre"), value("y"));
    } else if (step == "backward_activation") {
      detail::relu_backward(detail::Space(), backward_activation_.c_str(), value("y"),
                            gradient("y"), pre);
    } else if (step == "backward_input") {
      layer_.backward_input.execute({{Argument::kSource, data_of(gradient("x"))},
                                     {Argument::kWeight, data_of(value("weight"))},
                                     {Argument::kDestination, data_of(pre)}},
                                    call.workspace);
    } else if (step == "backward_weight") {
      check_bias(gradient("bias"));
      layer_.backward_weight.execute({{Argument::kSource, data_of(value("x"))},
                                      {Argument::kWeight, data_of(gradient("weight"))},
                                      {Argument::kBias, data_of(gradient("bias"))},
                                      {Argument::kDestination, data_of(pre)}},
                                     call.workspace);
    } else {
      detail::unknown_step(name_, step);
    }
  }

 private:
  void check_bias(const Block& bias) const {
    SOAPSTONE_ASSERT((bias.size() > 0) == bias_,
                     "{} was prepared {} a bias, the call has {} elements of it", name_,
                     bias_ ? "with" : "without", bias.size());
  }

  std::string name_, activate_, backward_activation_;
  detail::StepTable steps_;
  Layer layer_;
  bool activated_, bias_;
};

}  // namespace

std::string Layer::why_not() const {
  for (const auto& [what, operation] :
       {std::pair("forward", &forward), std::pair("backward_input", &backward_input),
        std::pair("backward_weight", &backward_weight)})
    if (!operation->why_not().empty()) return fmt::format("{}: {}", what, operation->why_not());
  return {};
}

core::Bytes Layer::workspace() const {
  return std::max({forward.scratch(), backward_input.scratch(), backward_weight.scratch()});
}

std::unique_ptr<PreparedKernel> prepare_layer(std::string_view op,
                                              const core::LocalProblem& problem, Layer layer) {
  return std::make_unique<LayerKernel>(op, problem, std::move(layer));
}

std::string common_refusal(const core::LocalProblem& problem) {
  if (problem.dtype() == core::DType::kF64)
    return fmt::format("{}/onednn computes f32 and bf16, this is {}", problem.op.name(),
                       name_of(problem.dtype()));
  for (std::size_t k = 0; k < problem.definition->operands.size(); ++k)
    if (core::is_empty(problem.box(static_cast<int>(k))))
      return fmt::format("{}/onednn computes no empty blocks, {} is empty here", problem.op.name(),
                         problem.definition->operands[k].name);
  return {};
}

}  // namespace soapstone::kernels::onednn
