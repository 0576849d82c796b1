// swiglu: y = silu(gate) up; dup = dy silu(gate), dgate = dy up silu'(gate); see
// core/ops/swiglu.hpp.
//
// Every element alone; operands in any order. Overwrites y, dgate and dup. Forward moves 3 words
// per element, backward 5; a gradient that nobody wants is left out.
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
class SwigluKernel final : public PreparedKernel {
 public:
  explicit SwigluKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {}

  void execute(const StepCall& call) const override {
    const Space space;
    const Block &gate = steps_.value(call, "gate"), &up = steps_.value(call, "up");
    if (steps_.name(call) == "forward") return forward(space, gate, up, steps_.value(call, "y"));
    if (steps_.name(call) != "backward_input") unknown_step("swiglu/kokkos", steps_.name(call));
    const Block &dy = steps_.gradient(call, "y"), &dgate = steps_.gradient(call, "gate"),
                &dup = steps_.gradient(call, "up");
    if (dgate.data != nullptr && dup.data != nullptr)
      backward<true, true>(space, gate, up, dy, dgate, dup);
    else if (dgate.data != nullptr)
      backward<true, false>(space, gate, up, dy, dgate, dgate);
    else if (dup.data != nullptr)
      backward<false, true>(space, gate, up, dy, dup, dup);
  }

 private:
  static void forward(const Space& space, const Block& gate_block, const Block& up_block,
                      const Block& y_block) {
    if (y_block.data == nullptr) return;
    const auto nest =
        make_nest<3>(core::extents(y_block.box),
                     {strides_of(y_block), strides_of(gate_block), strides_of(up_block)});
    T* y = data_of<T>(y_block);
    const T* gate = data_of<T>(gate_block);
    const T* up = data_of<T>(up_block);
    if_contiguous(nest.contiguous(), [&](auto contiguous) {
      for_tiles(space, "soapstone::swiglu::forward", nest, [=](const Tile<3>& tile) {
        const auto y_step = step_of(contiguous, nest.stride[0][0]),
                   gate_step = step_of(contiguous, nest.stride[0][1]),
                   up_step = step_of(contiguous, nest.stride[0][2]);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = y + tile.offset[0] + r * nest.stride[1][0];
          const T* g = gate + tile.offset[1] + r * nest.stride[1][1];
          const T* u = up + tile.offset[2] + r * nest.stride[1][2];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) {
            const T x = g[j * gate_step];
            to[j * y_step] = x * logistic(x).value * u[j * up_step];
          }
        }
      });
    });
  }

  // A gradient that is not wanted is not written; its block is only walked.
  template <bool kGate, bool kUp>
  static void backward(const Space& space, const Block& gate_block, const Block& up_block,
                       const Block& dy_block, const Block& dgate_block, const Block& dup_block) {
    const auto nest =
        make_nest<5>(core::extents(dgate_block.box),
                     {strides_of(dgate_block), strides_of(dup_block), strides_of(gate_block),
                      strides_of(up_block), strides_of(dy_block)});
    T* dgate = data_of<T>(dgate_block);
    T* dup = data_of<T>(dup_block);
    const T* gate = data_of<T>(gate_block);
    const T* up = data_of<T>(up_block);
    const T* dy = data_of<T>(dy_block);
    if_contiguous(nest.contiguous(), [&](auto contiguous) {
      for_tiles(space, "soapstone::swiglu::backward_input", nest, [=](const Tile<5>& tile) {
        const auto dgate_step = step_of(contiguous, nest.stride[0][0]),
                   dup_step = step_of(contiguous, nest.stride[0][1]),
                   gate_step = step_of(contiguous, nest.stride[0][2]),
                   up_step = step_of(contiguous, nest.stride[0][3]),
                   dy_step = step_of(contiguous, nest.stride[0][4]);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          const auto& row = nest.stride[1];
          T* to_gate = dgate + tile.offset[0] + r * row[0];
          T* to_up = dup + tile.offset[1] + r * row[1];
          const T* g = gate + tile.offset[2] + r * row[2];
          const T* u = up + tile.offset[3] + r * row[3];
          const T* gradient = dy + tile.offset[4] + r * row[4];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) {
            const T x = g[j * gate_step], d = gradient[j * dy_step];
            const Logistic<T> s = logistic(x);
            if constexpr (kGate)
              to_gate[j * dgate_step] = d * u[j * up_step] * (s.value + x * s.value * s.complement);
            if constexpr (kUp) to_up[j * dup_step] = d * (x * s.value);
          }
        }
      });
    });
  }

  StepTable steps_;
};

}  // namespace

std::unique_ptr<PreparedKernel> swiglu_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<SwigluKernel>(problem);
}

}  // namespace soapstone::kernels
