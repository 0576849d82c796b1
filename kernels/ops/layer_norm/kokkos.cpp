// layer_norm: y = gamma x̂ + beta, x̂ = (x - mean) rstd over the last dimension; see
// core/ops/layer_norm.hpp. With g = dy gamma and means over the last dimension:
//   dx = rstd (g - mean(g) - x̂ mean(g x̂)), dgamma = Σ_rows dy x̂, dbeta = Σ_rows dy.
//
// Shapes: x, y, dy, dx [n, …, c]; statistics [n, …, 2] = (mean, rstd); gamma, beta [c]. Any order;
// all overwritten. Parallel over rows, a row being read again from cache; the variance is that of
// the differences from the mean. The sums over rows are in double. Words moved per element: forward
// 2, backward_input 3, backward_weight 2.
#include <cmath>

#include "core/ops/layer_norm.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class LayerNormKernel final : public PreparedKernel {
  using W = WideOf<T>;  // of weights and statistics

 public:
  explicit LayerNormKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        epsilon_(static_cast<W>(problem.op.get_if<core::LayerNorm>()->epsilon)),
        channels_(core::elements(problem.box(problem.definition->operand("gamma")))) {}

  core::Bytes workspace() const override { return SumNest<4>::workspace(channels_, 2); }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_input") return backward_input(call);
    if (steps_.name(call) == "backward_weight") return backward_weight(call);
    unknown_step("layer_norm/kokkos", steps_.name(call));
  }

 private:
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, columns));
  }

  void forward(const StepCall& call) const {
    const auto x = rows_of<T>(steps_.value(call, "x")), y = rows_of<T>(steps_.value(call, "y"));
    const auto statistics = rows_of<W>(steps_.value(call, "statistics"));
    const W* gamma = data_of<W>(steps_.value(call, "gamma"));
    const W* beta = data_of<W>(steps_.value(call, "beta"));
    const W epsilon = epsilon_;
    if (y.data == nullptr) return;
    if_contiguous(x.step == 1 && y.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::layer_norm::forward", x.count, rows_at_a_time(x.columns),
          [=](std::int64_t begin, std::int64_t end) {
            const std::int64_t c = x.columns;
            const auto x_step = step_of(contiguous, x.step), y_step = step_of(contiguous, y.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* from = x.row(r);
              T* to = y.row(r);
              W sum = 0;
              SOAPSTONE_SIMD_SUM(sum)
              for (std::int64_t j = 0; j < c; ++j) sum += from[j * x_step];
              const W mean = sum / static_cast<W>(c);
              W squares = 0;
              SOAPSTONE_SIMD_SUM(squares)
              for (std::int64_t j = 0; j < c; ++j) {
                const W d = from[j * x_step] - mean;
                squares += d * d;
              }
              const W rstd = W(1) / std::sqrt(squares / static_cast<W>(c) + epsilon);
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < c; ++j)
                to[j * y_step] = (from[j * x_step] - mean) * rstd * gamma[j] + beta[j];
              W* s = statistics.row(r);
              s[0] = mean;
              s[statistics.step] = rstd;
            }
          });
    });
  }

  void backward_input(const StepCall& call) const {
    if (steps_.gradient(call, "x").data == nullptr) return;
    const auto x = rows_of<T>(steps_.value(call, "x")), dy = rows_of<T>(steps_.gradient(call, "y")),
               dx = rows_of<T>(steps_.gradient(call, "x"));
    const auto statistics = rows_of<W>(steps_.value(call, "statistics"));
    const W* gamma = data_of<W>(steps_.value(call, "gamma"));
    if_contiguous(x.step == 1 && dy.step == 1 && dx.step == 1, [&](auto contiguous) {
      parallel_for_chunks(Space(), "soapstone::layer_norm::backward_input", x.count,
                          rows_at_a_time(x.columns), [=](std::int64_t begin, std::int64_t end) {
                            const std::int64_t c = x.columns;
                            const auto x_step = step_of(contiguous, x.step),
                                       dy_step = step_of(contiguous, dy.step),
                                       dx_step = step_of(contiguous, dx.step);
                            for (std::int64_t r = begin; r < end; ++r) {
                              const T* at = x.row(r);
                              const T* gradient = dy.row(r);
                              T* to = dx.row(r);
                              const W* s = statistics.row(r);
                              const W mean = s[0], rstd = s[statistics.step];
                              W sum = 0, along = 0;  // Σ g, Σ g (x - mean)
                              SOAPSTONE_SIMD_SUM(sum, along)
                              for (std::int64_t j = 0; j < c; ++j) {
                                const W g = gradient[j * dy_step] * gamma[j];
                                sum += g;
                                along += g * (at[j * x_step] - mean);
                              }
                              const W shift = sum / static_cast<W>(c);
                              const W slope = along * rstd * rstd / static_cast<W>(c);
                              SOAPSTONE_SIMD
                              for (std::int64_t j = 0; j < c; ++j)
                                to[j * dx_step] = rstd * (gradient[j * dy_step] * gamma[j] - shift -
                                                          (at[j * x_step] - mean) * slope);
                            }
                          });
    });
  }

  void backward_weight(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y"),
                &statistics_block = steps_.value(call, "statistics");
    W* dgamma = static_cast<W*>(steps_.gradient(call, "gamma").data);
    W* dbeta = static_cast<W*>(steps_.gradient(call, "beta").data);
    const std::size_t last = x_block.box.size() - 1;
    core::Shape extents = core::extents(x_block.box);
    if (x_block.size() == 0) {  // no rows
      for (std::size_t d = 0; d < last; ++d) extents[d] = 0;
      extents[last] = channels_;
    }
    Strides statistics_strides = strides_of(statistics_block), out_strides(last + 1, 0);
    const std::int64_t statistics_step = statistics_strides[last];
    statistics_strides[last] = 0;
    out_strides[last] = 1;
    const auto nest = make_sum_nest<4>(
        extents, {strides_of(x_block), strides_of(dy_block), statistics_strides, out_strides},
        [&](std::size_t d) { return d != last; });
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const W* statistics = data_of<W>(statistics_block);
    const auto& run = nest.columns ? nest.kept : nest.summed;
    const int row_level = nest.columns ? 0 : 1;
    const bool all_one = run.stride[0][0] == 1 && run.stride[0][1] == 1;
    if_contiguous(nest.columns && all_one, [&](auto contiguous) {
      sum_tiles<2>(
          Space(), "soapstone::layer_norm::backward_weight", nest, call.workspace,
          [=](const Tile<4>& tile, auto& sums) {
            const auto& level = nest.columns ? nest.kept : nest.summed;
            const auto x_step = step_of(contiguous, level.stride[0][0]),
                       dy_step = step_of(contiguous, level.stride[0][1]);
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const auto& step = nest.summed.stride[row_level];
              const T* at = x + tile.offset[0] + r * step[0];
              const T* gradient = dy + tile.offset[1] + r * step[1];
              const W* s = statistics + tile.offset[2] + r * step[2];
              if (nest.columns) {
                const W mean = s[0], rstd = s[statistics_step];
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const W g = gradient[j * dy_step];
                  sums[0][j] += g * ((at[j * x_step] - mean) * rstd);
                  sums[1][j] += g;
                }
              } else {
                const std::int64_t s_step = level.stride[0][2];
                double along = 0, sum = 0;
                SOAPSTONE_SIMD_SUM(along, sum)
                for (std::int64_t j = 0; j < tile.count; ++j) {
                  const W g = gradient[j * dy_step];
                  along += g * ((at[j * x_step] - s[j * s_step]) * s[j * s_step + statistics_step]);
                  sum += g;
                }
                sums[0][0] += along;
                sums[1][0] += sum;
              }
            }
          },
          [=](std::int64_t offset, const double* sums) {
            if (dgamma != nullptr) dgamma[offset] = static_cast<W>(sums[0]);
            if (dbeta != nullptr) dbeta[offset] = static_cast<W>(sums[1]);
          });
    });
  }

  StepTable steps_;
  W epsilon_;
  std::int64_t channels_;
};

}  // namespace

std::unique_ptr<PreparedKernel> layer_norm_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating_or_bf16<LayerNormKernel>(problem);
}

}  // namespace soapstone::kernels
