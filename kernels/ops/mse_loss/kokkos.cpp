// mse_loss: loss = Σ (prediction - target)² / count; dprediction = 2 (prediction - target) / count;
// see core/ops/mse_loss.hpp.
//
// Shapes: prediction, target, dprediction [n, …]; loss [1]. Any order; all overwritten, the loss
// with the share of this part. It is added up in double. Forward moves 2 words per element,
// backward 3.
#include "core/ops/mse_loss.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/steps.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class MseLossKernel final : public PreparedKernel {
 public:
  explicit MseLossKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const auto mean_over = problem.op.get_if<core::MseLoss>()->mean_over;
    const int target = problem.definition->operand("target");
    count_ = static_cast<double>(
        mean_over > 0 ? mean_over
                      : core::elements(problem.definition->operands[target].desc.shape));
  }

  core::Bytes workspace() const override { return SumNest<3>::workspace(1, 1); }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("mse_loss/kokkos", steps_.name(call));
  }

 private:
  void forward(const StepCall& call) const {
    const Block &p_block = steps_.value(call, "prediction"),
                &t_block = steps_.value(call, "target"), &loss_block = steps_.value(call, "loss");
    if (loss_block.data == nullptr) return;
    const T* p = data_of<T>(p_block);
    const T* t = data_of<T>(t_block);
    T* loss = data_of<T>(loss_block);
    const core::Shape extents = core::extents(p_block.box);
    const auto nest = make_sum_nest<3>(
        extents, {strides_of(p_block), strides_of(t_block), Strides(extents.size(), 0)},
        [](std::size_t) { return true; });
    const double count = count_;
    sum_tiles<1>(
        Space(), "soapstone::mse_loss::forward", nest, call.workspace,
        [=](const Tile<3>& tile, auto& sums) {
          const auto &steps = nest.summed.stride[0], &row = nest.summed.stride[1];
          with_steps(steps[0], steps[1], 0, [&](auto p_step, auto t_step, auto) {
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* from = p + tile.offset[0] + r * row[0];
              const T* wanted = t + tile.offset[1] + r * row[1];
              double sum = 0;
              SOAPSTONE_SIMD_SUM(sum)
              for (std::int64_t j = 0; j < tile.count; ++j) {
                const T difference = from[j * p_step] - wanted[j * t_step];
                sum += static_cast<double>(difference * difference);
              }
              sums[0][0] += sum;
            }
          });
        },
        [=](std::int64_t, const double* sum) { *loss = static_cast<T>(sum[0] / count); });
  }

  void backward(const StepCall& call) const {
    const Block &p_block = steps_.value(call, "prediction"),
                &t_block = steps_.value(call, "target"),
                &dp_block = steps_.gradient(call, "prediction");
    if (dp_block.data == nullptr) return;
    const T* p = data_of<T>(p_block);
    const T* t = data_of<T>(t_block);
    T* dp = data_of<T>(dp_block);
    const auto nest =
        make_nest<3>(core::extents(dp_block.box),
                     {strides_of(dp_block), strides_of(p_block), strides_of(t_block)});
    const T share = static_cast<T>(2 / count_);
    if_contiguous(nest.contiguous(), [&](auto contiguous) {
      for_tiles(Space(), "soapstone::mse_loss::backward_input", nest, [=](const Tile<3>& tile) {
        const auto dp_step = step_of(contiguous, nest.stride[0][0]),
                   p_step = step_of(contiguous, nest.stride[0][1]),
                   t_step = step_of(contiguous, nest.stride[0][2]);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = dp + tile.offset[0] + r * nest.stride[1][0];
          const T* from = p + tile.offset[1] + r * nest.stride[1][1];
          const T* wanted = t + tile.offset[2] + r * nest.stride[1][2];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j)
            to[j * dp_step] = (from[j * p_step] - wanted[j * t_step]) * share;
        }
      });
    });
  }

  StepTable steps_;
  double count_ = 1;  // elements that the loss is the mean of
};

}  // namespace

std::unique_ptr<PreparedKernel> mse_loss_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<MseLossKernel>(problem);
}

}  // namespace soapstone::kernels
