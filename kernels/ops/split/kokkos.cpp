// split: the outputs are consecutive pieces of x along one dimension; backward puts their gradients
// side by side; see core/ops/split.hpp.
//
// Copies of boxes. A part of x may hold nothing of an output. Any order; all overwritten.
#include "core/ops/split.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

class SplitKernel final : public PreparedKernel {
 public:
  explicit SplitKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        dim_(static_cast<std::size_t>(problem.op.get_if<core::Split>()->dim)) {
    std::int64_t start = 0;
    for (const int k : problem.definition->operands_of(core::OperandRole::kOutput)) {
      const core::Operand& output = problem.definition->operands[k];
      outputs_.push_back({output.name, start});
      start += output.desc.shape[dim_];
    }
  }

  void execute(const StepCall& call) const override {
    const std::string_view step = steps_.name(call);
    if (step == "forward") {
      for (const Output& output : outputs_) {
        const Block piece = in_x(output, steps_.value(call, output.name));
        if (piece.data != nullptr) copy_box(piece, steps_.value(call, "x"), piece.box);
      }
    } else if (step == "backward_input") {
      const Block& dx = steps_.gradient(call, "x");
      if (dx.data == nullptr) return;
      std::int64_t covered = 0;
      for (const Output& output : outputs_) covered += steps_.gradient(call, output.name).size();
      if (covered != dx.size()) fill_zero(dx);  // an output that nothing uses has no gradient
      for (const Output& output : outputs_) {
        const Block piece = in_x(output, steps_.gradient(call, output.name));
        if (piece.data != nullptr) copy_box(dx, piece, piece.box);
      }
    } else {
      detail::unknown_step("split/kokkos", step);
    }
  }

 private:
  struct Output {
    std::string name;
    std::int64_t start;  // where it begins in x
  };

  // The same memory by its indices in x.
  Block in_x(const Output& output, Block block) const {
    if (block.size() == 0) block.data = nullptr;
    if (block.data == nullptr) return block;
    block.box[dim_].begin += output.start;
    block.box[dim_].end += output.start;
    return block;
  }

  detail::StepTable steps_;
  std::size_t dim_;
  std::vector<Output> outputs_;
};

}  // namespace

std::unique_ptr<PreparedKernel> split_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<SplitKernel>(problem);
}

}  // namespace soapstone::kernels
