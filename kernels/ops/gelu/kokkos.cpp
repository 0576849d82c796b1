// gelu: y = x Φ(x), dx = dy (Φ(x) + x φ(x)); see core/ops/gelu.hpp.
//
// Every element alone; x, y, dy, dx in any order. Overwrites y and dx. Forward moves 2 words per
// element, backward 3.
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class GeluKernel final : public PreparedKernel {
 public:
  explicit GeluKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {}

  void execute(const StepCall& call) const override {
    const Space space;
    if (steps_.name(call) == "forward")
      return forward(space, steps_.value(call, "x"), steps_.value(call, "y"));
    if (steps_.name(call) == "backward_input")
      return backward(space, steps_.value(call, "x"), steps_.gradient(call, "y"),
                      steps_.gradient(call, "x"));
    unknown_step("gelu/kokkos", steps_.name(call));
  }

 private:
  static void forward(const Space& space, const Block& x_block, const Block& y_block) {
    const auto nest =
        make_nest<2>(core::extents(y_block.box), {strides_of(y_block), strides_of(x_block)});
    T* y = data_of<T>(y_block);
    const T* x = data_of<T>(x_block);
    if_contiguous(nest.contiguous(), [&](auto contiguous) {
      for_tiles(space, "soapstone::gelu::forward", nest, [=](const Tile<2>& tile) {
        const auto y_step = step_of(contiguous, nest.stride[0][0]);
        const auto x_step = step_of(contiguous, nest.stride[0][1]);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = y + tile.offset[0] + r * nest.stride[1][0];
          const T* from = x + tile.offset[1] + r * nest.stride[1][1];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) {
            const WideOf<T> v = from[j * x_step];
            to[j * y_step] = v * normal(v).distribution;
          }
        }
      });
    });
  }

  static void backward(const Space& space, const Block& x_block, const Block& dy_block,
                       const Block& dx_block) {
    if (dx_block.data == nullptr) return;
    const auto nest =
        make_nest<3>(core::extents(dx_block.box),
                     {strides_of(dx_block), strides_of(x_block), strides_of(dy_block)});
    T* dx = data_of<T>(dx_block);
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    if_contiguous(nest.contiguous(), [&](auto contiguous) {
      for_tiles(space, "soapstone::gelu::backward_input", nest, [=](const Tile<3>& tile) {
        const auto dx_step = step_of(contiguous, nest.stride[0][0]);
        const auto x_step = step_of(contiguous, nest.stride[0][1]);
        const auto dy_step = step_of(contiguous, nest.stride[0][2]);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = dx + tile.offset[0] + r * nest.stride[1][0];
          const T* at = x + tile.offset[1] + r * nest.stride[1][1];
          const T* gradient = dy + tile.offset[2] + r * nest.stride[1][2];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) {
            const WideOf<T> v = at[j * x_step];
            const auto n = normal(v);
            to[j * dx_step] = gradient[j * dy_step] * (n.distribution + v * n.density);
          }
        }
      });
    });
  }

  StepTable steps_;
};

}  // namespace

std::unique_ptr<PreparedKernel> gelu_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating_or_bf16<GeluKernel>(problem);
}

}  // namespace soapstone::kernels
