// softmax: y = e^x / Σ e^x over the last dimension, or its logarithm; dx = y (dy - Σ dy y), or
// dy - e^y Σ dy; see core/ops/softmax.hpp.
//
// Shapes: x, y, dy, dx [n, …, c]. Any order; all overwritten. Parallel over rows, a row being read
// again from cache. The largest x of a row is subtracted first; sums are in double. Forward moves 2
// words per element, backward 3.
#include <cmath>

#include "core/ops/softmax.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class SoftmaxKernel final : public PreparedKernel {
 public:
  explicit SoftmaxKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition), log_(problem.op.get_if<core::Softmax>()->log) {}

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward")
      return forward(steps_.value(call, "x"), steps_.value(call, "y"));
    if (steps_.name(call) == "backward_input")
      return backward(steps_.value(call, "y"), steps_.gradient(call, "y"),
                      steps_.gradient(call, "x"));
    unknown_step("softmax/kokkos", steps_.name(call));
  }

 private:
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, columns));
  }

  void forward(const Block& x_block, const Block& y_block) const {
    if (y_block.data == nullptr) return;
    const auto x = rows_of<T>(x_block), y = rows_of<T>(y_block);
    const bool log = log_;
    if_contiguous(x.step == 1 && y.step == 1, [&](auto contiguous) {
      parallel_for_chunks(Space(), "soapstone::softmax::forward", x.count,
                          rows_at_a_time(x.columns), [=](std::int64_t begin, std::int64_t end) {
                            const auto x_step = step_of(contiguous, x.step),
                                       y_step = step_of(contiguous, y.step);
                            for (std::int64_t r = begin; r < end; ++r) {
                              const T* from = x.row(r);
                              T* to = y.row(r);
                              T largest = from[0];
                              SOAPSTONE_SIMD_MAX(largest)
                              for (std::int64_t j = 0; j < x.columns; ++j)
                                largest = from[j * x_step] > largest ? from[j * x_step] : largest;
                              double sum = 0;
                              SOAPSTONE_SIMD_SUM(sum)
                              for (std::int64_t j = 0; j < x.columns; ++j) {
                                const T power = exponential(from[j * x_step] - largest);
                                to[j * y_step] = power;
                                sum += static_cast<double>(power);
                              }
                              if (log) {
                                const T shift = static_cast<T>(std::log(sum));
                                SOAPSTONE_SIMD
                                for (std::int64_t j = 0; j < x.columns; ++j)
                                  to[j * y_step] = (from[j * x_step] - largest) - shift;
                              } else {
                                const T scale = static_cast<T>(1 / sum);
                                SOAPSTONE_SIMD
                                for (std::int64_t j = 0; j < x.columns; ++j)
                                  to[j * y_step] *= scale;
                              }
                            }
                          });
    });
  }

  void backward(const Block& y_block, const Block& dy_block, const Block& dx_block) const {
    if (dx_block.data == nullptr) return;
    const auto y = rows_of<T>(y_block), dy = rows_of<T>(dy_block), dx = rows_of<T>(dx_block);
    const bool log = log_;
    if_contiguous(y.step == 1 && dy.step == 1 && dx.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::softmax::backward_input", y.count, rows_at_a_time(y.columns),
          [=](std::int64_t begin, std::int64_t end) {
            const auto y_step = step_of(contiguous, y.step), dy_step = step_of(contiguous, dy.step),
                       dx_step = step_of(contiguous, dx.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* at = y.row(r);
              const T* gradient = dy.row(r);
              T* to = dx.row(r);
              double sum = 0;
              if (log) {
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < y.columns; ++j)
                  sum += static_cast<double>(gradient[j * dy_step]);
                const T total = static_cast<T>(sum);
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < y.columns; ++j)
                  to[j * dx_step] = gradient[j * dy_step] - exponential(at[j * y_step]) * total;
              } else {
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < y.columns; ++j)
                  sum += static_cast<double>(gradient[j * dy_step] * at[j * y_step]);
                const T total = static_cast<T>(sum);
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < y.columns; ++j)
                  to[j * dx_step] = at[j * y_step] * (gradient[j * dy_step] - total);
              }
            }
          });
    });
  }

  StepTable steps_;
  bool log_;
};

}  // namespace

std::unique_ptr<PreparedKernel> softmax_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<SoftmaxKernel>(problem);
}

}  // namespace soapstone::kernels
