// vocab_parallel_cross_entropy: maxima m_b and sums s_b = Σ exp(logits - m_b) of the blocks of
// classes that are here, then lse = m + log Σ_b s_b exp(m_b - m), m = max m_b, and loss = Σ_rows
// (lse - logits[label]) / count; dlogits = (exp(logits - lse) - [c = label]) / count; see
// core/ops/vocab_parallel_cross_entropy.hpp.
//
// Shapes: logits, dlogits [n, …, c of this part's blocks]; statistics [n, …, 2·blocks + 2] of all
// blocks; labels, lse, ahead [n, …]; loss, correct, labelled, top5 [1]. Any order; all overwritten:
// statistics with zeros where another part has the block, ahead with what this part's blocks count,
// the scalars with the share of this part's rows. Blocks are put together and the scalars added up
// in double, by pieces of rows that do not depend on threads. Forward and ahead read every logit
// once from memory, backward reads and writes it.
// A label kNoLabel adds nothing; another one outside [0, c) makes the loss and the row's gradient
// NaN.
#include <cmath>
#include <limits>

#include "core/ops/vocab_parallel_cross_entropy.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/vector_math.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class VocabParallelCrossEntropyKernel final : public PreparedKernel {
 public:
  explicit VocabParallelCrossEntropyKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition) {
    const core::OpDefinition& definition = *problem.definition;
    const auto mean_over = problem.op.get_if<core::VocabParallelCrossEntropy>()->mean_over;
    const int labels = definition.operand("labels"), logits = definition.operand("logits");
    count_ = mean_over > 0 ? mean_over : core::elements(definition.operands[labels].desc.shape);
    rows_ = core::elements(problem.box(labels));
    classes_ = definition.operands[logits].desc.shape.back();
    const int block = definition.axis("block");
    size_ = definition.operands[logits].dims.back().stride;
    blocks_ = definition.axes[block].extent;
    here_ = problem.axes[block];
  }

  core::Bytes workspace() const override {
    return core::Bytes(3 * pieces() * static_cast<std::int64_t>(sizeof(double)));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "maxima") return maxima(call);
    if (steps_.name(call) == "loss") return loss(call);
    if (steps_.name(call) == "ahead") return ahead(call);
    if (steps_.name(call) == "top5") return top5(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("vocab_parallel_cross_entropy/kokkos", steps_.name(call));
  }

 private:
  static constexpr std::int64_t kMostPieces = 256;
  std::int64_t rows_per_piece() const {
    return std::max<std::int64_t>(1, (rows_ + kMostPieces - 1) / kMostPieces);
  }
  std::int64_t pieces() const { return (rows_ + rows_per_piece() - 1) / rows_per_piece(); }
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, columns));
  }

  void maxima(const StepCall& call) const {
    const Block& statistics_block = steps_.value(call, "statistics");
    if (statistics_block.data == nullptr) return;
    const auto x = rows_of<T>(steps_.value(call, "logits"));
    const auto labels = rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
    const auto statistics = rows_of<T>(statistics_block);
    const std::int64_t size = size_, blocks = blocks_;
    const core::Interval here = here_;
    if_contiguous(x.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::vocab_parallel_cross_entropy::maxima", x.count,
          rows_at_a_time(x.columns), [=](std::int64_t begin, std::int64_t end) {
            const auto step = step_of(contiguous, x.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* row = x.row(r);
              T* to = statistics.row(r);
              for (std::int64_t k = 0; k < statistics.columns; ++k) to[k * statistics.step] = T(0);
              const std::int64_t label = *labels.row(r) - here.begin * size;  // among those here
              for (std::int64_t b = here.begin; b < here.end; ++b) {
                const std::int64_t first = (b - here.begin) * size,
                                   width = std::min(size, x.columns - first);
                const T* block = row + first * step;
                T largest = block[0];
                SOAPSTONE_SIMD_MAX(largest)
                for (std::int64_t j = 0; j < width; ++j)
                  largest = block[j * step] > largest ? block[j * step] : largest;
                // A block of classes that are ruled out (-∞) adds nothing.
                const T base = largest == -std::numeric_limits<T>::infinity() ? T(0) : largest;
                T sum = 0;
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < width; ++j) sum += exponential(block[j * step] - base);
                to[b * statistics.step] = largest;
                to[(blocks + b) * statistics.step] = sum;
                if (label < first || label >= first + width) continue;
                const T logit = row[label * step];
                bool is_first = logit == largest;
                for (std::int64_t j = first; is_first && j < label; ++j)
                  is_first = row[j * step] != largest;
                to[2 * blocks * statistics.step] = logit;
                to[(2 * blocks + 1) * statistics.step] = is_first ? T(1) : T(0);
              }
            }
          });
    });
  }

  void loss(const StepCall& call) const {
    const Space space;
    T* loss = static_cast<T*>(steps_.value(call, "loss").data);
    T* correct = static_cast<T*>(steps_.value(call, "correct").data);
    T* labelled = static_cast<T*>(steps_.value(call, "labelled").data);
    const std::int64_t pieces = this->pieces();
    const double count = static_cast<double>(count_);
    auto* sums = static_cast<double*>(call.workspace);  // [pieces][3]
    if (rows_ > 0) {
      const auto statistics = rows_of<T>(steps_.value(call, "statistics"));
      const auto labels =
          rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
      const auto lse = rows_of<T>(steps_.value(call, "lse"), Trailing::kNone);
      const std::int64_t per_piece = rows_per_piece(), blocks = blocks_, size = size_,
                         classes = classes_;
      parallel_for_chunks(
          space, "soapstone::vocab_parallel_cross_entropy::loss", rows_, per_piece,
          [=](std::int64_t begin, std::int64_t end) {
            double piece_loss = 0, piece_correct = 0, piece_labelled = 0;
            for (std::int64_t r = begin; r < end; ++r) {
              const T* row = statistics.row(r);
              std::int64_t best = 0;
              for (std::int64_t b = 1; b < blocks; ++b)
                if (row[b * statistics.step] > row[best * statistics.step]) best = b;
              const double largest = static_cast<double>(row[best * statistics.step]);
              double sum = 0;
              for (std::int64_t b = 0; b < blocks; ++b)
                sum += static_cast<double>(row[(blocks + b) * statistics.step]) *
                       exponential(static_cast<double>(row[b * statistics.step]) - largest);
              const double total = largest + std::log(sum);
              *lse.row(r) = static_cast<T>(total);
              const std::int64_t label = *labels.row(r);
              if (label == core::kNoLabel) continue;
              piece_labelled += 1;
              if (label < 0 || label >= classes) {
                piece_loss += std::numeric_limits<double>::quiet_NaN();
                continue;
              }
              piece_loss += total - static_cast<double>(row[2 * blocks * statistics.step]);
              const bool is_first = row[(2 * blocks + 1) * statistics.step] > T(0);
              piece_correct += is_first && label / size == best ? 1 : 0;
            }
            double* to = sums + 3 * (begin / per_piece);
            to[0] = piece_loss;
            to[1] = piece_correct;
            to[2] = piece_labelled;
          });
    }
    parallel_for(space, "soapstone::vocab_parallel_cross_entropy::loss_sum", 1, [=](std::int64_t) {
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

  void ahead(const StepCall& call) const {
    const Block& ahead_block = steps_.value(call, "ahead");
    if (ahead_block.data == nullptr) return;
    const auto x = rows_of<T>(steps_.value(call, "logits"));
    const auto labels = rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
    const auto statistics = rows_of<T>(steps_.value(call, "statistics"));
    const auto ahead = rows_of<T>(ahead_block, Trailing::kNone);
    const std::int64_t first = here_.begin * size_, of_label = 2 * blocks_;
    if_contiguous(x.step == 1, [&](auto contiguous) {
      parallel_for_chunks(Space(), "soapstone::vocab_parallel_cross_entropy::ahead", x.count,
                          rows_at_a_time(x.columns), [=](std::int64_t begin, std::int64_t end) {
                            const auto step = step_of(contiguous, x.step);
                            for (std::int64_t r = begin; r < end; ++r) {
                              const T* row = x.row(r);
                              const T logit = statistics.row(r)[of_label * statistics.step];
                              std::int32_t count = 0;
                              SOAPSTONE_SIMD_SUM(count)
                              for (std::int64_t j = 0; j < x.columns; ++j)
                                count += row[j * step] > logit ? 1 : 0;
                              const std::int64_t before =
                                  std::min(x.columns, *labels.row(r) - first);
                              for (std::int64_t j = 0; j < before; ++j)
                                count += row[j * step] == logit ? 1 : 0;
                              *ahead.row(r) = static_cast<T>(count);
                            }
                          });
    });
  }

  void top5(const StepCall& call) const {
    T* top5 = static_cast<T*>(steps_.value(call, "top5").data);
    if (top5 == nullptr) return;
    const Space space;
    const std::int64_t pieces = this->pieces();
    auto* sums = static_cast<double*>(call.workspace);  // [pieces]
    if (rows_ > 0) {
      const auto ahead = rows_of<T>(steps_.value(call, "ahead"), Trailing::kNone);
      const auto labels =
          rows_of<const std::int32_t>(steps_.value(call, "labels"), Trailing::kNone);
      const std::int64_t per_piece = rows_per_piece(), classes = classes_;
      parallel_for_chunks(space, "soapstone::vocab_parallel_cross_entropy::top5", rows_, per_piece,
                          [=](std::int64_t begin, std::int64_t end) {
                            double found = 0;
                            for (std::int64_t r = begin; r < end; ++r) {
                              const std::int64_t label = *labels.row(r);
                              if (label < 0 || label >= classes) continue;
                              found += *ahead.row(r) < T(core::kTop) ? 1 : 0;
                            }
                            sums[begin / per_piece] = found;
                          });
    }
    parallel_for(space, "soapstone::vocab_parallel_cross_entropy::top5_sum", 1, [=](std::int64_t) {
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
    const std::int64_t first = here_.begin * size_, classes = classes_;
    if_contiguous(x.step == 1 && dx.step == 1, [&](auto contiguous) {
      parallel_for_chunks(
          Space(), "soapstone::vocab_parallel_cross_entropy::backward_input", x.count,
          rows_at_a_time(x.columns), [=](std::int64_t begin, std::int64_t end) {
            const auto step = step_of(contiguous, x.step), dx_step = step_of(contiguous, dx.step);
            for (std::int64_t r = begin; r < end; ++r) {
              const T* row = x.row(r);
              T* to = dx.row(r);
              const T total = *lse.row(r);
              const std::int64_t label = *labels.row(r), local = label - first;
              const T scale = label >= 0 && label < classes ? share
                              : label == core::kNoLabel     ? T(0)
                                                            : std::numeric_limits<T>::quiet_NaN();
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < x.columns; ++j)
                to[j * dx_step] = exponential(row[j * step] - total) * scale;
              if (label >= 0 && local >= 0 && local < x.columns)
                to[local * dx_step] = (exponential(row[local * step] - total) - T(1)) * scale;
            }
          });
    });
  }

  StepTable steps_;
  std::int64_t count_ = 1;    // labels that the loss is the mean of
  std::int64_t rows_ = 0;     // of this part
  std::int64_t classes_ = 1;  // of the whole
  std::int64_t size_ = 1;     // classes of a block
  std::int64_t blocks_ = 1;   // of the whole
  core::Interval here_;       // blocks of this part
};

}  // namespace

std::unique_ptr<PreparedKernel> vocab_parallel_cross_entropy_kokkos(
    const core::LocalProblem& problem) {
  return detail::prepare_floating<VocabParallelCrossEntropyKernel>(problem);
}

}  // namespace soapstone::kernels
