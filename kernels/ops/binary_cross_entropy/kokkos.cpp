// binary_cross_entropy: loss = Σ (max(z, 0) - z t + log(1 + e^-|z|)) / count of logits z and
// targets t; dlogits = (σ(z) - t) / count; see core/ops/binary_cross_entropy.hpp.
//
// Shapes: logits, targets, dlogits [n, …]; loss, correct, labelled [1]; scores [2, kBins]. Any
// order; all overwritten, the outputs with the share of this part. The scalars are added up in
// double. Forward moves 2 words per element, backward 3. A logit that is not a number has no score.
#include <cmath>

#include "core/ops/binary_cross_entropy.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/steps.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class BinaryCrossEntropyKernel final : public PreparedKernel {
 public:
  explicit BinaryCrossEntropyKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition) {
    const auto mean_over = problem.op.get_if<core::BinaryCrossEntropy>()->mean_over;
    const int targets = problem.definition->operand("targets");
    count_ = static_cast<double>(
        mean_over > 0 ? mean_over
                      : core::elements(problem.definition->operands[targets].desc.shape));
  }

  core::Bytes workspace() const override { return SumNest<3>::workspace(1, 3); }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "scores") return scores(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("binary_cross_entropy/kokkos", steps_.name(call));
  }

 private:
  void forward(const StepCall& call) const {
    const Block &z_block = steps_.value(call, "logits"), &t_block = steps_.value(call, "targets");
    const T* z = data_of<T>(z_block);
    const T* t = data_of<T>(t_block);
    T* loss = static_cast<T*>(steps_.value(call, "loss").data);
    T* correct = static_cast<T*>(steps_.value(call, "correct").data);
    T* labelled = static_cast<T*>(steps_.value(call, "labelled").data);
    const core::Shape extents = core::extents(z_block.box);
    const auto nest = make_sum_nest<3>(
        extents, {strides_of(z_block), strides_of(t_block), Strides(extents.size(), 0)},
        [](std::size_t) { return true; });
    const double count = count_;
    sum_tiles<3>(
        Space(), "soapstone::binary_cross_entropy::forward", nest, call.workspace,
        [=](const Tile<3>& tile, auto& sums) {
          const auto &steps = nest.summed.stride[0], &row = nest.summed.stride[1];
          with_steps(steps[0], steps[1], 0, [&](auto z_step, auto t_step, auto) {
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* logits = z + tile.offset[0] + r * row[0];
              const T* targets = t + tile.offset[1] + r * row[1];
              double losses = 0, right = 0, known = 0;
              SOAPSTONE_SIMD_SUM(losses, right, known)
              for (std::int64_t j = 0; j < tile.count; ++j) {
                const T x = logits[j * z_step], wanted = targets[j * t_step];
                const T least = (x > T(0) ? x : T(0)) - x * wanted;
                const T cost = least + logarithm_of_one_plus(exponential(-std::abs(x)));
                const bool has_label = wanted != T(core::kNoLabel);
                losses += static_cast<double>(has_label ? cost : T(0));
                right += static_cast<int>(has_label & ((x > T(0)) == (wanted > T(0.5))));
                known += static_cast<int>(has_label);
              }
              sums[0][0] += losses;
              sums[1][0] += right;
              sums[2][0] += known;
            }
          });
        },
        [=](std::int64_t, const double* sums) {
          if (loss != nullptr) *loss = static_cast<T>(sums[0] / count);
          if (correct != nullptr) *correct = static_cast<T>(sums[1]);
          if (labelled != nullptr) *labelled = static_cast<T>(sums[2]);
        });
  }

  // Counts are whole numbers: their sums do not depend on the order in which threads add.
  void scores(const StepCall& call) const {
    T* scores = static_cast<T*>(steps_.value(call, "scores").data);
    if (scores == nullptr) return;
    const Space space;
    constexpr std::int64_t kBins = core::BinaryCrossEntropy::kBins;
    parallel_for(space, "soapstone::binary_cross_entropy::scores_clear", 2 * kBins,
                 [=](std::int64_t b) { scores[b] = T(0); });
    const Block &z_block = steps_.value(call, "logits"), &t_block = steps_.value(call, "targets");
    const T* z = data_of<T>(z_block);
    const T* t = data_of<T>(t_block);
    const auto nest =
        make_nest<2>(core::extents(z_block.box), {strides_of(z_block), strides_of(t_block)});
    for_tiles(space, "soapstone::binary_cross_entropy::scores", nest, [=](const Tile<2>& tile) {
      for (std::int64_t r = 0; r < tile.rows; ++r)
        for (std::int64_t j = 0; j < tile.count; ++j) {
          const T logit = z[tile.offset[0] + r * nest.stride[1][0] + j * nest.stride[0][0]];
          const T target = t[tile.offset[1] + r * nest.stride[1][1] + j * nest.stride[0][1]];
          if (target == T(core::kNoLabel) || logit != logit) continue;
          const std::int64_t bin = core::BinaryCrossEntropy::bin_of(static_cast<double>(logit));
          Kokkos::atomic_add(scores + (target > T(0.5) ? kBins : 0) + bin, T(1));
        }
    });
  }

  void backward(const StepCall& call) const {
    const Block &z_block = steps_.value(call, "logits"), &t_block = steps_.value(call, "targets"),
                &dz_block = steps_.gradient(call, "logits");
    if (dz_block.data == nullptr) return;
    const T* z = data_of<T>(z_block);
    const T* t = data_of<T>(t_block);
    T* dz = data_of<T>(dz_block);
    const auto nest =
        make_nest<3>(core::extents(dz_block.box),
                     {strides_of(dz_block), strides_of(z_block), strides_of(t_block)});
    const T share = static_cast<T>(1 / count_);
    if_contiguous(nest.contiguous(), [&](auto contiguous) {
      for_tiles(Space(), "soapstone::binary_cross_entropy::backward_input", nest,
                [=](const Tile<3>& tile) {
                  const auto dz_step = step_of(contiguous, nest.stride[0][0]),
                             z_step = step_of(contiguous, nest.stride[0][1]),
                             t_step = step_of(contiguous, nest.stride[0][2]);
                  for (std::int64_t r = 0; r < tile.rows; ++r) {
                    T* to = dz + tile.offset[0] + r * nest.stride[1][0];
                    const T* logits = z + tile.offset[1] + r * nest.stride[1][1];
                    const T* targets = t + tile.offset[2] + r * nest.stride[1][2];
                    SOAPSTONE_SIMD
                    for (std::int64_t j = 0; j < tile.count; ++j) {
                      const T wanted = targets[j * t_step];
                      const T scale = wanted != T(core::kNoLabel) ? share : T(0);
                      to[j * dz_step] = (logistic(logits[j * z_step]).value - wanted) * scale;
                    }
                  }
                });
    });
  }

  StepTable steps_;
  double count_ = 1;  // elements that the loss is the mean of
};

}  // namespace

std::unique_ptr<PreparedKernel> binary_cross_entropy_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<BinaryCrossEntropyKernel>(problem);
}

}  // namespace soapstone::kernels
