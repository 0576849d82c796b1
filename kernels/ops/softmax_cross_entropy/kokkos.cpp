// softmax_cross_entropy: loss = Σ_rows (lse - logits[label]) / count, lse = log Σ_c exp(logits);
// dlogits = (exp(logits - lse) - [c = label]) / count; see core/ops/softmax_cross_entropy.hpp.
//
// Shapes: logits, dlogits [n, …, c]; labels, lse [n, …]; loss, correct, labelled, top5 [1]. Any
// order; all overwritten, the scalars with the share of this part's rows. lse = max + log Σ
// exp(logits - max). The scalars are added up in double, by pieces of rows that do not depend on
// threads. Forward and top5 read every logit once from memory, backward reads and writes it.
// A label kNoLabel adds nothing; another one outside [0, c) makes the loss and the row's gradient
// NaN.
#include <cmath>
#include <limits>

#include "core/ops/softmax_cross_entropy.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class SoftmaxCrossEntropyKernel final : public PreparedKernel {
 public:
  explicit SoftmaxCrossEntropyKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition) {
    const core::OpDefinition& definition = *problem.definition;
    const auto mean_over = problem.op.get_if<core::SoftmaxCrossEntropy>()->mean_over;
    const int labels = definition.operand("labels");
    count_ = mean_over > 0 ? mean_over : core::elements(definition.operands[labels].desc.shape);
    rows_ = core::elements(problem.box(labels));
  }

  core::Bytes workspace() const override {
    return core::Bytes(3 * pieces() * static_cast<std::int64_t>(sizeof(double)));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "top5") return top5(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("softmax_cross_entropy/kokkos", steps_.name(call));
  }

 private:
  static constexpr std::int64_t kMostPieces = 256;
  std::int64_t rows_per_piece() const {
    return std::max<std::int64_t>(1, (rows_ + kMostPieces - 1) / kMostPieces);
  }
  std::int64_t pieces() const { return (rows_ + rows_per_piece() - 1) / rows_per_piece(); }

  void forward(const StepCall& call) const {
    const Space space;
    T* loss = static_cast<T*>(steps_.value(call, "loss").data);
    T* correct = static_cast<T*>(steps_.value(call, "correct").data);
    T* labelled = static_cast<T*>(steps_.value(call, "labelled").data);
    const std::int64_t pieces = this->pieces();
    const double count = static_cast<double>(count_);
    auto* sums = static_cast<double*>(call.workspace);  // [pieces][3]
    if (rows_ > 0) {
      const auto x = rows_of<T>(steps_.value(call, "logits"));
      const auto labels =
          rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
      const auto lse = rows_of<T>(steps_.value(call, "lse"), Trailing::kNone);
      const std::int64_t per_piece = rows_per_piece();
      if_contiguous(x.step == 1, [&](auto contiguous) {
        parallel_for_chunks(space, "soapstone::softmax_cross_entropy::forward", x.count, per_piece,
                            [=](std::int64_t begin, std::int64_t end) {
                              const auto step = step_of(contiguous, x.step);
                              double piece_loss = 0, piece_correct = 0, piece_labelled = 0;
                              for (std::int64_t r = begin; r < end; ++r) {
                                const T* row = x.row(r);
                                T largest = row[0];
                                SOAPSTONE_SIMD_MAX(largest)
                                for (std::int64_t j = 0; j < x.columns; ++j)
                                  largest = row[j * step] > largest ? row[j * step] : largest;
                                T sum = 0;
                                SOAPSTONE_SIMD_SUM(sum)
                                for (std::int64_t j = 0; j < x.columns; ++j)
                                  sum += exponential(row[j * step] - largest);
                                const T total = largest + std::log(sum);
                                *lse.row(r) = total;
                                const std::int64_t label = *labels.row(r);
                                if (label == core::kNoLabel) continue;
                                piece_labelled += 1;
                                if (label < 0 || label >= x.columns) {
                                  piece_loss += std::numeric_limits<double>::quiet_NaN();
                                  continue;
                                }
                                const T logit = row[label * step];
                                piece_loss +=
                                    static_cast<double>(total) - static_cast<double>(logit);
                                bool first = logit == largest;  // the first of equals is the answer
                                for (std::int64_t j = 0; first && j < label; ++j)
                                  first = row[j * step] != largest;
                                piece_correct += first ? 1 : 0;
                              }
                              double* to = sums + 3 * (begin / per_piece);
                              to[0] = piece_loss;
                              to[1] = piece_correct;
                              to[2] = piece_labelled;
                            });
      });
    }
    parallel_for(space, "soapstone::softmax_cross_entropy::forward_sum", 1, [=](std::int64_t) {
      double total_loss = 0, total_correct = 0, total_labelled = 0;
      for (std::int64_t p = 0; p < pieces; ++p) {
        total_loss += sums[3 * p];
        total_correct += sums[3 * p + 1];
        total_labelled += sums[3 * p + 2];
      }
      if (loss != nullptr) *loss = static_cast<T>(total_loss / count);
      if (correct != nullptr) *correct = static_cast<T>(total_correct);
      if (labelled != nullptr) *labelled = static_cast<T>(total_labelled);
    });
  }

  void top5(const StepCall& call) const {
    T* top5 = static_cast<T*>(steps_.value(call, "top5").data);
    if (top5 == nullptr) return;
    const Space space;
    const std::int64_t pieces = this->pieces();
    auto* sums = static_cast<double*>(call.workspace);  // [pieces]
    if (rows_ > 0) {
      const auto x = rows_of<T>(steps_.value(call, "logits"));
      const auto labels =
          rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
      const std::int64_t per_piece = rows_per_piece();
      if_contiguous(x.step == 1, [&](auto contiguous) {
        parallel_for_chunks(space, "soapstone::softmax_cross_entropy::top5", x.count, per_piece,
                            [=](std::int64_t begin, std::int64_t end) {
                              const auto step = step_of(contiguous, x.step);
                              double found = 0;
                              for (std::int64_t r = begin; r < end; ++r) {
                                const T* row = x.row(r);
                                const std::int64_t label = *labels.row(r);
                                if (label < 0 || label >= x.columns) continue;
                                const T logit = row[label * step];
                                std::int32_t ahead = 0;
                                SOAPSTONE_SIMD_SUM(ahead)
                                for (std::int64_t j = 0; j < x.columns; ++j)
                                  ahead += row[j * step] > logit ? 1 : 0;
                                for (std::int64_t j = 0; j < label; ++j)
                                  ahead += row[j * step] == logit ? 1 : 0;
                                found += ahead < core::kTop && logit == logit ? 1 : 0;
                              }
                              sums[begin / per_piece] = found;
                            });
      });
    }
    parallel_for(space, "soapstone::softmax_cross_entropy::top5_sum", 1, [=](std::int64_t) {
      double total = 0;
      for (std::int64_t p = 0; p < pieces; ++p) total += sums[p];
      *top5 = static_cast<T>(total);
    });
  }

  void backward(const StepCall& call) const {
    const Block& dx_block = steps_.gradient(call, "logits");
    if (dx_block.data == nullptr) return;
    const auto x = rows_of<T>(steps_.value(call, "logits")), dx = rows_of<T>(dx_block);
    const auto labels = rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
    const auto lse = rows_of<T>(steps_.value(call, "lse"), Trailing::kNone);
    const T share = static_cast<T>(1 / static_cast<double>(count_));
    if_contiguous(x.step == 1 && dx.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::softmax_cross_entropy::backward_input", x.count,
          std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, x.columns)),
          [=](std::int64_t begin, std::int64_t end) {
            const auto step = step_of(contiguous, x.step), dx_step = step_of(contiguous, dx.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* row = x.row(r);
              T* to = dx.row(r);
              const T total = *lse.row(r);
              const std::int64_t label = *labels.row(r);
              const bool known = label >= 0 && label < x.columns;
              const T scale = known                     ? share
                              : label == core::kNoLabel ? T(0)
                                                        : std::numeric_limits<T>::quiet_NaN();
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < x.columns; ++j)
                to[j * dx_step] = exponential(row[j * step] - total) * scale;
              if (known)
                to[label * dx_step] = (exponential(row[label * step] - total) - T(1)) * scale;
            }
          });
    });
  }

  StepTable steps_;
  std::int64_t count_ = 1;  // labels that the loss is the mean of
  std::int64_t rows_ = 0;   // of this part
};

}  // namespace

std::unique_ptr<PreparedKernel> softmax_cross_entropy_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<SoftmaxCrossEntropyKernel>(problem);
}

}  // namespace soapstone::kernels
