// pool2d through oneDNN, f32 or bf16. What max-pooling remembers (1 or 4 bytes per output element,
// as oneDNN likes) lies in the operand `choice`.
#include <cstring>

#include <fmt/core.h>

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/onednn/layer.hpp"
#include "kernels/ops/pool2d/shape.hpp"

namespace soapstone::kernels {

namespace {

using onednn::Argument;

std::vector<std::int64_t> list(const core::Shape& shape) { return {shape.begin(), shape.end()}; }
onednn::Tensor tensor(const detail::LocalOperand& operand, core::DType dtype) {
  return {list(operand.extents), list(operand.strides), dtype};
}

struct Pooling {
  onednn::Operation forward, backward;
  core::Bytes room;  // of the operand `choice`

  explicit Pooling(const core::LocalProblem& problem) {
    const PoolShape shape(problem);
    const onednn::Pool pool{
        .source = tensor(shape.x, problem.dtype()),
        .destination = tensor(shape.y, problem.dtype()),
        .kind = shape.maximum         ? onednn::Pooling::kMaximum
                : shape.count_padding ? onednn::Pooling::kMeanOfKernel
                                      : onednn::Pooling::kMeanOfInside,
        .kernel = {shape.h.kernel, shape.w.kernel},
        .stride = {shape.h.stride, shape.w.stride},
        .pad_begin = {shape.h.pad_begin, shape.w.pad_begin},
        .pad_end = {shape.h.pad_end(), shape.w.pad_end()},
    };
    forward = pooling_forward(pool);
    backward = pooling_backward(pool);
    room = core::Bytes(4 * core::elements(shape.y.extents));
  }
  core::Bytes workspace() const { return std::max(forward.scratch(), backward.scratch()); }
};

class Pool2DOneDnn final : public PreparedKernel {
 public:
  explicit Pool2DOneDnn(const core::LocalProblem& problem)
      : steps_(*problem.definition), pooling_(problem) {
    pooling_.forward.compile();
    pooling_.backward.compile();
  }

  core::Bytes workspace() const override { return pooling_.workspace(); }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    void* choice = detail::data_of<std::int32_t>(steps_.value(call, "choice"));
    if (step == "forward") {
      zero_tail(steps_.value(call, "choice"));
      pooling_.forward.execute({{Argument::kSource, steps_.value(call, "x").data},
                                {Argument::kDestination, steps_.value(call, "y").data},
                                {Argument::kChoice, choice}},
                               call.workspace);
    } else if (step == "backward_input")
      pooling_.backward.execute({{Argument::kSource, steps_.gradient(call, "x").data},
                                 {Argument::kDestination, steps_.gradient(call, "y").data},
                                 {Argument::kChoice, choice}},
                                call.workspace);
    else
      detail::unknown_step("pool2d/onednn", step);
  }

 private:
  // Every byte of an operand that a step writes is defined.
  void zero_tail(const Block& choice) const {
    if (choice.size() == 0) return;
    const std::int64_t used = pooling_.forward.choice().value;
    auto* tail = static_cast<std::byte*>(choice.data) + used;
    detail::parallel_for_chunks(
        detail::Space(), "soapstone::pool2d::forward", 4 * choice.size() - used, 1 << 18,
        [=](std::int64_t begin, std::int64_t end) {
          std::memset(tail + begin, 0, static_cast<std::size_t>(end - begin));
        });
  }

  detail::StepTable steps_;
  Pooling pooling_;
};

}  // namespace

std::string pool2d_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  const Pooling pooling(problem);
  if (!pooling.forward.why_not().empty()) return "forward: " + pooling.forward.why_not();
  if (!pooling.backward.why_not().empty()) return "backward_input: " + pooling.backward.why_not();
  const core::Bytes wanted = std::max(pooling.forward.choice(), pooling.backward.choice());
  if (wanted > pooling.room)
    return fmt::format("oneDNN remembers its choice in {} bytes, the operand has {}", wanted.value,
                       pooling.room.value);
  return {};
}

std::unique_ptr<PreparedKernel> pool2d_onednn(const core::LocalProblem& problem) {
  return std::make_unique<Pool2DOneDnn>(problem);
}

core::Bytes pool2d_onednn_workspace(const core::LocalProblem& problem) {
  return Pooling(problem).workspace();
}

}  // namespace soapstone::kernels
