// pad: y is `value` but for a copy of x at `before`; dx is that piece of dy; see core/ops/pad.hpp.
//
// x and y in any order; all overwritten. A part of y may hold nothing of x. Forward fills y where
// it is not all of x and copies over that; moves 1 word per element of y and 2 per element of x,
// backward 2 per element of x.
#include "core/ops/pad.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

class PadKernel final : public PreparedKernel {
 public:
  explicit PadKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition), value_(problem.op.get_if<core::Pad>()->value) {
    for (const std::int64_t b : problem.op.get_if<core::Pad>()->before) before_.push_back(b);
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") {
      const Block& y = steps_.value(call, "y");
      if (y.data == nullptr) return;
      const Block piece = in_y(steps_.value(call, "x"));
      if (piece.size() != y.size()) fill(y);
      if (piece.data != nullptr) copy_box(y, piece, piece.box);
    } else if (steps_.name(call) == "backward_input") {
      const Block piece = in_y(steps_.gradient(call, "x"));
      if (piece.data != nullptr) copy_box(piece, steps_.gradient(call, "y"), piece.box);
    } else {
      unknown_step("pad/kokkos", steps_.name(call));
    }
  }

 private:
  // The same memory by its indices in y.
  Block in_y(Block block) const {
    if (block.size() == 0) block.data = nullptr;
    if (block.data == nullptr) return block;
    for (std::size_t d = 0; d < before_.size(); ++d) {
      block.box[d].begin += before_[d];
      block.box[d].end += before_[d];
    }
    return block;
  }

  void fill(const Block& y) const {
    dispatch_floating(y.dtype, [&](auto zero) {
      using T = decltype(zero);
      T* data = data_of<T>(y);
      const T value = static_cast<T>(value_);
      parallel_for_chunks(Space(), "soapstone::pad::forward", y.size(), 16384,
                          [=](std::int64_t begin, std::int64_t end) {
                            for (std::int64_t i = begin; i < end; ++i) data[i] = value;
                          });
    });
  }

  StepTable steps_;
  double value_;
  core::Shape before_;
};

}  // namespace

std::unique_ptr<PreparedKernel> pad_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<PadKernel>(problem);
}

}  // namespace soapstone::kernels
