// interaction: y = (x0, x_i · x_j for i > j, row by row), dx_i = Σ_{j ≠ i} dy_ij x_j, dx_0 also the
// gradient of y's first d elements; see core/ops/interaction.hpp.
//
// Shapes: the inputs x_i and their gradients [n, d], y, dy [n, d + pairs]. Any order; all
// overwritten. Sums are in double. Parallel over samples, whose vectors are read again from cache.
#include <algorithm>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class InteractionKernel final : public PreparedKernel {
 public:
  explicit InteractionKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    for (const int k : problem.definition->operands_of(core::OperandRole::kInput))
      names_.push_back(problem.definition->operands[k].name);
    features_ = problem.axes[problem.definition->axis("d")].extent();
    samples_ = problem.axes[problem.definition->axis("n")].extent();
  }

  // Where the inputs and their gradients lie, and the vectors of one sample for every piece of
  // them.
  core::Bytes workspace() const override {
    return core::Bytes(2 * inputs() * static_cast<std::int64_t>(sizeof(Rows<T>)) +
                       std::min(samples_, kPieces) * features_ * padded(inputs()) *
                           static_cast<std::int64_t>(sizeof(double)));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("interaction/kokkos", steps_.name(call));
  }

 private:
  static constexpr std::int64_t kLeft = 4, kRight = 8;  // products at a time
  static constexpr std::int64_t kPieces = 64;           // of the samples
  static std::int64_t padded(std::int64_t inputs) {
    return (inputs + kRight - 1) / kRight * kRight;
  }
  std::int64_t inputs() const { return static_cast<std::int64_t>(names_.size()); }
  std::int64_t samples_at_a_time() const {
    return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, inputs() * features_));
  }
  static bool is_contiguous(const Rows<T>* rows, std::int64_t count) {
    return std::all_of(rows, rows + count, [](const Rows<T>& r) { return r.step == 1; });
  }

  const Rows<T>* inputs_of(const StepCall& call) const {
    auto* rows = static_cast<Rows<T>*>(call.workspace);
    for (std::int64_t k = 0; k < inputs(); ++k)
      new (rows + k) Rows<T>(rows_of<T>(steps_.value(call, names_[static_cast<std::size_t>(k)])));
    return rows;
  }
  // Those that are wanted; the others have no data.
  const Rows<T>* gradients_of(const StepCall& call) const {
    auto* rows = static_cast<Rows<T>*>(call.workspace) + inputs();
    for (std::int64_t k = 0; k < inputs(); ++k) {
      const Block& block = steps_.gradient(call, names_[static_cast<std::size_t>(k)]);
      new (rows + k) Rows<T>(block.data == nullptr ? Rows<T>() : rows_of<T>(block));
    }
    return rows;
  }
  // The place of x_i · x_j, j < i, among the products.
  static std::int64_t pair(std::int64_t i, std::int64_t j) { return i * (i - 1) / 2 + j; }

  void forward(const StepCall& call) const {
    const Block& y_block = steps_.value(call, "y");
    if (y_block.data == nullptr) return;
    const std::int64_t d = features_, count = inputs();
    const auto y = rows_of<T>(y_block);
    const Rows<T>* x = inputs_of(call);
    auto* scratch = reinterpret_cast<double*>(static_cast<Rows<T>*>(call.workspace) + 2 * count);
    const std::int64_t grain = std::max<std::int64_t>(1, (samples_ + kPieces - 1) / kPieces);
    if_contiguous(y.step == 1 && is_contiguous(x, count), [&](auto contiguous) {
      parallel_for_chunks(Space(), "soapstone::interaction::forward", samples_, grain,
                          [=](std::int64_t begin, std::int64_t end) {
                            const auto y_step = step_of(contiguous, y.step);
                            double* wide = scratch + begin / grain * d * padded(count);
                            std::fill_n(wide, d * padded(count), 0.0);
                            for (std::int64_t n = begin; n < end; ++n) {
                              T* to = y.row(n);
                              for (std::int64_t i = 0; i < count; ++i) {
                                const T* from = x[i].row(n);
                                const auto step = step_of(contiguous, x[i].step);
                                for (std::int64_t f = 0; f < d; ++f)
                                  wide[f * padded(count) + i] = static_cast<double>(from[f * step]);
                                for (std::int64_t f = 0; i == 0 && f < d; ++f)
                                  to[f * y_step] = from[f * step];
                              }
                              products(wide, count, d, to + d * y_step, y_step);
                            }
                          });
    });
  }

  // x_i · x_j of one sample, at to[pair(i, j) * step], from the vectors in `wide` [d, padded], side
  // by side and in double. Blocks of kLeft by kRight products add up in registers.
  static void products(const double* wide, std::int64_t count, std::int64_t d, T* to,
                       std::int64_t step) {
    const std::int64_t beside = padded(count);
    for (std::int64_t i0 = 0; i0 < count; i0 += kLeft)
      for (std::int64_t j0 = 0; j0 < std::min(count, i0 + kLeft); j0 += kRight) {
        double sums[kLeft][kRight] = {};
        for (std::int64_t f = 0; f < d; ++f) {
          const double* row = wide + f * beside;
          for (std::int64_t i = 0; i < kLeft; ++i) {
            const double value = row[i0 + i];
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < kRight; ++j) sums[i][j] += value * row[j0 + j];
          }
        }
        for (std::int64_t i = i0; i < std::min(i0 + kLeft, count); ++i)
          for (std::int64_t j = j0; j < std::min(j0 + kRight, i); ++j)
            to[pair(i, j) * step] = static_cast<T>(sums[i - i0][j - j0]);
      }
  }

  void backward(const StepCall& call) const {
    const Block& dy_block = steps_.gradient(call, "y");
    if (dy_block.data == nullptr) return;
    const std::int64_t d = features_, count = inputs();
    const auto dy = rows_of<T>(dy_block);
    const Rows<T>* x = inputs_of(call);
    const Rows<T>* dx = gradients_of(call);
    if_contiguous(
        dy.step == 1 && is_contiguous(x, count) && is_contiguous(dx, count), [&](auto contiguous) {
          parallel_for_chunks(Space(), "soapstone::interaction::backward_input", samples_,
                              samples_at_a_time(), [=](std::int64_t begin, std::int64_t end) {
                                constexpr std::int64_t kColumns = 64;
                                const auto dy_step = step_of(contiguous, dy.step);
                                for (std::int64_t n = begin; n < end; ++n) {
                                  const T* gradient = dy.row(n);
                                  for (std::int64_t i = 0; i < count; ++i) {
                                    if (dx[i].data == nullptr) continue;
                                    T* to = dx[i].row(n);
                                    const auto to_step = step_of(contiguous, dx[i].step);
                                    const auto columns = [&](std::int64_t f0, auto width) {
                                      double sums[kColumns];  // NOLINT: filled
                                      for (std::int64_t f = 0; f < width; ++f)
                                        sums[f] = i == 0 ? gradient[(f0 + f) * dy_step] : T(0);
                                      for (std::int64_t j = 0; j < count; ++j) {
                                        if (j == i) continue;
                                        const std::int64_t place = j < i ? pair(i, j) : pair(j, i);
                                        const double factor = gradient[(d + place) * dy_step];
                                        const auto from_step = step_of(contiguous, x[j].step);
                                        const T* from = x[j].row(n) + f0 * from_step;
                                        SOAPSTONE_SIMD
                                        for (std::int64_t f = 0; f < width; ++f)
                                          sums[f] +=
                                              factor * static_cast<double>(from[f * from_step]);
                                      }
                                      for (std::int64_t f = 0; f < width; ++f)
                                        to[(f0 + f) * to_step] = static_cast<T>(sums[f]);
                                    };
                                    // Sums of a number of columns that is known stay in registers.
                                    std::int64_t f0 = 0;
                                    for (; f0 + kColumns <= d; f0 += kColumns)
                                      columns(f0, std::integral_constant<std::int64_t, kColumns>());
                                    if (f0 < d) columns(f0, d - f0);
                                  }
                                }
                              });
        });
  }

  StepTable steps_;
  std::vector<std::string> names_;  // of the inputs
  std::int64_t features_ = 0, samples_ = 0;
};

}  // namespace

std::unique_ptr<PreparedKernel> interaction_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<InteractionKernel>(problem);
}

}  // namespace soapstone::kernels
