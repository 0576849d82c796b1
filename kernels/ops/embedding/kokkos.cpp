// embedding: y[n…, d] = table[ids[n…], d]; dtable[v, d] = Σ over ids = v of dy[n…, d]; see
// core/ops/embedding.hpp.
//
// Shapes: ids [n, …] i32, y, dy [n, …, d], table, dtable [vocab, d]. Any order; all overwritten. An
// id outside this part's rows of the table counts as a row of zeros.
//
// Backward links the positions of equal ids to lists in ascending order, one pass over ids; then
// every row of dtable adds up its list in double, so that nothing is added concurrently.
#include "kernels/detail/prefetch.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class EmbeddingKernel final : public PreparedKernel {
 public:
  explicit EmbeddingKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        vocab_(problem.axes[problem.definition->axis("vocab")]),
        positions_(core::elements(problem.box(problem.definition->operand("ids")))) {}

  // The lists: the first position of every row and the next one of every position.
  core::Bytes workspace() const override {
    return core::Bytes((vocab_.extent() + positions_) *
                       static_cast<std::int64_t>(sizeof(std::int32_t)));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_weight") return backward_weight(call);
    unknown_step("embedding/kokkos", steps_.name(call));
  }

 private:
  void forward(const StepCall& call) const {
    if (steps_.value(call, "y").data == nullptr) return;
    const auto y = rows_of<T>(steps_.value(call, "y"));
    const auto table = rows_of<T>(steps_.value(call, "table"));
    const auto ids = rows_of<const std::int32_t>(steps_.value(call, "ids"), Trailing::kNone);
    const core::Interval vocab = vocab_;
    if_contiguous(y.step == 1 && table.step == 1, [&](auto contiguous) {
      parallel_for_chunks(Space(), "soapstone::embedding::forward", y.count,
                          rows_at_a_time(y.columns), [=](std::int64_t begin, std::int64_t end) {
                            const auto to_step = step_of(contiguous, y.step),
                                       from_step = step_of(contiguous, table.step);
                            for (std::int64_t r = begin; r < end; ++r) {
                              T* to = y.row(r);
                              const std::int64_t id = *ids.row(r);
                              // Reading rows from all over the table is what takes time.
                              if (r + kAhead < end) {
                                const std::int64_t later = *ids.row(r + kAhead);
                                if (later >= vocab.begin && later < vocab.end)
                                  prefetch_row(table.row(later - vocab.begin), y.columns);
                              }
                              if (id >= vocab.begin && id < vocab.end) {
                                const T* from = table.row(id - vocab.begin);
                                for (std::int64_t j = 0; j < y.columns; ++j)
                                  to[j * to_step] = from[j * from_step];
                              } else {
                                for (std::int64_t j = 0; j < y.columns; ++j) to[j * to_step] = T(0);
                              }
                            }
                          });
    });
  }

  void backward_weight(const StepCall& call) const {
    const Block& dtable_block = steps_.gradient(call, "table");
    if (dtable_block.data == nullptr) return;
    const Space space;
    const auto dtable = rows_of<T>(dtable_block);
    const auto dy = rows_of<T>(steps_.gradient(call, "y"));
    const auto ids = rows_of<const std::int32_t>(steps_.value(call, "ids"), Trailing::kNone);
    const core::Interval vocab = vocab_;
    const std::int64_t positions = positions_;
    auto* first = static_cast<std::int32_t*>(call.workspace);
    auto* next = first + vocab.extent();
    constexpr std::int32_t kEnd = -1;
    parallel_for(space, "soapstone::embedding::backward_weight_clear", vocab.extent(),
                 [=](std::int64_t v) { first[v] = kEnd; });
    parallel_for(space, "soapstone::embedding::backward_weight_link", 1, [=](std::int64_t) {
      for (std::int64_t p = positions; p-- > 0;) {
        const std::int64_t id = *ids.row(p);
        if (id < vocab.begin || id >= vocab.end) continue;
        next[p] = first[id - vocab.begin];
        first[id - vocab.begin] = static_cast<std::int32_t>(p);
      }
    });
    // Frequent ids make some rows long: rows are handed out as threads become free.
    using Dynamic = Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>,
                                        Kokkos::Schedule<Kokkos::Dynamic>>;
    const std::int64_t grain = rows_at_a_time(dtable.columns);
    if_contiguous(dtable.step == 1 && dy.step == 1, [&](auto contiguous) {
      Kokkos::parallel_for(
          label_text("soapstone::embedding::backward_weight"),
          Dynamic(space, 0, (vocab.extent() + grain - 1) / grain, Kokkos::ChunkSize(1)),
          [=](std::int64_t chunk) {
            const auto to_step = step_of(contiguous, dtable.step),
                       from_step = step_of(contiguous, dy.step);
            const std::int64_t end = std::min(vocab.extent(), (chunk + 1) * grain);
            for (std::int64_t v = chunk * grain; v < end; ++v) {
              T* to = dtable.row(v);
              const std::int32_t head = first[v];
              if (head == kEnd) {
                for (std::int64_t j = 0; j < dtable.columns; ++j) to[j * to_step] = T(0);
              } else if (next[head] == kEnd) {
                const T* from = dy.row(head);
                for (std::int64_t j = 0; j < dtable.columns; ++j)
                  to[j * to_step] = from[j * from_step];
              } else {
                for (std::int64_t j0 = 0; j0 < dtable.columns; j0 += kColumns) {
                  const std::int64_t count = std::min(kColumns, dtable.columns - j0);
                  double sums[kColumns] = {};
                  for (std::int32_t p = head; p != kEnd; p = next[p]) {
                    const T* from = dy.row(p) + j0 * from_step;
                    SOAPSTONE_SIMD
                    for (std::int64_t j = 0; j < count; ++j) sums[j] += from[j * from_step];
                  }
                  for (std::int64_t j = 0; j < count; ++j)
                    to[(j0 + j) * to_step] = static_cast<T>(sums[j]);
                }
              }
            }
          });
    });
  }

  static constexpr std::int64_t kColumns = 256;
  static constexpr std::int64_t kAhead = 8;  // positions whose rows are fetched before
  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, columns));
  }

  StepTable steps_;
  core::Interval vocab_;        // rows of the table that are here
  std::int64_t positions_ = 0;  // ids that are here
};

}  // namespace

std::unique_ptr<PreparedKernel> embedding_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<EmbeddingKernel>(problem);
}

}  // namespace soapstone::kernels
