// embedding_bag: y[n, d] = scale_n Σ_l table[ids[n, l], d]; dtable[v, d] = Σ over ids[n, l] = v of
// scale_n dy[n, d]; scale is 1, or 1 / the number of ids of the bag that are not padding; see
// core/ops/embedding_bag.hpp.
//
// Shapes: ids [n, l] i32, y, dy [n, d], table, dtable [vocab, d]. Any order; all overwritten. An id
// outside this part's rows of the table counts as a row of zeros.
//
// Sums are in double. Backward links the positions of equal ids to lists in ascending order, one
// pass over ids; then every row of dtable adds up its list, so that nothing is added concurrently.
#include <algorithm>

#include "core/ops/embedding_bag.hpp"
#include "kernels/detail/prefetch.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class EmbeddingBagKernel final : public PreparedKernel {
 public:
  explicit EmbeddingBagKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        is_mean_(problem.op.get_if<core::EmbeddingBag>()->mode == core::BagMode::kMean),
        vocab_(problem.axes[problem.definition->axis("vocab")]),
        bags_(problem.axes[problem.definition->axis("n")].extent()),
        length_(problem.axes[problem.definition->axis("l")].extent()) {}

  // The scale of every bag, and the lists: the first position of every row and the next one of
  // every position.
  core::Bytes workspace() const override {
    return core::Bytes(bags_ * static_cast<std::int64_t>(sizeof(double)) +
                       (vocab_.extent() + bags_ * length_) *
                           static_cast<std::int64_t>(sizeof(std::int32_t)));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_weight") return backward_weight(call);
    unknown_step("embedding_bag/kokkos", steps_.name(call));
  }

 private:
  static constexpr std::int64_t kColumns = 256;

  // The ids of a bag lie ids.step apart.
  static double scale_of(const Rows<const std::int32_t>& ids, std::int64_t bag, bool is_mean) {
    if (!is_mean) return 1;
    const std::int32_t* from = ids.row(bag);
    std::int64_t count = 0;
    for (std::int64_t l = 0; l < ids.columns; ++l)
      count += from[l * ids.step] != core::kPaddingId ? 1 : 0;
    return count > 0 ? 1 / static_cast<double>(count) : 0;
  }

  void forward(const StepCall& call) const {
    const Block& y_block = steps_.value(call, "y");
    if (y_block.data == nullptr) return;
    const auto y = rows_of<T>(y_block);
    const auto table = rows_of<T>(steps_.value(call, "table"));
    auto ids = rows_of<const std::int32_t>(steps_.value(call, "ids"));
    ids.columns = length_;  // also where a bag is empty
    const core::Interval vocab = vocab_;
    const bool is_mean = is_mean_;
    // Reading rows from all over the table is what takes time.
    const auto fetch = [=](std::int64_t bag) {
      for (std::int64_t l = 0; l < ids.columns; ++l) {
        const std::int64_t id = ids.row(bag)[l * ids.step];
        if (id >= vocab.begin && id < vocab.end)
          prefetch_row(table.row(id - vocab.begin), y.columns);
      }
    };
    const std::int64_t ahead = std::max<std::int64_t>(1, 8 / std::max<std::int64_t>(1, length_));
    if_contiguous(y.step == 1 && table.step == 1, [&](auto contiguous) {
      parallel_for_chunks(Space(), "soapstone::embedding_bag::forward", bags_,
                          rows_at_a_time(y.columns * std::max<std::int64_t>(1, length_)),
                          [=](std::int64_t begin, std::int64_t end) {
                            const auto to_step = step_of(contiguous, y.step),
                                       from_step = step_of(contiguous, table.step);
                            for (std::int64_t bag = begin; bag < end; ++bag) {
                              if (bag + ahead < end) fetch(bag + ahead);
                              T* to = y.row(bag);
                              if (ids.columns == 1) {  // also the mean of one
                                const std::int64_t id = *ids.row(bag);
                                if (id < vocab.begin || id >= vocab.end) {
                                  for (std::int64_t j = 0; j < y.columns; ++j)
                                    to[j * to_step] = T(0);
                                  continue;
                                }
                                const T* from = table.row(id - vocab.begin);
                                SOAPSTONE_SIMD
                                for (std::int64_t j = 0; j < y.columns; ++j)
                                  to[j * to_step] = from[j * from_step];
                                continue;
                              }
                              const double scale = scale_of(ids, bag, is_mean);
                              for (std::int64_t j0 = 0; j0 < y.columns; j0 += kColumns) {
                                const std::int64_t count = std::min(kColumns, y.columns - j0);
                                double sums[kColumns];  // NOLINT: filled
                                std::fill_n(sums, count, 0.0);
                                for (std::int64_t l = 0; l < ids.columns; ++l) {
                                  const std::int64_t id = ids.row(bag)[l * ids.step];
                                  if (id < vocab.begin || id >= vocab.end) continue;
                                  const T* from = table.row(id - vocab.begin) + j0 * from_step;
                                  SOAPSTONE_SIMD
                                  for (std::int64_t j = 0; j < count; ++j)
                                    sums[j] += from[j * from_step];
                                }
                                for (std::int64_t j = 0; j < count; ++j)
                                  to[(j0 + j) * to_step] = static_cast<T>(scale * sums[j]);
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
    auto ids = rows_of<const std::int32_t>(steps_.value(call, "ids"));
    ids.columns = length_;
    const core::Interval vocab = vocab_;
    const std::int64_t length = length_, bags = bags_;
    const bool is_mean = is_mean_;
    auto* scale = static_cast<double*>(call.workspace);
    auto* first = reinterpret_cast<std::int32_t*>(scale + bags_);
    auto* next = first + vocab.extent();
    constexpr std::int32_t kEnd = -1;
    parallel_for(space, "soapstone::embedding_bag::backward_weight_scale", bags_,
                 [=](std::int64_t bag) { scale[bag] = scale_of(ids, bag, is_mean); });
    parallel_for(space, "soapstone::embedding_bag::backward_weight_clear", vocab.extent(),
                 [=](std::int64_t v) { first[v] = kEnd; });
    parallel_for(space, "soapstone::embedding_bag::backward_weight_link", 1, [=](std::int64_t) {
      for (std::int64_t bag = bags; bag-- > 0;)
        for (std::int64_t l = length; l-- > 0;) {
          const std::int64_t id = ids.row(bag)[l * ids.step];
          if (id < vocab.begin || id >= vocab.end) continue;
          const std::int64_t p = bag * length + l;
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
          label_text("soapstone::embedding_bag::backward_weight"),
          Dynamic(space, 0, (vocab.extent() + grain - 1) / grain, Kokkos::ChunkSize(1)),
          [=](std::int64_t chunk) {
            const auto to_step = step_of(contiguous, dtable.step),
                       from_step = step_of(contiguous, dy.step);
            const std::int64_t end = std::min(vocab.extent(), (chunk + 1) * grain);
            for (std::int64_t v = chunk * grain; v < end; ++v) {
              T* to = dtable.row(v);
              if (first[v] == kEnd) {
                for (std::int64_t j = 0; j < dtable.columns; ++j) to[j * to_step] = T(0);
                continue;
              }
              for (std::int64_t j0 = 0; j0 < dtable.columns; j0 += kColumns) {
                const std::int64_t count = std::min(kColumns, dtable.columns - j0);
                double sums[kColumns] = {};
                for (std::int32_t p = first[v]; p != kEnd; p = next[p]) {
                  const std::int64_t bag = p / length;
                  const double factor = scale[bag];
                  const T* from = dy.row(bag) + j0 * from_step;
                  SOAPSTONE_SIMD
                  for (std::int64_t j = 0; j < count; ++j) sums[j] += factor * from[j * from_step];
                }
                for (std::int64_t j = 0; j < count; ++j)
                  to[(j0 + j) * to_step] = static_cast<T>(sums[j]);
              }
            }
          });
    });
  }

  static std::int64_t rows_at_a_time(std::int64_t columns) {
    return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, columns));
  }

  StepTable steps_;
  bool is_mean_;
  core::Interval vocab_;        // rows of the table that are here
  std::int64_t bags_, length_;  // that are here
};

}  // namespace

std::unique_ptr<PreparedKernel> embedding_bag_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<EmbeddingBagKernel>(problem);
}

}  // namespace soapstone::kernels
