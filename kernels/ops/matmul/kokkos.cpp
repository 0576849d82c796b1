// matmul: y = a b, da = dy bᵀ, db = aᵀ dy for every index of the batch, in f32 or f64; see
// core/ops/matmul.hpp. a and b in any order of dimensions, transposed or not; all overwritten.
//
// 2·m·p·k FLOPs per product and index of the batch. Few large products run one after the other
// over all threads (detail/matmul.hpp); many or small ones are handed out by tiles of all of them.
// Which, follows from the sizes alone.
#include <array>
#include <utility>

#include "core/ops/matmul.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/matmul.hpp"
#include "kernels/detail/operand.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

enum Letter { kM, kP, kK };

// One matrix per index of the batch: the letters of its two dimensions and the offsets of its
// elements.
struct Matrices {
  Letter rows_letter, columns_letter;
  std::vector<std::int64_t> starts, rows, columns;
  bool contiguous = false;

  Matrices(const core::LocalProblem& problem, std::string_view name, Letter row, Letter column)
      : rows_letter(row), columns_letter(column) {
    const LocalOperand operand = local_operand(problem, name);
    const int batches = static_cast<int>(operand.extents.size()) - 2;
    const int row_dim[] = {batches}, column_dim[] = {batches + 1};
    std::vector<int> batch_dims;
    for (int d = 0; d < batches; ++d) batch_dims.push_back(d);
    starts = offset_table(operand.extents, operand.strides, batch_dims);
    rows = offset_table(operand.extents, operand.strides, row_dim);
    columns = offset_table(operand.extents, operand.strides, column_dim);
    contiguous = counts_up(columns);
  }

  bool has(Letter letter) const { return rows_letter == letter || columns_letter == letter; }
  // What the rows are in a product whose outer dimension is `outer`.
  RowsAre rows_are(Letter outer) const {
    return rows_letter == outer ? RowsAre::kOuter : RowsAre::kContracted;
  }
  template <class T>
  TableMatrix<T> at(T* data, std::int64_t batch) const {
    return {data + starts[static_cast<std::size_t>(batch)], rows.data(), columns.data(),
            contiguous};
  }
};

template <class T>
class MatmulKernel final : public PreparedKernel {
 public:
  explicit MatmulKernel(const core::LocalProblem& problem)
      : MatmulKernel(problem, *problem.op.get_if<core::Matmul>()) {}

  core::Bytes workspace() const override {
    if (batch_ == 0) return core::Bytes(0);
    return std::max({workspace_of(y_), workspace_of(a_), workspace_of(b_)});
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward")
      multiply(call, "soapstone::matmul::forward", y_, steps_.value(call, "y"), a_,
               steps_.value(call, "a"), b_, steps_.value(call, "b"));
    else if (step == "backward_a")
      multiply(call, "soapstone::matmul::backward_a", a_, steps_.gradient(call, "a"), y_,
               steps_.gradient(call, "y"), b_, steps_.value(call, "b"));
    else if (step == "backward_b")
      multiply(call, "soapstone::matmul::backward_b", b_, steps_.gradient(call, "b"), a_,
               steps_.value(call, "a"), y_, steps_.gradient(call, "y"));
    else
      unknown_step("matmul/kokkos", step);
  }

 private:
  using Tiles = MatmulTiles<T>;

  MatmulKernel(const core::LocalProblem& problem, const core::Matmul& op)
      : steps_(*problem.definition),
        a_(problem, "a", op.transpose_a ? kK : kM, op.transpose_a ? kM : kK),
        b_(problem, "b", op.transpose_b ? kP : kK, op.transpose_b ? kK : kP),
        y_(problem, "y", kM, kP) {
    const std::size_t batches = problem.axes.size() - 3;  // the definition's axes are n…, m, p, k
    for (std::size_t k = 0; k < batches; ++k) batch_ *= problem.axes[k].extent();
    for (const Letter letter : {kM, kP, kK})
      extents_[letter] = problem.axes[batches + static_cast<std::size_t>(letter)].extent();
  }

  static Letter contracted(const Matrices& out) {
    return !out.has(kM) ? kM : !out.has(kP) ? kP : kK;
  }
  struct Sizes {
    std::int64_t m, n, k;
  };
  Sizes sizes_of(const Matrices& out) const {
    return {extents_[out.rows_letter], extents_[out.columns_letter], extents_[contracted(out)]};
  }
  // Whether one product of the batch gives all threads work.
  bool one_by_one(const Sizes& size) const {
    constexpr std::int64_t kMany = 32;
    const MatmulCut cut = MatmulCut::of<T>(size.m, size.n, size.k);
    const std::int64_t tiles =
        ((size.m + cut.rows - 1) / cut.rows) * ((size.n + cut.columns - 1) / cut.columns);
    return batch_ < kMany && tiles * cut.pieces > 1;
  }
  core::Bytes workspace_of(const Matrices& out) const {
    const Sizes size = sizes_of(out);
    return one_by_one(size) ? matmul_workspace<T>(size.m, size.n, size.k) : core::Bytes(0);
  }

  // out = left right; which of them has out's rows does not matter.
  void multiply(const StepCall& call, const char* label, const Matrices& out,
                const Block& out_block, const Matrices& left, const Block& left_block,
                const Matrices& right, const Block& right_block) const {
    T* to = data_of<T>(out_block);
    if (to == nullptr) return;
    const bool in_order = left.has(out.rows_letter);
    const Matrices &first = in_order ? left : right, &second = in_order ? right : left;
    const T* first_data = data_of<T>(in_order ? left_block : right_block);
    const T* second_data = data_of<T>(in_order ? right_block : left_block);
    const Sizes size = sizes_of(out);
    const RowsAre first_rows = first.rows_are(out.rows_letter),
                  second_rows = second.rows_are(out.columns_letter);
    const Space space;
    if (size.k == 0) return clear(space, label, out_block);
    if (!one_by_one(size))
      return tiles_of_all(space, label, size, out, to, first, first_data, first_rows, second,
                          second_data, second_rows);
    for (std::int64_t batch = 0; batch < batch_; ++batch)
      matmul<T>(space, label, size.m, size.n, size.k, first.at(first_data, batch), first_rows,
                second.at(second_data, batch), second_rows, call.workspace,
                store_into(out.at(to, batch)));
  }

  static void clear(const Space& space, const char* label, const Block& block) {
    T* to = data_of<T>(block);
    parallel_for(space, label, block.size(), [=](std::int64_t i) { to[i] = T(0); });
  }

  static auto store_into(const TableMatrix<T>& to) {
    return [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
      T* out = to.data + to.rows[row];
      if (to.contiguous)
        std::copy_n(sums, count, out + first);
      else
        for (std::int64_t c = 0; c < count; ++c) out[to.columns[first + c]] = sums[c];
    };
  }

  // The loop of detail/matmul.hpp with the index of the batch outermost and sums that are not cut.
  void tiles_of_all(const Space& space, const char* label, const Sizes& size, const Matrices& out,
                    T* to, const Matrices& a, const T* a_data, RowsAre a_rows, const Matrices& b,
                    const T* b_data, RowsAre b_rows) const {
    const std::int64_t across = (size.n + Tiles::kMaxColumns - 1) / Tiles::kMaxColumns;
    const std::int64_t tiles = (size.m + Tiles::kMaxRows - 1) / Tiles::kMaxRows * across;
    const Matrices *a_at = &a, *b_at = &b, *out_at = &out;
    parallel_for(space, label, batch_ * tiles, [=](std::int64_t task) {
      alignas(64) T packed_a[Tiles::kMaxRows * Tiles::kDepth];
      alignas(64) T packed_b[Tiles::kMaxColumns * Tiles::kDepth];
      alignas(64) T sums[Tiles::kMaxRows * Tiles::kMaxColumns];
      constexpr std::int64_t kTile = Tiles::kRows * Tiles::kColumns;
      const std::int64_t batch = task / tiles, tile = task % tiles;
      const TableMatrix<const T> left = a_at->at(a_data, batch), right = b_at->at(b_data, batch);
      const auto store = store_into(out_at->at(to, batch));
      const std::int64_t first_row = tile / across * Tiles::kMaxRows,
                         first_column = tile % across * Tiles::kMaxColumns;
      const std::int64_t height = std::min(Tiles::kMaxRows, size.m - first_row),
                         width = std::min(Tiles::kMaxColumns, size.n - first_column);
      const std::int64_t row_panels = (height + Tiles::kRows - 1) / Tiles::kRows;
      const std::int64_t column_panels = (width + Tiles::kColumns - 1) / Tiles::kColumns;
      std::fill_n(sums, row_panels * column_panels * kTile, T(0));
      for (std::int64_t first_k = 0; first_k < size.k; first_k += Tiles::kDepth) {
        const std::int64_t depth = std::min(Tiles::kDepth, size.k - first_k);
        pack_panels<Tiles::kRows>(left, a_rows, first_row, height, first_k, depth, packed_a);
        pack_panels<Tiles::kColumns>(right, b_rows, first_column, width, first_k, depth, packed_b);
        for (std::int64_t j = 0; j < column_panels; ++j)
          for (std::int64_t i = 0; i < row_panels; ++i)
            multiply_panels<T>(depth, packed_a + i * depth * Tiles::kRows,
                               packed_b + j * depth * Tiles::kColumns,
                               sums + (i * column_panels + j) * kTile);
      }
      for (std::int64_t i = 0; i < height; ++i)
        for (std::int64_t j = 0; j < column_panels; ++j)
          store(first_row + i, first_column + j * Tiles::kColumns,
                std::min(Tiles::kColumns, width - j * Tiles::kColumns),
                sums + (i / Tiles::kRows * column_panels + j) * kTile +
                    i % Tiles::kRows * Tiles::kColumns);
    });
  }

  StepTable steps_;
  Matrices a_, b_, y_;
  std::int64_t batch_ = 1;
  std::array<std::int64_t, 3> extents_{};  // local, by Letter
};

}  // namespace

std::unique_ptr<PreparedKernel> matmul_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<MatmulKernel>(problem);
}

}  // namespace soapstone::kernels
