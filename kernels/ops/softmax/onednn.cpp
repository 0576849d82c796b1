// softmax through oneDNN, f32 or bf16, where the last dimension lies innermost. Its logarithm in
// bf16 alone: the logarithm of 1, which rows with one large number come to, is -1.4e-6.
#include <algorithm>

#include <fmt/core.h>

#include "core/ops/softmax.hpp"
#include "kernels/detail/operand.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/onednn/layer.hpp"

namespace soapstone::kernels {

namespace {

using onednn::Argument;

struct Operations {
  onednn::Operation forward, backward_input;

  explicit Operations(const core::LocalProblem& problem) {
    const core::Shape shape = problem.local_shape(problem.definition->operand("x"));
    const std::int64_t columns = shape.back(), rows = core::elements(shape) / columns;
    const onednn::Softmax softmax{.tensor = {{rows, columns}, {columns, 1}, problem.dtype()},
                                  .axis = 1,
                                  .log = problem.op.get_if<core::Softmax>()->log};
    forward = softmax_forward(softmax);
    backward_input = softmax_backward(softmax);
  }

  std::string why_not() const {
    if (!forward.why_not().empty()) return "forward: " + forward.why_not();
    if (!backward_input.why_not().empty()) return "backward_input: " + backward_input.why_not();
    return {};
  }
  core::Bytes workspace() const { return std::max(forward.scratch(), backward_input.scratch()); }
};

class SoftmaxOneDnn final : public PreparedKernel {
 public:
  explicit SoftmaxOneDnn(const core::LocalProblem& problem)
      : steps_(*problem.definition), operations_(problem) {
    operations_.forward.compile();
    operations_.backward_input.compile();
  }

  core::Bytes workspace() const override { return operations_.workspace(); }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      operations_.forward.execute({{Argument::kSource, steps_.value(call, "x").data},
                                   {Argument::kDestination, steps_.value(call, "y").data}},
                                  call.workspace);
    else if (steps_.name(call) == "backward_input")
      operations_.backward_input.execute({{Argument::kSource, steps_.gradient(call, "x").data},
                                          {Argument::kDestination, steps_.gradient(call, "y").data},
                                          {Argument::kValue, steps_.value(call, "y").data}},
                                         call.workspace);
    else
      detail::unknown_step("softmax/onednn", steps_.name(call));
  }

 private:
  detail::StepTable steps_;
  Operations operations_;
};

}  // namespace

std::string softmax_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  const detail::LocalOperand x = detail::local_operand(problem, "x");
  if (x.extents.back() > 1 && x.strides.back() != 1)
    return fmt::format(
        "softmax/onednn wants the last dimension innermost, the dimensions of x lie in the order "
        "{}",
        core::print(x.order));
  if (problem.op.get_if<core::Softmax>()->log && problem.dtype() == core::DType::kF32)
    return "softmax/onednn computes logarithms in bf16 alone: they are not exact enough for f32";
  return Operations(problem).why_not();
}

std::unique_ptr<PreparedKernel> softmax_onednn(const core::LocalProblem& problem) {
  return std::make_unique<SoftmaxOneDnn>(problem);
}

core::Bytes softmax_onednn_workspace(const core::LocalProblem& problem) {
  return Operations(problem).workspace();
}

}  // namespace soapstone::kernels
