// linear: y[b, o] = act(Σ_i x[b, i] w[o, i] + bias[o]), dx = dy w, dw = dyᵀ x, dbias = Σ_b dy,
// in f32 or f64, operands in any order of dimensions.
//
// Each product is 2·b·o·i FLOPs (detail/matmul.hpp).
#include <tuple>

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/matmul.hpp"
#include "kernels/detail/relu.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/ops/linear/shape.hpp"

namespace soapstone::kernels {

namespace {

using detail::RowsAre;

// Offsets of the elements of a matrix along its two indices.
struct Tables {
  std::vector<std::int64_t> rows, columns;
  bool contiguous = false;

  Tables(const detail::LocalOperand& operand, std::span<const int> row_dims,
         std::span<const int> column_dims)
      : rows(detail::offset_table(operand.extents, operand.strides, row_dims)),
        columns(detail::offset_table(operand.extents, operand.strides, column_dims)),
        contiguous(detail::counts_up(columns)) {}

  template <class T>
  detail::TableMatrix<T> of(T* data) const {
    return {data, rows.data(), columns.data(), contiguous};
  }
};

template <class T>
class LinearKokkos final : public PreparedKernel {
 public:
  explicit LinearKokkos(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        shape_(problem),
        x_(shape_.x, shape_.x_b, shape_.x_i),
        w_(shape_.w, shape_.w_o, shape_.w_i),
        y_(shape_.y, shape_.y_b, shape_.y_o),
        bias_sums_(bias_sums_of(shape_)) {}

  core::Bytes workspace() const override { return workspace_of(shape_); }
  static core::Bytes workspace_of(const LinearShape& shape) {
    const auto& [b, o, i] = std::tie(shape.b, shape.o, shape.i);
    return std::max({detail::matmul_workspace<T>(b, o, i), detail::matmul_workspace<T>(b, i, o),
                     detail::matmul_workspace<T>(o, i, b), bias_sums_of(shape).workspace()});
  }

  void execute(const StepCall& call) const override {
    const detail::Space space;
    const auto step = steps_.name(call);
    const auto value = [&](std::string_view name) -> const Block& {
      return steps_.value(call, name);
    };
    const auto gradient = [&](std::string_view name) -> const Block& {
      return steps_.gradient(call, name);
    };
    if (step == "forward")
      product(space, "soapstone::linear::forward", value("x"), value("weight"), value("bias"),
              value("y"), shape_.relu, call.workspace);
    else if (step == "product")
      product(space, "soapstone::linear::product", value("x"), value("weight"), value("bias"),
              value("pre"), false, call.workspace);
    else if (step == "activate")
      detail::relu_forward(space, "soapstone::linear::activate", value("pre"), value("y"));
    else if (step == "backward_activation")
      detail::relu_backward(space, "soapstone::linear::backward_activation", value("y"),
                            gradient("y"), gradient("pre"));
    else if (step == "backward_input")
      backward_input(space, gradient(shape_.relu ? "pre" : "y"), value("weight"), gradient("x"),
                     call.workspace);
    else if (step == "backward_weight")
      backward_weight(space, gradient(shape_.relu ? "pre" : "y"), value("x"), gradient("weight"),
                      gradient("bias"), call.workspace);
    else
      detail::unknown_step("linear/kokkos", step);
  }

 private:
  static detail::ColumnSums bias_sums_of(const LinearShape& shape) {
    if (!shape.bias) return {};
    return {shape.y.extents, shape.y.strides, shape.y_o, shape.bias_strides};
  }

  void product(const detail::Space& space, const char* label, const Block& x, const Block& w,
               const Block& bias_block, const Block& y, bool relu, void* workspace) const {
    const T* bias = detail::data_of<T>(bias_block);  // row-major: as many as o
    const auto to = y_.of(detail::data_of<T>(y));
    detail::matmul<T>(space, label, shape_.b, shape_.o, shape_.i,
                      x_.of<const T>(detail::data_of<T>(x)), RowsAre::kOuter,
                      w_.of<const T>(detail::data_of<T>(w)), RowsAre::kOuter, workspace,
                      [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
                        T* out = to.data + to.rows[row];
                        for (std::int64_t c = 0; c < count; ++c) {
                          const T v = sums[c] + (bias ? bias[first + c] : T(0));
                          out[to.columns[first + c]] = relu && v < T(0) ? T(0) : v;
                        }
                      });
  }

  void backward_input(const detail::Space& space, const Block& dy, const Block& w, const Block& dx,
                      void* workspace) const {
    detail::matmul<T>(space, "soapstone::linear::backward_input", shape_.b, shape_.i, shape_.o,
                      y_.of<const T>(detail::data_of<T>(dy)), RowsAre::kOuter,
                      w_.of<const T>(detail::data_of<T>(w)), RowsAre::kContracted, workspace,
                      store_into(x_.of(detail::data_of<T>(dx))));
  }

  void backward_weight(const detail::Space& space, const Block& dy, const Block& x, const Block& dw,
                       const Block& dbias, void* workspace) const {
    detail::matmul<T>(space, "soapstone::linear::backward_weight", shape_.o, shape_.i, shape_.b,
                      y_.of<const T>(detail::data_of<T>(dy)), RowsAre::kContracted,
                      x_.of<const T>(detail::data_of<T>(x)), RowsAre::kContracted, workspace,
                      store_into(w_.of(detail::data_of<T>(dw))));
    if (dbias.size() > 0)
      bias_sums_.run(space, "soapstone::linear::backward_bias", dy, dbias, workspace);
  }

  static auto store_into(const detail::TableMatrix<T>& to) {
    return [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
      T* out = to.data + to.rows[row];
      for (std::int64_t c = 0; c < count; ++c) out[to.columns[first + c]] = sums[c];
    };
  }

  detail::StepTable steps_;
  LinearShape shape_;
  Tables x_, w_, y_;
  detail::ColumnSums bias_sums_;
};

}  // namespace

std::unique_ptr<PreparedKernel> linear_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<LinearKokkos>(problem);
}

core::Bytes linear_kokkos_workspace(const core::LocalProblem& problem) {
  const LinearShape shape(problem);
  return problem.dtype() == core::DType::kF64 ? LinearKokkos<double>::workspace_of(shape)
                                              : LinearKokkos<float>::workspace_of(shape);
}

}  // namespace soapstone::kernels
