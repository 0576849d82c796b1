// rms_norm: y = gamma x r, r = 1/√(mean(x²) + epsilon) over the last dimension; see
// core/ops/rms_norm.hpp. With g = dy gamma:
//   dx = r (g - x r² mean(g x)), dgamma = Σ_rows dy x r.
//
// Shapes: x, y, dy, dx [n, …, c]; inverse_rms [n, …] = r; gamma [c]. Any order; all overwritten.
// Parallel over rows, a row being read again from cache; sums are in double. Words moved per
// element: forward 2, backward_input 3, backward_weight 2.
#include <cmath>

#include "core/ops/rms_norm.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class RmsNormKernel final : public PreparedKernel {
 public:
  explicit RmsNormKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        epsilon_(problem.op.get_if<core::RmsNorm>()->epsilon),
        channels_(core::elements(problem.box(problem.definition->operand("gamma")))) {}

  core::Bytes workspace() const override { return SumNest<4>::workspace(channels_, 1); }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_input") return backward_input(call);
    if (steps_.name(call) == "backward_weight") return backward_weight(call);
    unknown_step("rms_norm/kokkos", steps_.name(call));
  }

 private:
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, columns));
  }

  void forward(const StepCall& call) const {
    const auto x = rows_of<T>(steps_.value(call, "x")), y = rows_of<T>(steps_.value(call, "y"));
    const auto inverse_rms = rows_of<T>(steps_.value(call, "inverse_rms"), Trailing::kNone);
    const T* gamma = data_of<T>(steps_.value(call, "gamma"));
    const double epsilon = epsilon_;
    if (y.data == nullptr) return;
    if_contiguous(x.step == 1 && y.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::rms_norm::forward", x.count, rows_at_a_time(x.columns),
          [=](std::int64_t begin, std::int64_t end) {
            const std::int64_t c = x.columns;
            const auto x_step = step_of(contiguous, x.step), y_step = step_of(contiguous, y.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* from = x.row(r);
              T* to = y.row(r);
              double squares = 0;
              SOAPSTONE_SIMD_SUM(squares)
              for (std::int64_t j = 0; j < c; ++j) {
                const double v = from[j * x_step];
                squares += v * v;
              }
              const T scale =
                  static_cast<T>(1 / std::sqrt(squares / static_cast<double>(c) + epsilon));
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < c; ++j)
                to[j * y_step] = from[j * x_step] * scale * gamma[j];
              *inverse_rms.row(r) = scale;
            }
          });
    });
  }

  void backward_input(const StepCall& call) const {
    if (steps_.gradient(call, "x").data == nullptr) return;
    const auto x = rows_of<T>(steps_.value(call, "x")), dy = rows_of<T>(steps_.gradient(call, "y")),
               dx = rows_of<T>(steps_.gradient(call, "x"));
    const auto inverse_rms = rows_of<T>(steps_.value(call, "inverse_rms"), Trailing::kNone);
    const T* gamma = data_of<T>(steps_.value(call, "gamma"));
    if_contiguous(x.step == 1 && dy.step == 1 && dx.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::rms_norm::backward_input", x.count, rows_at_a_time(x.columns),
          [=](std::int64_t begin, std::int64_t end) {
            const std::int64_t c = x.columns;
            const auto x_step = step_of(contiguous, x.step), dy_step = step_of(contiguous, dy.step),
                       dx_step = step_of(contiguous, dx.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* at = x.row(r);
              const T* gradient = dy.row(r);
              T* to = dx.row(r);
              double along = 0;  // Σ g x
              SOAPSTONE_SIMD_SUM(along)
              for (std::int64_t j = 0; j < c; ++j)
                along += static_cast<double>(gradient[j * dy_step]) *
                         static_cast<double>(gamma[j]) * static_cast<double>(at[j * x_step]);
              const T scale = *inverse_rms.row(r);
              const double r1 = scale;
              const T slope = static_cast<T>(along * r1 * r1 / static_cast<double>(c));
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < c; ++j)
                to[j * dx_step] =
                    scale * (gradient[j * dy_step] * gamma[j] - at[j * x_step] * slope);
            }
          });
    });
  }

  void backward_weight(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y"),
                &inverse_rms_block = steps_.value(call, "inverse_rms"),
                &dgamma_block = steps_.gradient(call, "gamma");
    if (dgamma_block.data == nullptr) return;
    const std::size_t last = x_block.box.size() - 1;
    core::Shape extents = core::extents(x_block.box);
    if (x_block.size() == 0) {  // no rows
      for (std::size_t d = 0; d < last; ++d) extents[d] = 0;
      extents[last] = channels_;
    }
    Strides row_strides = strides_of(inverse_rms_block), out_strides(last + 1, 0);
    row_strides.push_back(0);
    out_strides[last] = 1;
    const auto nest = make_sum_nest<4>(
        extents, {strides_of(x_block), strides_of(dy_block), row_strides, out_strides},
        [&](std::size_t d) { return d != last; });
    T* dgamma = data_of<T>(dgamma_block);
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const T* inverse_rms = data_of<T>(inverse_rms_block);
    const auto& run = (nest.columns ? nest.kept : nest.summed).stride[0];
    const std::int64_t x_run = run[0], dy_run = run[1], scale_run = run[2];
    const auto& rows = nest.summed.stride[nest.columns ? 0 : 1];
    const std::int64_t x_row = rows[0], dy_row = rows[1], scale_row = rows[2];
    if_contiguous(nest.columns && x_run == 1 && dy_run == 1, [&](auto contiguous) {
      sum_tiles<1>(
          Space(), "soapstone::rms_norm::backward_weight", nest, call.workspace,
          [=](const Tile<4>& tile, auto& sums) {
            const auto x_step = step_of(contiguous, x_run), dy_step = step_of(contiguous, dy_run);
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* at = x + tile.offset[0] + r * x_row;
              const T* gradient = dy + tile.offset[1] + r * dy_row;
              const T* scale = inverse_rms + tile.offset[2] + r * scale_row;
              if (nest.columns) {
                const double s = *scale;
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j)
                  sums[0][j] += static_cast<double>(gradient[j * dy_step]) *
                                (static_cast<double>(at[j * x_step]) * s);
              } else {
                double sum = 0;
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < tile.count; ++j)
                  sum += static_cast<double>(gradient[j * dy_step]) *
                         (static_cast<double>(at[j * x_step]) *
                          static_cast<double>(scale[j * scale_run]));
                sums[0][0] += sum;
              }
            }
          },
          [=](std::int64_t offset, const double* sums) {
            dgamma[offset] = static_cast<T>(sums[0]);
          });
    });
  }

  StepTable steps_;
  double epsilon_;
  std::int64_t channels_;
};

}  // namespace

std::unique_ptr<PreparedKernel> rms_norm_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<RmsNormKernel>(problem);
}

}  // namespace soapstone::kernels
