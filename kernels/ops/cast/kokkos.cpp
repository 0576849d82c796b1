// cast: y = x in another floating-point type, dx = dy in the type of x; see core/ops/cast.hpp.
//
// Every element alone, in any order; y and dx are overwritten. A pair of types is one instance of
// `convert`, and every type that dispatch_floating knows takes part.
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class From, class To>
void convert(const Space& space, const char* label, const Block& from_block,
             const Block& to_block) {
  const auto nest =
      make_nest<2>(core::extents(to_block.box), {strides_of(to_block), strides_of(from_block)});
  const From* from = data_of<From>(from_block);
  To* to = data_of<To>(to_block);
  if_contiguous(nest.contiguous(), [&](auto contiguous) {
    for_tiles(space, label, nest, [=](const Tile<2>& tile) {
      const auto to_step = step_of(contiguous, nest.stride[0][0]),
                 from_step = step_of(contiguous, nest.stride[0][1]);
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        To* target = to + tile.offset[0] + r * nest.stride[1][0];
        const From* source = from + tile.offset[1] + r * nest.stride[1][1];
        SOAPSTONE_SIMD
        for (std::int64_t j = 0; j < tile.count; ++j)
          target[j * to_step] = static_cast<To>(source[j * from_step]);
      }
    });
  });
}

class CastKernel final : public PreparedKernel {
 public:
  explicit CastKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {}

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      return cast("soapstone::cast::forward", steps_.value(call, "x"), steps_.value(call, "y"));
    if (steps_.name(call) == "backward_input")
      return cast("soapstone::cast::backward_input", steps_.gradient(call, "y"),
                  steps_.gradient(call, "x"));
    unknown_step("cast/kokkos", steps_.name(call));
  }

 private:
  static void cast(const char* label, const Block& from_block, const Block& to_block) {
    if (to_block.data == nullptr) return;
    dispatch_floating(from_block.dtype, [&](auto from) {
      dispatch_floating(to_block.dtype, [&](auto to) {
        convert<decltype(from), decltype(to)>(Space(), label, from_block, to_block);
      });
    });
  }

  StepTable steps_;
};

}  // namespace

std::unique_ptr<PreparedKernel> cast_kokkos(const core::LocalProblem& problem) {
  return std::make_unique<CastKernel>(problem);
}

}  // namespace soapstone::kernels
