// add: y = a + b with broadcasting; da and db are dy, summed where a or b is repeated; see
// core/ops/add.hpp.
//
// Shapes: dimensions are aligned at the last one; a and b have extent 1, or no dimension, where y
// repeats them. Any order; all overwritten. Sums are in double, over the part of y that is here.
// Forward moves 3 words per element of y, backward 2 per gradient (1 where it is summed).
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

template <class T>
class AddKernel final : public PreparedKernel {
 public:
  explicit AddKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition), whole_(shape_of(problem, "y")) {
    for (const char* name : {"a", "b"}) {
      const core::Shape shape = shape_of(problem, name);
      const int k = name[0] - 'a';
      shapes_[k] = shape;
      repeats_[k] = shape != whole_;
      if (!repeats_[k]) continue;
      const core::Box box = problem.box(problem.definition->operand(name));
      workspace_ = std::max(workspace_, SumNest<2>::workspace(core::elements(box), 1));
    }
  }

  core::Bytes workspace() const override { return workspace_; }

  void execute(const StepCall& call) const override {
    const Space space;
    if (steps_.name(call) == "forward") return forward(space, call);
    if (steps_.name(call) == "backward_input") {
      backward(space, call, 0, steps_.gradient(call, "a"));
      backward(space, call, 1, steps_.gradient(call, "b"));
      return;
    }
    unknown_step("add/kokkos", steps_.name(call));
  }

 private:
  static core::Shape shape_of(const core::LocalProblem& problem, const char* operand) {
    return problem.definition->operands[problem.definition->operand(operand)].desc.shape;
  }

  // Whether y repeats a (0) or b (1) along dimension d of y.
  bool is_repeated(int operand, std::size_t d) const {
    const core::Shape& shape = shapes_[operand];
    const std::size_t missing = whole_.size() - shape.size();
    return d < missing || shape[d - missing] != whole_[d];
  }

  // The strides of a block of a or b along the dimensions of y.
  Strides along_y(int operand, const Block& block) const {
    const Strides own = strides_of(block);
    const std::size_t missing = whole_.size() - own.size();
    Strides strides(whole_.size(), 0);
    for (std::size_t d = missing; d < whole_.size(); ++d)
      if (!is_repeated(operand, d)) strides[d] = own[d - missing];
    return strides;
  }

  void forward(const Space& space, const StepCall& call) const {
    const Block &a_block = steps_.value(call, "a"), &b_block = steps_.value(call, "b"),
                &y_block = steps_.value(call, "y");
    if (y_block.data == nullptr) return;
    const auto nest = make_nest<3>(core::extents(y_block.box),
                                   {strides_of(y_block), along_y(0, a_block), along_y(1, b_block)});
    T* y = data_of<T>(y_block);
    const T* a = data_of<T>(a_block);
    const T* b = data_of<T>(b_block);
    for_tiles(space, "soapstone::add::forward", nest, [=](const Tile<3>& tile) {
      const auto& step = nest.stride[0];
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        T* to = y + tile.offset[0] + r * nest.stride[1][0];
        const T* left = a + tile.offset[1] + r * nest.stride[1][1];
        const T* right = b + tile.offset[2] + r * nest.stride[1][2];
        if (step[0] == 1 && step[1] == 1 && step[2] == 1) {
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) to[j] = left[j] + right[j];
        } else if (step[0] == 1 && step[1] + step[2] == 1) {
          const T* moving = step[1] == 1 ? left : right;
          const T still = step[1] == 1 ? *right : *left;
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) to[j] = moving[j] + still;
        } else {
          for (std::int64_t j = 0; j < tile.count; ++j)
            to[j * step[0]] = left[j * step[1]] + right[j * step[2]];
        }
      }
    });
  }

  void backward(const Space& space, const StepCall& call, int operand,
                const Block& dx_block) const {
    if (dx_block.data == nullptr) return;
    const Block& dy_block = steps_.gradient(call, "y");
    T* dx = data_of<T>(dx_block);
    const T* dy = data_of<T>(dy_block);
    const Strides dx_strides = along_y(operand, dx_block);
    core::Shape extents = core::extents(dy_block.box);
    if (!repeats_[operand]) {
      const auto nest = make_nest<2>(extents, {dx_strides, strides_of(dy_block)});
      for_tiles(space, "soapstone::add::backward_input", nest, [=](const Tile<2>& tile) {
        const auto& step = nest.stride[0];
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = dx + tile.offset[0] + r * nest.stride[1][0];
          const T* from = dy + tile.offset[1] + r * nest.stride[1][1];
          if (step[0] == 1 && step[1] == 1)
            for (std::int64_t j = 0; j < tile.count; ++j) to[j] = from[j];
          else
            for (std::int64_t j = 0; j < tile.count; ++j) to[j * step[0]] = from[j * step[1]];
        }
      });
      return;
    }
    if (dy_block.size() == 0) {  // sums of nothing
      const std::size_t missing = extents.size() - dx_block.box.size();
      for (std::size_t d = 0; d < extents.size(); ++d)
        extents[d] = is_repeated(operand, d) ? 0 : dx_block.box[d - missing].extent();
    }
    const auto nest = make_sum_nest<2>(extents, {strides_of(dy_block), dx_strides},
                                       [&](std::size_t d) { return is_repeated(operand, d); });
    const std::int64_t run = (nest.columns ? nest.kept : nest.summed).stride[0][0];
    const std::int64_t row = nest.summed.stride[nest.columns ? 0 : 1][0];
    if_contiguous(run == 1, [&](auto contiguous) {
      sum_tiles<1>(
          space, "soapstone::add::backward_input_sum", nest, call.workspace,
          [=](const Tile<2>& tile, auto& sums) {
            const auto step = step_of(contiguous, run);
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* from = dy + tile.offset[0] + r * row;
              if (nest.columns) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j) sums[0][j] += from[j * step];
              } else {
                double sum = 0;
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < tile.count; ++j) sum += from[j * step];
                sums[0][0] += sum;
              }
            }
          },
          [=](std::int64_t offset, const double* sum) { dx[offset] = static_cast<T>(sum[0]); });
    });
  }

  StepTable steps_;
  core::Shape whole_;      // of y
  core::Shape shapes_[2];  // of a and b
  bool repeats_[2] = {};   // whether y is larger
  core::Bytes workspace_;
};

}  // namespace

std::unique_ptr<PreparedKernel> add_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<AddKernel>(problem);
}

}  // namespace soapstone::kernels
