// transpose: dimension d of y is dimension permutation[d] of x; backward the other way; see
// core/ops/transpose.hpp.
//
// x and y in any order; all overwritten. The copy runs over memory of what it writes, in blocks of
// cache lines where the other is contiguous along another dimension. Moves 2 words per element.
#include "core/ops/transpose.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/copy_nest.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

class TransposeKernel final : public PreparedKernel {
 public:
  explicit TransposeKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    for (const std::int64_t d : problem.op.get_if<core::Transpose>()->permutation)
      permutation_.push_back(d);
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") {
      const Block &x = steps_.value(call, "x"), &y = steps_.value(call, "y");
      copy("soapstone::transpose::forward", core::extents(x.box), y, along_x(y), x, strides_of(x));
    } else if (steps_.name(call) == "backward_input") {
      const Block &dx = steps_.gradient(call, "x"), &dy = steps_.gradient(call, "y");
      copy("soapstone::transpose::backward_input", core::extents(dx.box), dx, strides_of(dx), dy,
           along_x(dy));
    } else {
      unknown_step("transpose/kokkos", steps_.name(call));
    }
  }

 private:
  // The strides of a block of y along the dimensions of x.
  Strides along_x(const Block& y) const {
    const Strides own = strides_of(y);
    Strides strides(own.size(), 0);
    for (std::size_t d = 0; d < own.size(); ++d)
      strides[static_cast<std::size_t>(permutation_[d])] = own[d];
    return strides;
  }

  static void copy(const char* label, const core::Shape& extents, const Block& to,
                   const Strides& to_strides, const Block& from, const Strides& from_strides) {
    if (to.data == nullptr) return;
    dispatch_floating(to.dtype, [&](auto zero) {
      using T = decltype(zero);
      copy_nest<T>(Space(), label, make_nest<2>(extents, {to_strides, from_strides}),
                   data_of<T>(to), data_of<T>(from));
    });
  }

  StepTable steps_;
  core::Shape permutation_;
};

}  // namespace

std::unique_ptr<PreparedKernel> transpose_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<TransposeKernel>(problem);
}

}  // namespace soapstone::kernels
