// reduce: y = the sum, mean or maximum of x over some dimensions; dx is dy repeated, divided by the
// number of elements, or given to the first maximum; see core/ops/reduce.hpp.
//
// Any order of x and y; all overwritten. Sums are in double, over the part of x that is here, and a
// mean divides by the global number. `choice` is the row-major number of the first maximum among
// the elements of x that make one of y. Forward moves 1 word per element of x, backward 1. A
// maximum is parallel over the elements of y only.
#include <limits>

#include "core/ops/reduce.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/detail/steps.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

// Keeps the largest value and the least number of those that are equal; not a number wins.
template <class T>
void keep_largest(T value, std::int32_t number, T& largest, std::int32_t& choice) {
  const T other = largest;
  const std::int32_t chosen = choice;
  const bool better =
      static_cast<bool>(static_cast<int>(value > other) |
                        (static_cast<int>(value == other) & static_cast<int>(number < chosen)) |
                        static_cast<int>(value != value));
  largest = better ? value : other;
  choice = better ? number : chosen;
}

template <class T>
class ReduceKernel final : public PreparedKernel {
 public:
  explicit ReduceKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const auto& reduce = *problem.op.get_if<core::Reduce>();
    const core::OpDefinition& definition = *problem.definition;
    const core::Shape& whole = definition.operands[definition.operand("x")].desc.shape;
    maximum_ = reduce.kind == core::ReduceKind::kMax;
    if (reduce.kind == core::ReduceKind::kMean)
      scale_ = 1 / static_cast<double>(reduce.mean_over > 0 ? reduce.mean_over
                                                            : reduce.reduced_elements(whole));
    int of_y = 0;
    for (std::size_t d = 0; d < whole.size(); ++d) {
      y_dim_[d] = reduce.is_reduced(d) ? kNone : of_y;
      of_y += !reduce.is_reduced(d) || reduce.keep_dims ? 1 : 0;
    }
    if (!maximum_)
      workspace_ = SumNest<2>::workspace(core::elements(problem.box(definition.operand("y"))), 1);
  }

  core::Bytes workspace() const override { return workspace_; }

  void execute(const StepCall& call) const override {
    const Space space;
    if (steps_.name(call) == "forward") {
      const Block &x = steps_.value(call, "x"), &y = steps_.value(call, "y");
      if (y.data == nullptr) return;
      return maximum_ ? largest(space, x, y, steps_.value(call, "choice"))
                      : add_up(space, x, y, call.workspace);
    }
    if (steps_.name(call) != "backward_input") unknown_step("reduce/kokkos", steps_.name(call));
    const Block &dy = steps_.gradient(call, "y"), &dx = steps_.gradient(call, "x");
    if (dx.data == nullptr) return;
    if (maximum_)
      give_to_largest(space, steps_.value(call, "choice"), dy, dx);
    else
      repeat(space, dy, dx);
  }

 private:
  static constexpr int kNone = -1;
  static constexpr std::int64_t kColumns = 256;  // maxima found side by side
  static constexpr std::int64_t kLanes = 16;     // of one maximum along memory

  bool is_reduced(std::size_t d) const { return y_dim_[d] == kNone; }

  // The strides of a block like y along the dimensions of x.
  Strides along_x(std::size_t rank, const Block& block) const {
    const Strides own = strides_of(block);
    Strides strides(rank, 0);
    for (std::size_t d = 0; d < rank; ++d)
      if (!is_reduced(d)) strides[d] = own[static_cast<std::size_t>(y_dim_[d])];
    return strides;
  }

  // How the row-major number among the reduced elements follows the dimensions of x.
  Strides number_strides(const core::Shape& extents) const {
    Strides strides(extents.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t d = extents.size(); d-- > 0;) {
      if (!is_reduced(d)) continue;
      strides[d] = stride;
      stride *= extents[d];
    }
    return strides;
  }

  void add_up(const Space& space, const Block& x_block, const Block& y_block,
              void* workspace) const {
    const std::size_t rank = x_block.box.size();
    core::Shape extents = core::extents(x_block.box);
    if (x_block.size() == 0)  // sums of nothing
      for (std::size_t d = 0; d < rank; ++d)
        extents[d] = is_reduced(d) ? 0 : y_block.box[static_cast<std::size_t>(y_dim_[d])].extent();
    const auto nest = make_sum_nest<2>(extents, {strides_of(x_block), along_x(rank, y_block)},
                                       [&](std::size_t d) { return is_reduced(d); });
    const T* x = data_of<T>(x_block);
    T* y = data_of<T>(y_block);
    const double scale = scale_;
    sum_tiles<1>(
        space, "soapstone::reduce::forward", nest, workspace,
        [=](const Tile<2>& tile, auto& sums) {
          const std::int64_t run = (nest.columns ? nest.kept : nest.summed).stride[0][0];
          const std::int64_t row = nest.summed.stride[nest.columns ? 0 : 1][0];
          with_steps(run, 0, 0, [&](auto step, auto, auto) {
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* from = x + tile.offset[0] + r * row;
              if (nest.columns) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j)
                  sums[0][j] += static_cast<double>(from[j * step]);
              } else {
                double sum = 0;
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < tile.count; ++j)
                  sum += static_cast<double>(from[j * step]);
                sums[0][0] += sum;
              }
            }
          });
        },
        [=](std::int64_t offset, const double* sum) {
          y[offset] = static_cast<T>(sum[0] * scale);
        });
  }

  void repeat(const Space& space, const Block& dy_block, const Block& dx_block) const {
    const auto nest = make_nest<2>(core::extents(dx_block.box),
                                   {strides_of(dx_block), along_x(dx_block.box.size(), dy_block)});
    const T* dy = data_of<T>(dy_block);
    T* dx = data_of<T>(dx_block);
    const T scale = static_cast<T>(scale_);
    for_tiles(space, "soapstone::reduce::backward_input", nest, [=](const Tile<2>& tile) {
      with_steps(nest.stride[0][0], nest.stride[0][1], 0, [&](auto step, auto dy_step, auto) {
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = dx + tile.offset[0] + r * nest.stride[1][0];
          const T* from = dy + tile.offset[1] + r * nest.stride[1][1];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) to[j * step] = from[j * dy_step] * scale;
        }
      });
    });
  }

  // The reduced dimensions are whole, so that numbers of the part are numbers of the tensor.
  void largest(const Space& space, const Block& x_block, const Block& y_block,
               const Block& choice_block) const {
    enum { kX, kNumber, kY };
    const core::Shape extents = core::extents(x_block.box);
    const auto nest = make_sum_nest<3>(
        extents, {strides_of(x_block), number_strides(extents), along_x(extents.size(), y_block)},
        [&](std::size_t d) { return is_reduced(d); });
    const T* x = data_of<T>(x_block);
    T* y = data_of<T>(y_block);
    std::int32_t* choice = data_of<std::int32_t>(choice_block);
    const std::int64_t columns = nest.columns ? nest.kept.extent[0] : 1;
    const std::int64_t pieces = (columns + kColumns - 1) / kColumns;
    std::int64_t outer = 1;  // runs or rows of the summed elements
    for (int k = 1; k < nest.summed.depth; ++k) outer *= nest.summed.extent[k];
    const std::int64_t tasks = nest.kept.size() / std::max<std::int64_t>(1, columns) * pieces;
    const std::int64_t grain =
        std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, outer * nest.summed.extent[0]));
    parallel_for_chunks(
        space, "soapstone::reduce::forward", tasks, grain,
        [=](std::int64_t begin, std::int64_t end) {
          T values[kColumns];
          std::int32_t numbers[kColumns];
          for (std::int64_t task = begin; task < end; ++task) {
            const std::int64_t first = task % pieces * kColumns;
            const std::int64_t count = std::min(kColumns, columns - first);
            std::int64_t start[3] = {};
            nest.kept.locate(task / pieces, nest.columns ? 1 : 0, start);
            const auto& across = nest.kept.stride[0];  // from column to column
            if (nest.columns)
              for (int o = 0; o < 3; ++o) start[o] += first * across[o];
            const std::int64_t lanes = nest.columns ? count : kLanes;
            for (std::int64_t j = 0; j < lanes; ++j) {
              values[j] = -std::numeric_limits<T>::infinity();
              numbers[j] = std::numeric_limits<std::int32_t>::max();
            }
            const std::int64_t extent = nest.summed.extent[0];
            const std::int64_t step = nest.summed.stride[0][kX],
                               number_step = nest.summed.stride[0][kNumber];
            for (std::int64_t o = 0; o < outer; ++o) {
              std::int64_t offset[3] = {start[kX], 0, 0};
              nest.summed.locate(o, 1, offset);
              if (nest.columns) {
                for (std::int64_t i = 0; i < extent; ++i)
                  compare_columns(x + offset[kX] + i * step, across[kX], count,
                                  static_cast<std::int32_t>(offset[kNumber] + i * number_step),
                                  values, numbers);
              } else {
                compare_run(x + offset[kX], step, extent,
                            static_cast<std::int32_t>(offset[kNumber]),
                            static_cast<std::int32_t>(number_step), values, numbers);
              }
            }
            if (!nest.columns)
              for (std::int64_t lane = 1; lane < kLanes; ++lane)
                keep_largest(values[lane], numbers[lane], values[0], numbers[0]);
            for (std::int64_t j = 0; j < count; ++j) {
              const std::int64_t at = start[kY] + j * (nest.columns ? across[kY] : 0);
              y[at] = values[j];
              choice[at] = numbers[j];
            }
          }
        });
  }

  // One element for each of `count` maxima.
  static void compare_columns(const T* x, std::int64_t x_step, std::int64_t count,
                              std::int32_t number, T* values, std::int32_t* numbers) {
    with_steps(x_step, 0, 0, [&](auto step, auto, auto) {
      SOAPSTONE_SIMD
      for (std::int64_t j = 0; j < count; ++j)
        keep_largest(x[j * step], number, values[j], numbers[j]);
    });
  }

  // A run of elements for one maximum: element i belongs to lane i % kLanes.
  static void compare_run(const T* x, std::int64_t x_step, std::int64_t extent, std::int32_t number,
                          std::int32_t number_step, T* values, std::int32_t* numbers) {
    with_steps(x_step, 0, 0, [&](auto step, auto, auto) {
      const auto compare = [&](std::int64_t first, std::int64_t count) {
        SOAPSTONE_SIMD
        for (std::int64_t lane = 0; lane < count; ++lane)
          keep_largest(x[(first + lane) * step],
                       number + static_cast<std::int32_t>(first + lane) * number_step, values[lane],
                       numbers[lane]);
      };
      std::int64_t first = 0;
      for (; first + kLanes <= extent; first += kLanes) compare(first, kLanes);
      compare(first, extent - first);
    });
  }

  void give_to_largest(const Space& space, const Block& choice_block, const Block& dy_block,
                       const Block& dx_block) const {
    const core::Shape extents = core::extents(dx_block.box);
    const auto nest =
        make_nest<4>(extents, {strides_of(dx_block), along_x(extents.size(), dy_block),
                               along_x(extents.size(), choice_block), number_strides(extents)});
    const std::int32_t* choice = data_of<std::int32_t>(choice_block);
    const T* dy = data_of<T>(dy_block);
    T* dx = data_of<T>(dx_block);
    for_tiles(space, "soapstone::reduce::backward_input", nest, [=](const Tile<4>& tile) {
      const auto& steps = nest.stride[0];
      // dy and choice lie alike.
      with_steps(steps[0], steps[1], steps[3], [&](auto step, auto y_step, auto number_step) {
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = dx + tile.offset[0] + r * nest.stride[1][0];
          const T* from = dy + tile.offset[1] + r * nest.stride[1][1];
          const std::int32_t* chosen = choice + tile.offset[2] + r * nest.stride[1][2];
          const std::int64_t number = tile.offset[3] + r * nest.stride[1][3];
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) {
            const T g = from[j * y_step];  // read in any case, so that the loop vectorises
            to[j * step] = chosen[j * y_step] == static_cast<std::int32_t>(number + j * number_step)
                               ? g
                               : T(0);
          }
        }
      });
    });
  }

  StepTable steps_;
  bool maximum_ = false;
  double scale_ = 1;
  int y_dim_[core::kMaxRank] = {};  // the dimension of y that is dimension d of x
  core::Bytes workspace_;
};

}  // namespace

std::unique_ptr<PreparedKernel> reduce_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<ReduceKernel>(problem);
}

}  // namespace soapstone::kernels
