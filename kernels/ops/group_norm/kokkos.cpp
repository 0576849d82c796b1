// group_norm: y = gamma[c] x̂ + beta[c], x̂ = (x - mean) rstd, mean = Σ x / count, rstd = 1/√(Σ x² /
// count - mean² + epsilon), sums over the channels and positions of a group of one sample; see
// core/ops/group_norm.hpp. count = channels of a group × positions of the whole tensor. With g = dy
// gamma[c]:
//   dx = rstd (g - Σ g / count - x̂ Σ (g x̂) / count), dgamma = Σ dy x̂, dbeta = Σ dy over samples and
// positions.
//
// Shapes: x, y, dy, dx [n, c, …] in any order; gamma, beta [c]; sums and grad_sums [n, groups, 2]
// f64, the sums of this part until they are all-reduced. All overwritten. Sums are in double.
// Blocks are walked as [n, group, channel of the group, …]. Words moved per element: statistics 1,
// normalize 2, backward_statistics 2, backward_input 3, backward_weight 2.
#include <cmath>

#include "core/ops/group_norm.hpp"
#include "kernels/detail/moments.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

enum : std::size_t { kSample, kGroup, kChannel };  // dimensions as they are walked

template <class T>
class GroupNormKernel final : public PreparedKernel {
 public:
  explicit GroupNormKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition), epsilon_(problem.op.get_if<core::GroupNorm>()->epsilon) {
    const core::OpDefinition& definition = *problem.definition;
    const core::Shape& whole = definition.operands[definition.operand("x")].desc.shape;
    together_ = whole[1] / problem.op.get_if<core::GroupNorm>()->groups;
    count_ = static_cast<double>(together_);
    for (std::size_t d = 2; d < whole.size(); ++d) count_ *= static_cast<double>(whole[d]);
    for (std::size_t a = 0; a < problem.axes.size(); ++a) {
      extents_.push_back(problem.axes[a].extent());
      if (a == kGroup) extents_.push_back(together_);
    }
    tables_ = extents_[kSample] * extents_[kGroup];
    channels_ = extents_[kGroup] * together_;
  }

  // Partial sums, four numbers per group, or two and partial sums.
  core::Bytes workspace() const override {
    return std::max({SumNest<4>::workspace(tables_, 2), numbers(4),
                     numbers(2) + SumNest<4>::workspace(channels_, 2)});
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "statistics") return statistics(call);
    if (steps_.name(call) == "normalize") return normalize(call);
    if (steps_.name(call) == "backward_statistics") return backward_statistics(call);
    if (steps_.name(call) == "backward_input") return backward_input(call);
    if (steps_.name(call) == "backward_weight") return backward_weight(call);
    unknown_step("group_norm/kokkos", steps_.name(call));
  }

 private:
  core::Bytes numbers(std::int64_t per_group) const {
    return core::Bytes(per_group * tables_ * static_cast<std::int64_t>(sizeof(double)));
  }

  // Strides along the dimensions that are walked: of a block of x, of a table of groups [n,
  // groups], of a table of channels.
  Strides walked(const Block& x) const {
    const Strides own = strides_of(x);
    Strides strides{own[0], own[1] * together_, own[1]};
    for (std::size_t d = 2; d < own.size(); ++d) strides.push_back(own[d]);
    return strides;
  }
  Strides group_strides() const {
    Strides strides(extents_.size(), 0);
    strides[kSample] = extents_[kGroup];
    strides[kGroup] = 1;
    return strides;
  }
  Strides channel_strides() const {
    Strides strides(extents_.size(), 0);
    strides[kGroup] = together_;
    strides[kChannel] = 1;
    return strides;
  }

  struct Statistics {
    double mean, rstd;
  };
  // Of a group, from its complete sums.
  static Statistics statistics_of(const double* sums, double count, double epsilon) {
    const double mean = sums[0] / count;
    const double variance = std::max(0.0, sums[1] / count - mean * mean);
    return {mean, 1 / std::sqrt(variance + epsilon)};
  }

  void statistics(const StepCall& call) const {
    const Block& x_block = steps_.value(call, "x");
    const auto nest = make_sum_nest<2>(extents_, {walked(x_block), group_strides()},
                                       [](std::size_t d) { return d >= kChannel; });
    const T* x = data_of<T>(x_block);
    double* sums = data_of<double>(steps_.value(call, "sums"));
    sum_moments(Space(), "soapstone::group_norm::statistics", nest, call.workspace, x,
                [=](std::int64_t group, const double* total) {
                  sums[2 * group] = total[0];
                  sums[2 * group + 1] = total[1];
                });
  }

  void backward_statistics(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y");
    const auto nest = make_sum_nest<4>(
        extents_, {walked(x_block), walked(dy_block), channel_strides(), group_strides()},
        [](std::size_t d) { return d >= kChannel; });
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const T* gamma = data_of<T>(steps_.value(call, "gamma"));
    const double* sums = data_of<double>(steps_.value(call, "sums"));
    double* grad_sums = data_of<double>(steps_.value(call, "grad_sums"));
    const auto& run = (nest.columns ? nest.kept : nest.summed).stride[0];
    const std::int64_t x_run = run[0], dy_run = run[1], gamma_run = run[2], group_run = run[3];
    const auto& rows = nest.summed.stride[nest.columns ? 0 : 1];
    const std::int64_t x_row = rows[0], dy_row = rows[1], gamma_row = rows[2];
    const double count = count_, epsilon = epsilon_;
    if_contiguous(x_run == 1 && dy_run == 1, [&](auto contiguous) {
      sum_tiles<2>(
          Space(), "soapstone::group_norm::backward_statistics", nest, call.workspace,
          [=](const Tile<4>& tile, auto& into) {
            const auto x_step = step_of(contiguous, x_run), dy_step = step_of(contiguous, dy_run);
            double mean[SumNest<4>::kColumns];
            const std::int64_t groups = nest.columns ? tile.count : 1;
            for (std::int64_t j = 0; j < groups; ++j)
              mean[j] = sums[2 * (tile.offset[3] + j * group_run)] / count;
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* at = x + tile.offset[0] + r * x_row;
              const T* gradient = dy + tile.offset[1] + r * dy_row;
              const T* factor = gamma + tile.offset[2] + r * gamma_row;
              if (nest.columns) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const double g = static_cast<double>(gradient[j * dy_step]) *
                                   static_cast<double>(factor[j * gamma_run]);
                  into[0][j] += g;
                  into[1][j] += g * (static_cast<double>(at[j * x_step]) - mean[j]);
                }
              } else {
                const double middle = mean[0];
                double sum = 0, along = 0;
                SOAPSTONE_SIMD_SUM(sum, along)
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const double g = static_cast<double>(gradient[j * dy_step]) *
                                   static_cast<double>(factor[j * gamma_run]);
                  sum += g;
                  along += g * (static_cast<double>(at[j * x_step]) - middle);
                }
                into[0][0] += sum;
                into[1][0] += along;
              }
            }
          },
          [=](std::int64_t group, const double* total) {
            grad_sums[2 * group] = total[0];
            grad_sums[2 * group + 1] =
                total[1] * statistics_of(sums + 2 * group, count, epsilon).rstd;
          });
    });
  }

  void normalize(const StepCall& call) const {
    const Space space;
    const Block &x_block = steps_.value(call, "x"), &y_block = steps_.value(call, "y");
    if (y_block.data == nullptr) return;
    // y = (x - mean) rstd gamma + beta: the difference first, so that nothing cancels behind the
    // rounding.
    auto* table = static_cast<T*>(call.workspace);  // [2][n groups]
    const std::int64_t tables = tables_;
    const double* sums = data_of<double>(steps_.value(call, "sums"));
    const double count = count_, epsilon = epsilon_;
    parallel_for(space, "soapstone::group_norm::normalize_factors", tables, [=](std::int64_t i) {
      const Statistics s = statistics_of(sums + 2 * i, count, epsilon);
      table[i] = static_cast<T>(s.mean);
      table[tables + i] = static_cast<T>(s.rstd);
    });
    const auto nest = make_nest<4>(
        extents_, {walked(y_block), walked(x_block), group_strides(), channel_strides()});
    T* y = data_of<T>(y_block);
    const T* x = data_of<T>(x_block);
    const T* gamma = data_of<T>(steps_.value(call, "gamma"));
    const T* beta = data_of<T>(steps_.value(call, "beta"));
    const auto& run = nest.stride[0];
    const std::int64_t y_run = run[0], x_run = run[1], group_run = run[2], channel_run = run[3];
    if_contiguous(y_run == 1 && x_run == 1, [&](auto contiguous) {
      for_tiles(space, "soapstone::group_norm::normalize", nest, [=](const Tile<4>& tile) {
        const auto y_step = step_of(contiguous, y_run), x_step = step_of(contiguous, x_run);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          const auto& step = nest.stride[1];
          T* to = y + tile.offset[0] + r * step[0];
          const T* from = x + tile.offset[1] + r * step[1];
          const T* mean = table + tile.offset[2] + r * step[2];
          const T* rstd = mean + tables;
          const T* factor = gamma + tile.offset[3] + r * step[3];
          const T* shift = beta + tile.offset[3] + r * step[3];
          if (group_run == 0 && channel_run == 0) {
            const T m = *mean, f = *rstd * *factor, b = *shift;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * y_step] = (from[j * x_step] - m) * f + b;
          } else if (group_run == 0 && channel_run == 1) {
            const T m = *mean, s = *rstd;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * y_step] = (from[j * x_step] - m) * (s * factor[j]) + shift[j];
          } else {
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * y_step] = (from[j * x_step] - mean[j * group_run]) *
                                   (rstd[j * group_run] * factor[j * channel_run]) +
                               shift[j * channel_run];
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
    // dx = rstd gamma dy - (x - mean) slope - shift.
    auto* table = static_cast<T*>(call.workspace);  // [4][n groups]
    const std::int64_t tables = tables_;
    const double* sums = data_of<double>(steps_.value(call, "sums"));
    const double* grad_sums = data_of<double>(steps_.value(call, "grad_sums"));
    const double count = count_, epsilon = epsilon_;
    parallel_for(
        space, "soapstone::group_norm::backward_input_factors", tables, [=](std::int64_t i) {
          const Statistics s = statistics_of(sums + 2 * i, count, epsilon);
          table[i] = static_cast<T>(s.mean);
          table[tables + i] = static_cast<T>(s.rstd);
          table[2 * tables + i] = static_cast<T>(s.rstd * s.rstd * grad_sums[2 * i + 1] / count);
          table[3 * tables + i] = static_cast<T>(s.rstd * grad_sums[2 * i] / count);
        });
    const auto nest = make_nest<5>(extents_, {walked(dx_block), walked(x_block), walked(dy_block),
                                              group_strides(), channel_strides()});
    T* dx = data_of<T>(dx_block);
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const T* gamma = data_of<T>(steps_.value(call, "gamma"));
    const auto& run = nest.stride[0];
    const std::int64_t dx_run = run[0], x_run = run[1], dy_run = run[2], group_run = run[3],
                       channel_run = run[4];
    if_contiguous(dx_run == 1 && x_run == 1 && dy_run == 1, [&](auto contiguous) {
      for_tiles(space, "soapstone::group_norm::backward_input", nest, [=](const Tile<5>& tile) {
        const auto dx_step = step_of(contiguous, dx_run), x_step = step_of(contiguous, x_run),
                   dy_step = step_of(contiguous, dy_run);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          const auto& step = nest.stride[1];
          T* to = dx + tile.offset[0] + r * step[0];
          const T* at = x + tile.offset[1] + r * step[1];
          const T* gradient = dy + tile.offset[2] + r * step[2];
          const T* mean = table + tile.offset[3] + r * step[3];
          const T *rstd = mean + tables, *slope = rstd + tables, *shift = slope + tables;
          const T* factor = gamma + tile.offset[4] + r * step[4];
          if (group_run == 0 && channel_run == 0) {
            const T m = *mean, f = *rstd * *factor, s = *slope, b = *shift;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * dx_step] = gradient[j * dy_step] * f - (at[j * x_step] - m) * s - b;
          } else if (group_run == 0 && channel_run == 1) {
            const T m = *mean, f = *rstd, s = *slope, b = *shift;
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * dx_step] =
                  gradient[j * dy_step] * (f * factor[j]) - (at[j * x_step] - m) * s - b;
          } else {
            for (std::int64_t j = 0; j < tile.count; ++j) {
              const std::int64_t g = j * group_run;
              to[j * dx_step] = gradient[j * dy_step] * (rstd[g] * factor[j * channel_run]) -
                                (at[j * x_step] - mean[g]) * slope[g] - shift[g];
            }
          }
        }
      });
    });
  }

  void backward_weight(const StepCall& call) const {
    const Space space;
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y");
    T* dgamma = static_cast<T*>(steps_.gradient(call, "gamma").data);
    T* dbeta = static_cast<T*>(steps_.gradient(call, "beta").data);
    auto* table = static_cast<double*>(call.workspace);  // [2][n groups]
    const std::int64_t tables = tables_;
    const double* sums = data_of<double>(steps_.value(call, "sums"));
    const double count = count_, epsilon = epsilon_;
    parallel_for(space, "soapstone::group_norm::backward_weight_factors", tables,
                 [=](std::int64_t i) {
                   const Statistics s = statistics_of(sums + 2 * i, count, epsilon);
                   table[i] = s.mean;
                   table[tables + i] = s.rstd;
                 });
    const auto nest = make_sum_nest<4>(
        extents_, {walked(x_block), walked(dy_block), group_strides(), channel_strides()},
        [](std::size_t d) { return d != kGroup && d != kChannel; });
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const auto& run = (nest.columns ? nest.kept : nest.summed).stride[0];
    const std::int64_t x_run = run[0], dy_run = run[1], group_run = run[2];
    const auto& rows = nest.summed.stride[nest.columns ? 0 : 1];
    const std::int64_t x_row = rows[0], dy_row = rows[1], group_row = rows[2];
    if_contiguous(x_run == 1 && dy_run == 1, [&](auto contiguous) {
      sum_tiles<2>(
          space, "soapstone::group_norm::backward_weight", nest, table + 2 * tables,
          [=](const Tile<4>& tile, auto& into) {
            const auto x_step = step_of(contiguous, x_run), dy_step = step_of(contiguous, dy_run);
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* at = x + tile.offset[0] + r * x_row;
              const T* gradient = dy + tile.offset[1] + r * dy_row;
              const double* mean = table + tile.offset[2] + r * group_row;
              const double* rstd = mean + tables;
              if (nest.columns) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const double g = gradient[j * dy_step];
                  into[0][j] += g * ((static_cast<double>(at[j * x_step]) - mean[j * group_run]) *
                                     rstd[j * group_run]);
                  into[1][j] += g;
                }
              } else {
                double along = 0, sum = 0;
                SOAPSTONE_SIMD_SUM(along, sum)
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const double g = gradient[j * dy_step];
                  along += g * ((static_cast<double>(at[j * x_step]) - mean[j * group_run]) *
                                rstd[j * group_run]);
                  sum += g;
                }
                into[0][0] += along;
                into[1][0] += sum;
              }
            }
          },
          [=](std::int64_t channel, const double* total) {
            if (dgamma != nullptr) dgamma[channel] = static_cast<T>(total[0]);
            if (dbeta != nullptr) dbeta[channel] = static_cast<T>(total[1]);
          });
    });
  }

  StepTable steps_;
  double epsilon_;
  double count_ = 1;           // elements of a group in the whole tensor
  std::int64_t together_ = 1;  // channels of a group
  core::Shape extents_;        // of this part of x as it is walked
  std::int64_t tables_ = 0;    // groups of all samples of this part
  std::int64_t channels_ = 0;
};

}  // namespace

std::unique_ptr<PreparedKernel> group_norm_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<GroupNormKernel>(problem);
}

}  // namespace soapstone::kernels
