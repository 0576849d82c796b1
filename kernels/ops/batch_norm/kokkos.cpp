// batch_norm: y = gamma x̂ + beta, x̂ = (x - mean) rstd, mean = Σ x / count, rstd =
// 1/√(Σ x² / count - mean² + epsilon); see core/ops/batch_norm.hpp. count = n h w of the whole
// tensor.
//   dx = gamma rstd (dy - Σ dy / count - x̂ Σ (dy x̂) / count), dgamma = Σ dy x̂, dbeta = Σ dy.
//
// Shapes: x, y, dy, dx [n, c] or [n, c, h, w] in any order; gamma, beta [c]; sums and grad_sums
// [2, c] f64, the sums of this part until they are all-reduced. All overwritten. Sums are in
// double; channels-last images sum all channels of a pixel side by side. Words moved per element:
// statistics 1, normalize 2, backward_statistics 2, backward_input 3.
#include <cmath>

#include "core/ops/batch_norm.hpp"
#include "kernels/detail/moments.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

constexpr std::size_t kChannelDim = 1;

// Along the dimensions of x: the position of the channel in a table of channels.
Strides channel_strides(std::size_t rank) {
  Strides strides(rank, 0);
  strides[kChannelDim] = 1;
  return strides;
}

template <class T>
class BatchNormKernel final : public PreparedKernel {
  using W = WideOf<T>;  // of weights and of tables per channel

 public:
  explicit BatchNormKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        epsilon_(problem.op.get_if<core::BatchNorm>()->epsilon),
        momentum_(problem.op.get_if<core::BatchNorm>()->momentum) {
    const core::OpDefinition& definition = *problem.definition;
    const core::Shape& whole = definition.operands[definition.operand("x")].desc.shape;
    for (std::size_t d = 0; d < whole.size(); ++d)
      if (d != kChannelDim) count_ *= static_cast<double>(whole[d]);
    extents_ = problem.local_shape(definition.operand("x"));
    channels_ = problem.axes[definition.axis("c")].extent();
    if (core::elements(extents_) == 0) {  // the sums are of nothing
      extents_ = core::Shape(whole.size(), 0);
      extents_[kChannelDim] = channels_;
    }
  }

  // The partial sums, or four numbers per channel.
  core::Bytes workspace() const override {
    return std::max(SumNest<3>::workspace(channels_, 2),
                    core::Bytes(4 * channels_ * static_cast<std::int64_t>(sizeof(W))));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "statistics") return statistics(call);
    if (steps_.name(call) == "normalize") return normalize(call);
    if (steps_.name(call) == "recall") return recall(call);
    if (steps_.name(call) == "remember") return remember(call);
    if (steps_.name(call) == "backward_statistics") return backward_statistics(call);
    if (steps_.name(call) == "backward_input") return backward_input(call);
    if (steps_.name(call) == "backward_weight") return backward_weight(call);
    unknown_step("batch_norm/kokkos", steps_.name(call));
  }

 private:
  struct Statistics {
    double mean, rstd;
  };
  // Of a channel, from the complete sums.
  static Statistics statistics_of(const Strided<double>& sums, std::int64_t c, double count,
                                  double epsilon) {
    const double mean = sums(0, c) / count;
    const double variance = std::max(0.0, sums(1, c) / count - mean * mean);
    return {mean, 1 / std::sqrt(variance + epsilon)};
  }

  SumNest<3> sum_nest(const Block& x, const Block& dy) const {
    return make_sum_nest<3>(extents_,
                            {strides_of(x), strides_of(dy), channel_strides(extents_.size())},
                            [](std::size_t d) { return d != kChannelDim; });
  }

  void statistics(const StepCall& call) const {
    const Block& x_block = steps_.value(call, "x");
    const auto nest = sum_nest(x_block, x_block);
    const T* x = data_of<T>(x_block);
    const auto sums = strided<double>(steps_.value(call, "sums"));
    sum_moments(Space(), "soapstone::batch_norm::statistics", nest, call.workspace, x,
                [=](std::int64_t c, const double* total) {
                  sums(0, c) = total[0];
                  sums(1, c) = total[1];
                });
  }

  // The sums that a batch with the running averages as its mean and variance would have.
  void recall(const StepCall& call) const {
    const W* mean = data_of<W>(steps_.value(call, "running_mean"));
    const W* variance = data_of<W>(steps_.value(call, "running_var"));
    const auto sums = strided<double>(steps_.value(call, "sums"));
    const double count = count_;
    parallel_for(Space(), "soapstone::batch_norm::recall", channels_, [=](std::int64_t c) {
      const double m = mean[c];
      sums(0, c) = m * count;
      sums(1, c) = (static_cast<double>(variance[c]) + m * m) * count;
    });
  }

  // The blocks that are written may be those that are read.
  void remember(const StepCall& call) const {
    const auto sums = strided<double>(steps_.value(call, "sums"));
    const W* old_mean = data_of<W>(call.operands[1]);
    const W* old_variance = data_of<W>(call.operands[2]);
    W* mean = data_of<W>(call.operands[3]);
    W* variance = data_of<W>(call.operands[4]);
    const double count = count_, momentum = momentum_;
    parallel_for(Space(), "soapstone::batch_norm::remember", channels_, [=](std::int64_t c) {
      const double m = sums(0, c) / count;
      const double biased = std::max(0.0, sums(1, c) / count - m * m);
      const double v = biased * count / std::max(1.0, count - 1);
      mean[c] = static_cast<W>((1 - momentum) * static_cast<double>(old_mean[c]) + momentum * m);
      variance[c] =
          static_cast<W>((1 - momentum) * static_cast<double>(old_variance[c]) + momentum * v);
    });
  }

  void backward_statistics(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y");
    const auto nest = sum_nest(x_block, dy_block);
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const auto sums = strided<double>(steps_.value(call, "sums"));
    const auto grad_sums = strided<double>(steps_.value(call, "grad_sums"));
    const auto& run = (nest.columns ? nest.kept : nest.summed).stride[0];
    const std::int64_t x_run = run[0], dy_run = run[1];
    const auto& rows = nest.summed.stride[nest.columns ? 0 : 1];
    const std::int64_t x_row = rows[0], dy_row = rows[1];
    const double count = count_, epsilon = epsilon_;
    if_contiguous(x_run == 1 && dy_run == 1, [&](auto contiguous) {
      sum_tiles<2>(
          Space(), "soapstone::batch_norm::backward_statistics", nest, call.workspace,
          [=](const Tile<3>& tile, auto& into) {
            const auto x_step = step_of(contiguous, x_run), dy_step = step_of(contiguous, dy_run);
            double mean[SumNest<3>::kColumns];
            const std::int64_t channels = nest.columns ? tile.count : 1;
            for (std::int64_t j = 0; j < channels; ++j)
              mean[j] = sums(0, tile.offset[2] + j) / count;
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* at = x + tile.offset[0] + r * x_row;
              const T* gradient = dy + tile.offset[1] + r * dy_row;
              if (nest.columns) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const double g = static_cast<W>(gradient[j * dy_step]);
                  into[0][j] += g;
                  into[1][j] += g * (static_cast<W>(at[j * x_step]) - mean[j]);
                }
              } else {
                const double middle = mean[0];
                double sum = 0, along = 0;
                SOAPSTONE_SIMD_SUM(sum, along)
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const double g = static_cast<W>(gradient[j * dy_step]);
                  sum += g;
                  along += g * (static_cast<W>(at[j * x_step]) - middle);
                }
                into[0][0] += sum;
                into[1][0] += along;
              }
            }
          },
          [=](std::int64_t c, const double* total) {
            grad_sums(0, c) = total[0];
            grad_sums(1, c) = total[1] * statistics_of(sums, c, count, epsilon).rstd;
          });
    });
  }

  void normalize(const StepCall& call) const {
    const Space space;
    const Block &x_block = steps_.value(call, "x"), &y_block = steps_.value(call, "y");
    if (y_block.data == nullptr) return;
    // y = (x - mean) factor + beta: the difference first, so that nothing cancels behind the
    // rounding.
    auto* table = static_cast<W*>(call.workspace);  // [3][c]
    const std::int64_t channels = channels_;
    const auto sums = strided<double>(steps_.value(call, "sums"));
    const W* gamma = data_of<W>(steps_.value(call, "gamma"));
    const W* beta = data_of<W>(steps_.value(call, "beta"));
    const double count = count_, epsilon = epsilon_;
    parallel_for(space, "soapstone::batch_norm::normalize_factors", channels, [=](std::int64_t c) {
      const Statistics s = statistics_of(sums, c, count, epsilon);
      table[c] = static_cast<W>(s.mean);
      table[channels + c] = static_cast<W>(static_cast<double>(gamma[c]) * s.rstd);
      table[2 * channels + c] = beta[c];
    });
    const auto nest = make_nest<3>(
        extents_, {strides_of(y_block), strides_of(x_block), channel_strides(extents_.size())});
    T* y = data_of<T>(y_block);
    const T* x = data_of<T>(x_block);
    const auto step = nest.stride[0];
    const std::int64_t y_run = step[0], x_run = step[1], channel_run = step[2];
    if_contiguous(y_run == 1 && x_run == 1, [&](auto contiguous) {
      for_tiles(space, "soapstone::batch_norm::normalize", nest, [=](const Tile<3>& tile) {
        const auto y_step = step_of(contiguous, y_run), x_step = step_of(contiguous, x_run);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = y + tile.offset[0] + r * nest.stride[1][0];
          const T* from = x + tile.offset[1] + r * nest.stride[1][1];
          const W* mean = table + tile.offset[2] + r * nest.stride[1][2];
          const W *factor = mean + channels, *shift = factor + channels;
          if (channel_run == 0) {
            const W m = *mean, f = *factor, b = *shift;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * y_step] = (from[j * x_step] - m) * f + b;
          } else {
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * y_step] = (from[j * x_step] - mean[j]) * factor[j] + shift[j];
          }
        }
      });
    });
  }

  void backward_input(const StepCall& call) const {
    const Space space;
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y"),
                &dx_block = steps_.gradient(call, "x");
    if (dx_block.data == nullptr) return;
    // dx = factor dy - (x - mean) slope - shift.
    auto* table = static_cast<W*>(call.workspace);  // [4][c]
    const std::int64_t channels = channels_;
    const auto sums = strided<double>(steps_.value(call, "sums"));
    const auto grad_sums = strided<double>(steps_.value(call, "grad_sums"));
    const W* gamma = data_of<W>(steps_.value(call, "gamma"));
    const double count = count_, epsilon = epsilon_;
    parallel_for(
        space, "soapstone::batch_norm::backward_input_factors", channels, [=](std::int64_t c) {
          const Statistics s = statistics_of(sums, c, count, epsilon);
          const double factor = static_cast<double>(gamma[c]) * s.rstd;
          table[c] = static_cast<W>(s.mean);
          table[channels + c] = static_cast<W>(factor);
          table[2 * channels + c] = static_cast<W>(factor * s.rstd * grad_sums(1, c) / count);
          table[3 * channels + c] = static_cast<W>(factor * grad_sums(0, c) / count);
        });
    const auto nest =
        make_nest<4>(extents_, {strides_of(dx_block), strides_of(x_block), strides_of(dy_block),
                                channel_strides(extents_.size())});
    T* dx = data_of<T>(dx_block);
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const auto run = nest.stride[0];
    const std::int64_t dx_run = run[0], x_run = run[1], dy_run = run[2], channel_run = run[3];
    if_contiguous(dx_run == 1 && x_run == 1 && dy_run == 1, [&](auto contiguous) {
      for_tiles(space, "soapstone::batch_norm::backward_input", nest, [=](const Tile<4>& tile) {
        const auto dx_step = step_of(contiguous, dx_run), x_step = step_of(contiguous, x_run),
                   dy_step = step_of(contiguous, dy_run);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          const auto& step = nest.stride[1];
          T* to = dx + tile.offset[0] + r * step[0];
          const T* at = x + tile.offset[1] + r * step[1];
          const T* gradient = dy + tile.offset[2] + r * step[2];
          const W* mean = table + tile.offset[3] + r * step[3];
          const W *factor = mean + channels, *slope = factor + channels, *shift = slope + channels;
          if (channel_run == 0) {
            const W m = *mean, f = *factor, s = *slope, b = *shift;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * dx_step] = gradient[j * dy_step] * f - (at[j * x_step] - m) * s - b;
          } else {
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * dx_step] = gradient[j * dy_step] * factor[j] -
                                (at[j * x_step] - mean[j]) * slope[j] - shift[j];
          }
        }
      });
    });
  }

  void backward_weight(const StepCall& call) const {
    W* dgamma = static_cast<W*>(steps_.gradient(call, "gamma").data);
    W* dbeta = static_cast<W*>(steps_.gradient(call, "beta").data);
    const auto grad_sums = strided<double>(steps_.value(call, "grad_sums"));
    parallel_for(Space(), "soapstone::batch_norm::backward_weight", channels_, [=](std::int64_t c) {
      if (dgamma != nullptr) dgamma[c] = static_cast<W>(grad_sums(1, c));
      if (dbeta != nullptr) dbeta[c] = static_cast<W>(grad_sums(0, c));
    });
  }

  StepTable steps_;
  double epsilon_;
  double momentum_;
  double count_ = 1;     // elements of a channel in the whole tensor
  core::Shape extents_;  // of this part of x
  std::int64_t channels_ = 0;
};

}  // namespace

std::unique_ptr<PreparedKernel> batch_norm_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating_or_bf16<BatchNormKernel>(problem);
}

}  // namespace soapstone::kernels
