// experts_linear: for every expert e, y = x wᵀ + bias, dx = dy w, dw = dyᵀ x over its rows (n, c),
// dbias = Σ_n,c dy; see core/ops/experts_linear.hpp.
//
// Shapes: x [n, e, c, i], w [e, o, i], bias [e, o], y [n, e, c, o]. Any order; all overwritten. One
// product of 2·n·c·o·i FLOPs (detail/matmul.hpp) per expert, one after the other.
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/matmul.hpp"
#include "kernels/detail/operand.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// The matrices of an operand, one per expert.
struct ExpertTables {
  std::vector<std::int64_t> rows, columns;  // offsets along the two indices
  std::int64_t expert = 0;                  // from one matrix to the next
  bool contiguous = false;

  ExpertTables(const LocalOperand& operand, std::span<const int> row_dims, int column_dim,
               int expert_dim)
      : rows(offset_table(operand.extents, operand.strides, row_dims)),
        columns(offset_table(operand.extents, operand.strides, std::span(&column_dim, 1))),
        expert(operand.strides[static_cast<std::size_t>(expert_dim)]),
        contiguous(counts_up(columns)) {}

  template <class T>
  TableMatrix<T> of(T* data, std::int64_t e) const {
    return {data + e * expert, rows.data(), columns.data(), contiguous};
  }
};

template <class T>
class ExpertsLinearKernel final : public PreparedKernel {
 public:
  explicit ExpertsLinearKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        experts_(extent(problem, "e")),
        rows_(extent(problem, "n") * extent(problem, "c")),
        outs_(extent(problem, "o")),
        ins_(extent(problem, "i")),
        x_(local_operand(problem, "x"), kRows, 3, 1),
        w_(local_operand(problem, "weight"), kOuts, 2, 0),
        y_(local_operand(problem, "y"), kRows, 3, 1),
        bias_sums_(bias_sums_of(problem)),
        workspace_(workspace_of(problem)) {}

  core::Bytes workspace() const override { return workspace_; }
  static core::Bytes workspace_of(const core::LocalProblem& problem) {
    const std::int64_t rows = extent(problem, "n") * extent(problem, "c"),
                       outs = extent(problem, "o"), ins = extent(problem, "i");
    return std::max({matmul_workspace<T>(rows, outs, ins), matmul_workspace<T>(rows, ins, outs),
                     matmul_workspace<T>(outs, ins, rows), bias_sums_of(problem).workspace()});
  }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward") return forward(call);
    if (step == "backward_input") return backward_input(call);
    if (step == "backward_weight") return backward_weight(call);
    unknown_step("experts_linear/kokkos", step);
  }

 private:
  static constexpr int kRows[] = {0, 2}, kOuts[] = {1};

  static std::int64_t extent(const core::LocalProblem& problem, const char* axis) {
    return problem.axes[static_cast<std::size_t>(problem.definition->axis(axis))].extent();
  }
  static ColumnSums bias_sums_of(const core::LocalProblem& problem) {
    for (const core::Operand& operand : problem.definition->operands) {
      if (operand.name != "bias") continue;
      const LocalOperand y = local_operand(problem, "y"), bias = local_operand(problem, "bias");
      static constexpr int kKept[] = {1, 3};
      return {y.extents, y.strides, kKept, bias.strides};
    }
    return {};
  }

  void forward(const StepCall& call) const {
    const Space space;
    const T* x = data_of<T>(steps_.value(call, "x"));
    const T* w = data_of<T>(steps_.value(call, "weight"));
    const T* bias = data_of<T>(steps_.value(call, "bias"));  // row-major [e, o]
    T* y = data_of<T>(steps_.value(call, "y"));
    for (std::int64_t e = 0; e < experts_; ++e) {
      const T* added = bias != nullptr ? bias + e * outs_ : nullptr;
      const auto to = y_.of(y, e);
      matmul<T>(space, "soapstone::experts_linear::forward", rows_, outs_, ins_, x_.of(x, e),
                RowsAre::kOuter, w_.of(w, e), RowsAre::kOuter, call.workspace,
                [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
                  T* out = to.data + to.rows[row];
                  for (std::int64_t c = 0; c < count; ++c)
                    out[to.columns[first + c]] =
                        sums[c] + (added != nullptr ? added[first + c] : T(0));
                });
    }
  }

  void backward_input(const StepCall& call) const {
    const Space space;
    const T* dy = data_of<T>(steps_.gradient(call, "y"));
    const T* w = data_of<T>(steps_.value(call, "weight"));
    T* dx = data_of<T>(steps_.gradient(call, "x"));
    if (dx == nullptr) return;
    for (std::int64_t e = 0; e < experts_; ++e)
      matmul<T>(space, "soapstone::experts_linear::backward_input", rows_, ins_, outs_,
                y_.of(dy, e), RowsAre::kOuter, w_.of(w, e), RowsAre::kContracted, call.workspace,
                store_into(x_.of(dx, e)));
  }

  void backward_weight(const StepCall& call) const {
    const Space space;
    const Block &dy_block = steps_.gradient(call, "y"), &dbias = steps_.gradient(call, "bias");
    const T* dy = data_of<T>(dy_block);
    const T* x = data_of<T>(steps_.value(call, "x"));
    T* dw = data_of<T>(steps_.gradient(call, "weight"));
    if (dw != nullptr)
      for (std::int64_t e = 0; e < experts_; ++e)
        matmul<T>(space, "soapstone::experts_linear::backward_weight", outs_, ins_, rows_,
                  y_.of(dy, e), RowsAre::kContracted, x_.of(x, e), RowsAre::kContracted,
                  call.workspace, store_into(w_.of(dw, e)));
    if (dbias.size() > 0)
      bias_sums_.run(space, "soapstone::experts_linear::backward_bias", dy_block, dbias,
                     call.workspace);
  }

  static auto store_into(const TableMatrix<T>& to) {
    return [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
      T* out = to.data + to.rows[row];
      for (std::int64_t c = 0; c < count; ++c) out[to.columns[first + c]] = sums[c];
    };
  }

  StepTable steps_;
  std::int64_t experts_, rows_, outs_, ins_;
  ExpertTables x_, w_, y_;
  ColumnSums bias_sums_;
  core::Bytes workspace_;
};

}  // namespace

std::unique_ptr<PreparedKernel> experts_linear_kokkos(const core::LocalProblem& problem) {
  return prepare_floating<ExpertsLinearKernel>(problem);
}

core::Bytes experts_linear_kokkos_workspace(const core::LocalProblem& problem) {
  return problem.dtype() == core::DType::kF64 ? ExpertsLinearKernel<double>::workspace_of(problem)
                                              : ExpertsLinearKernel<float>::workspace_of(problem);
}

}  // namespace soapstone::kernels
