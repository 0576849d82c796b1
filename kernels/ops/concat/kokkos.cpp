// concat: y holds the inputs one after the other along one dimension; backward cuts dy into their
// gradients; see core/ops/concat.hpp.
//
// Copies of boxes. A part of y may hold nothing of an input. Any order; all overwritten.
#include "core/ops/concat.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

class ConcatKernel final : public PreparedKernel {
 public:
  explicit ConcatKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        dim_(static_cast<std::size_t>(problem.op.get_if<core::Concat>()->dim)) {
    std::int64_t start = 0;
    for (const int k : problem.definition->operands_of(core::OperandRole::kInput)) {
      const core::Operand& input = problem.definition->operands[k];
      inputs_.push_back({input.name, start});
      start += input.desc.shape[dim_];
    }
  }

  void execute(const StepCall& call) const override {
    const std::string_view step = steps_.name(call);
    for (const Input& input : inputs_) {
      if (step == "forward") {
        const Block piece = in_y(input, steps_.value(call, input.name));
        if (piece.data != nullptr) copy_box(steps_.value(call, "y"), piece, piece.box);
      } else if (step == "backward_input") {
        const Block piece = in_y(input, steps_.gradient(call, input.name));
        if (piece.data != nullptr) copy_box(piece, steps_.gradient(call, "y"), piece.box);
      } else {
        detail::unknown_step("concat/kokkos", step);
      }
    }
  }

 private:
  struct Input {
    std::string name;
    std::int64_t start;  // where it begins in y
  };

  // The same memory by its indices in y.
  Block in_y(const Input& input, Block block) const {
    if (block.size() == 0) block.data = nullptr;
    if (block.data == nullptr) return block;
    block.box[dim_].begin += input.start;
    block.box[dim_].end += input.start;
    return block;
  }

  detail::StepTable steps_;
  std::size_t dim_;
  std::vector<Input> inputs_;
};

}  // namespace

std::unique_ptr<PreparedKernel> concat_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<ConcatKernel>(problem);
}

}  // namespace soapstone::kernels
