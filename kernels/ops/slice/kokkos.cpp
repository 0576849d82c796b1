// slice: y[i] = x[start + i·step] in every dimension; dx[start + i·step] = dy[i] and zero between;
// see core/ops/slice.hpp.
//
// x in any order, y in any order. A part's x begins at its first index that is taken and ends with
// its last. All overwritten; backward fills dx with zeros first where a step skips something. Moves
// 2 words per element of y, and what is skipped of dx once.
#include "core/ops/slice.hpp"
#include "kernels/box_copy.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/copy_nest.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

class SliceKernel final : public PreparedKernel {
 public:
  explicit SliceKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const auto& slice = *problem.op.get_if<core::Slice>();
    for (std::size_t d = 0; d < slice.starts.size(); ++d) step_.push_back(slice.step_of(d));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") {
      const Block &x = steps_.value(call, "x"), &y = steps_.value(call, "y");
      if (y.data == nullptr) return;
      copy("soapstone::slice::forward", core::extents(y.box), y, strides_of(y), x, taken(x));
    } else if (steps_.name(call) == "backward_input") {
      const Block &dx = steps_.gradient(call, "x"), &dy = steps_.gradient(call, "y");
      if (dx.data == nullptr) return;
      if (dx.size() != dy.size()) fill_zero(dx);
      copy("soapstone::slice::backward_input", core::extents(dy.box), dx, taken(dx), dy,
           strides_of(dy));
    } else {
      unknown_step("slice/kokkos", steps_.name(call));
    }
  }

 private:
  // The strides of a block of x between indices that are taken.
  Strides taken(const Block& x) const {
    Strides strides = strides_of(x);
    for (std::size_t d = 0; d < strides.size(); ++d) strides[d] *= step_[d];
    return strides;
  }

  static void copy(const char* label, const core::Shape& extents, const Block& to,
                   const Strides& to_strides, const Block& from, const Strides& from_strides) {
    dispatch_floating(to.dtype, [&](auto zero) {
      using T = decltype(zero);
      copy_nest<T>(Space(), label, make_nest<2>(extents, {to_strides, from_strides}),
                   data_of<T>(to), data_of<T>(from));
    });
  }

  StepTable steps_;
  core::Shape step_;
};

}  // namespace

std::unique_ptr<PreparedKernel> slice_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<SliceKernel>(problem);
}

}  // namespace soapstone::kernels
