// matmul through oneDNN, f32 or bf16: the product of every index of the batch in one call, forward
// and for both gradients, on a and b as they lie.
#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "core/ops/matmul.hpp"
#include "kernels/detail/operand.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/onednn/layer.hpp"

namespace soapstone::kernels {
namespace {

using onednn::Argument;
using onednn::Operation;

enum Letter { kM, kP, kK };

// One matrix per index of the batch, by the letters of its two dimensions.
struct Matrices {
  Letter rows, columns;
  detail::LocalOperand operand;

  bool has(Letter letter) const { return rows == letter || columns == letter; }
  // The letter of the dimension whose elements lie side by side.
  Letter innermost() const {
    const std::size_t rank = operand.strides.size();
    return operand.strides[rank - 1] != 1 && operand.strides[rank - 2] == 1 ? rows : columns;
  }
  Letter other(Letter letter) const { return letter == rows ? columns : rows; }
  // With the letters of the last two dimensions in this order.
  onednn::Tensor tensor(Letter row, Letter column, core::DType dtype) const {
    onednn::Tensor t{{operand.extents.begin(), operand.extents.end()},
                     {operand.strides.begin(), operand.strides.end()},
                     dtype};
    if (rows == row && columns == column) return t;
    const std::size_t rank = t.extents.size();
    std::swap(t.extents[rank - 2], t.extents[rank - 1]);
    std::swap(t.strides[rank - 2], t.strides[rank - 1]);
    return t;
  }
};

// out = left right. oneDNN writes rows whose elements lie side by side: where the columns do, the
// transposed product is computed.
struct Product {
  Operation operation;
  bool left_is_first = true;

  Product(const Matrices& out, const Matrices& left, const Matrices& right, core::DType dtype) {
    const Letter column = out.innermost(), row = out.other(column);
    left_is_first = left.has(row);
    const Matrices &first = left_is_first ? left : right, &second = left_is_first ? right : left;
    const Letter summed = first.other(row);
    operation = onednn::matrix_product({.source = first.tensor(row, summed, dtype),
                                        .weight = second.tensor(summed, column, dtype),
                                        .destination = out.tensor(row, column, dtype)});
  }

  void execute(const Block& out, const Block& left, const Block& right, void* workspace) const {
    operation.execute({{Argument::kSource, left_is_first ? left.data : right.data},
                       {Argument::kWeight, left_is_first ? right.data : left.data},
                       {Argument::kDestination, out.data}},
                      workspace);
  }
};

struct Products {
  Product forward, backward_a, backward_b;

  explicit Products(const core::LocalProblem& problem)
      : Products(problem, *problem.op.get_if<core::Matmul>()) {}

  std::string why_not() const {
    for (const auto& [step, product] :
         {std::pair("forward", &forward), std::pair("backward_a", &backward_a),
          std::pair("backward_b", &backward_b)})
      if (const std::string& reason = product->operation.why_not(); !reason.empty())
        return fmt::format("{}: {}", step, reason);
    return {};
  }
  core::Bytes workspace() const {
    return std::max({forward.operation.scratch(), backward_a.operation.scratch(),
                     backward_b.operation.scratch()});
  }
  void compile() {
    for (Product* product : {&forward, &backward_a, &backward_b}) product->operation.compile();
  }

 private:
  Products(const core::LocalProblem& problem, const core::Matmul& op)
      : Products(Matrices{op.transpose_a ? kK : kM, op.transpose_a ? kM : kK,
                          detail::local_operand(problem, "a")},
                 {op.transpose_b ? kP : kK, op.transpose_b ? kK : kP,
                  detail::local_operand(problem, "b")},
                 {kM, kP, detail::local_operand(problem, "y")}, problem.dtype()) {}
  Products(const Matrices& a, const Matrices& b, const Matrices& y, core::DType dtype)
      : forward(y, a, b, dtype), backward_a(a, y, b, dtype), backward_b(b, a, y, dtype) {}
};

class MatmulOneDnn final : public PreparedKernel {
 public:
  explicit MatmulOneDnn(const core::LocalProblem& problem)
      : steps_(*problem.definition), products_(problem) {
    products_.compile();
  }

  core::Bytes workspace() const override { return products_.workspace(); }

  void execute(const StepCall& call) const override {
    const auto step = steps_.name(call);
    if (step == "forward")
      products_.forward.execute(steps_.value(call, "y"), steps_.value(call, "a"),
                                steps_.value(call, "b"), call.workspace);
    else if (step == "backward_a")
      products_.backward_a.execute(steps_.gradient(call, "a"), steps_.gradient(call, "y"),
                                   steps_.value(call, "b"), call.workspace);
    else if (step == "backward_b")
      products_.backward_b.execute(steps_.gradient(call, "b"), steps_.value(call, "a"),
                                   steps_.gradient(call, "y"), call.workspace);
    else
      detail::unknown_step("matmul/onednn", step);
  }

 private:
  detail::StepTable steps_;
  Products products_;
};

}  // namespace

std::string matmul_onednn_why_not(const core::LocalProblem& problem) {
  if (std::string refusal = onednn::common_refusal(problem); !refusal.empty()) return refusal;
  return Products(problem).why_not();
}

std::unique_ptr<PreparedKernel> matmul_onednn(const core::LocalProblem& problem) {
  return std::make_unique<MatmulOneDnn>(problem);
}

core::Bytes matmul_onednn_workspace(const core::LocalProblem& problem) {
  return Products(problem).workspace();
}

}  // namespace soapstone::kernels
