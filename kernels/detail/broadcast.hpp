// y = f(a, b) with broadcasting and its gradients; see core/ops/broadcast.hpp.
//
// Shapes: dimensions are aligned at the last one; a and b have extent 1, or no dimension, where y
// repeats them. Any order; all overwritten. Sums are in double, over the part of y that is here.
#pragma once

#include <algorithm>

#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/runs.hpp"
#include "kernels/detail/simd.hpp"

namespace soapstone::kernels::detail {

class Broadcast {
 public:
  enum Input { kA, kB };

  // The operands of the problem are named a, b and y.
  explicit Broadcast(const core::LocalProblem& problem) : whole_(shape_of(problem, "y")) {
    for (const Input input : {kA, kB}) {
      const char* name = input == kA ? "a" : "b";
      shapes_[input] = shape_of(problem, name);
      repeats_[input] = shapes_[input] != whole_;
      if (!repeats_[input]) continue;
      const core::Box box = problem.box(problem.definition->operand(name));
      workspace_ = std::max(workspace_, SumNest<4>::workspace(core::elements(box), 1));
    }
  }

  core::Bytes workspace() const { return workspace_; }

  // y = f(a, b). Moves 3 words per element of y.
  template <class T, class F>
  void forward(const Space& space, const char* label, const Block& a_block, const Block& b_block,
               const Block& y_block, const F& f) const {
    if (y_block.data == nullptr) return;
    const auto nest =
        make_nest<3>(core::extents(y_block.box),
                     {strides_of(y_block), along_y(kA, a_block), along_y(kB, b_block)});
    T* y = data_of<T>(y_block);
    const T* a = data_of<T>(a_block);
    const T* b = data_of<T>(b_block);
    for_tiles(space, label, nest, [=](const Tile<3>& tile) {
      const auto& step = nest.stride[0];
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        T* to = y + tile.offset[0] + r * nest.stride[1][0];
        const T* left = a + tile.offset[1] + r * nest.stride[1][1];
        const T* right = b + tile.offset[2] + r * nest.stride[1][2];
        if (step[0] == 1 && step[1] == 1 && step[2] == 1) {
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) to[j] = f(left[j], right[j]);
        } else if (step[0] == 1 && step[1] == 1 && step[2] == 0) {
          const T still = *right;
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) to[j] = f(left[j], still);
        } else if (step[0] == 1 && step[1] == 0 && step[2] == 1) {
          const T still = *left;
          SOAPSTONE_SIMD
          for (std::int64_t j = 0; j < tile.count; ++j) to[j] = f(still, right[j]);
        } else {
          for (std::int64_t j = 0; j < tile.count; ++j)
            to[j * step[0]] = f(left[j * step[1]], right[j * step[2]]);
        }
      }
    });
  }

  // dx[i] = g(dy[i], a[i], b[i]) for `count` elements side by side.
  template <class T>
  using Gradients = void (*)(const T* dy, const T* a, const T* b, std::int64_t count, T* dx);

  // dx = g(dy, a, b), the gradient of `input`, added up where y repeats it. Moves 4 words per
  // element of y, 3 where it adds up.
  template <class T>
  void backward(const Space& space, const char* label, const char* sum_label, Input input,
                const Block& a_block, const Block& b_block, const Block& dy_block,
                const Block& dx_block, void* workspace, Gradients<T> g) const {
    if (dx_block.data == nullptr) return;
    const T* dy = data_of<T>(dy_block);
    T* dx = data_of<T>(dx_block);
    const T* a = data_of<T>(a_block);
    const T* b = data_of<T>(b_block);
    const Strides dy_strides = strides_of(dy_block), dx_strides = along_y(input, dx_block),
                  a_strides = along_y(kA, a_block), b_strides = along_y(kB, b_block);
    if (!repeats_[input]) {
      const auto nest =
          make_nest<4>(core::extents(dy_block.box), {dx_strides, dy_strides, a_strides, b_strides});
      for_tiles(space, label, nest, [=](const Tile<4>& tile) {
        const auto &step = nest.stride[0], &row = nest.stride[1];
        const bool contiguous = nest.contiguous();
        T dy_buffer[kPiece], left_buffer[kPiece], right_buffer[kPiece], to_buffer[kPiece];
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          T* to = dx + tile.offset[0] + r * row[0];
          const T* gradient = dy + tile.offset[1] + r * row[1];
          const T* left = a + tile.offset[2] + r * row[2];
          const T* right = b + tile.offset[3] + r * row[3];
          for_pieces(tile.count, contiguous, [&](std::int64_t first, std::int64_t count) {
            const T* from = side_by_side(gradient + first * step[1], step[1], count, dy_buffer);
            const T* of_a = side_by_side(left + first * step[2], step[2], count, left_buffer);
            const T* of_b = side_by_side(right + first * step[3], step[3], count, right_buffer);
            write_run(to + first * step[0], step[0], count, to_buffer,
                      [&](T* target) { g(from, of_a, of_b, count, target); });
          });
        }
      });
      return;
    }
    const auto nest = make_sum_nest<4>(summed_extents(input, dy_block, dx_block),
                                       {dy_strides, a_strides, b_strides, dx_strides},
                                       [&](std::size_t d) { return is_repeated(input, d); });
    sum_tiles<1>(
        space, sum_label, nest, workspace,
        [=](const Tile<4>& tile, auto& sums) {
          const auto& step = (nest.columns ? nest.kept : nest.summed).stride[0];
          const auto& row = nest.summed.stride[nest.columns ? 0 : 1];
          T dy_buffer[kPiece], left_buffer[kPiece], right_buffer[kPiece], to_add[kPiece];
          for (std::int64_t r = 0; r < tile.rows; ++r) {
            const T* gradient = dy + tile.offset[0] + r * row[0];
            const T* left = a + tile.offset[1] + r * row[1];
            const T* right = b + tile.offset[2] + r * row[2];
            for_pieces(tile.count, false, [&](std::int64_t first, std::int64_t count) {
              g(side_by_side(gradient + first * step[0], step[0], count, dy_buffer),
                side_by_side(left + first * step[1], step[1], count, left_buffer),
                side_by_side(right + first * step[2], step[2], count, right_buffer), count, to_add);
              if (nest.columns) {
                double* sum = &sums[0][first];
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < count; ++j) sum[j] += static_cast<double>(to_add[j]);
              } else {
                double sum = 0;
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < count; ++j) sum += static_cast<double>(to_add[j]);
                sums[0][0] += sum;
              }
            });
          }
        },
        [=](std::int64_t offset, const double* sum) { dx[offset] = static_cast<T>(sum[0]); });
  }

  // dx = ± dy, likewise: the gradients of a sum and a difference. Moves 2 words per element of y, 1
  // where it adds up.
  template <class T>
  void backward_of_sum(const Space& space, const char* label, const char* sum_label, Input input,
                       const Block& dy_block, const Block& dx_block, void* workspace,
                       WideOf<T> sign = 1) const {
    if (dx_block.data == nullptr) return;
    T* dx = data_of<T>(dx_block);
    const T* dy = data_of<T>(dy_block);
    const Strides dx_strides = along_y(input, dx_block);
    if (!repeats_[input]) {
      const auto nest =
          make_nest<2>(core::extents(dy_block.box), {dx_strides, strides_of(dy_block)});
      if_contiguous(nest.contiguous(), [&](auto contiguous) {
        for_tiles(space, label, nest, [=](const Tile<2>& tile) {
          const auto dx_step = step_of(contiguous, nest.stride[0][0]),
                     dy_step = step_of(contiguous, nest.stride[0][1]);
          for (std::int64_t r = 0; r < tile.rows; ++r) {
            T* to = dx + tile.offset[0] + r * nest.stride[1][0];
            const T* from = dy + tile.offset[1] + r * nest.stride[1][1];
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < tile.count; ++j)
              to[j * dx_step] = sign * from[j * dy_step];
          }
        });
      });
      return;
    }
    const auto nest = make_sum_nest<2>(summed_extents(input, dy_block, dx_block),
                                       {strides_of(dy_block), dx_strides},
                                       [&](std::size_t d) { return is_repeated(input, d); });
    const std::int64_t run = (nest.columns ? nest.kept : nest.summed).stride[0][0];
    const std::int64_t row = nest.summed.stride[nest.columns ? 0 : 1][0];
    if_contiguous(run == 1, [&](auto contiguous) {
      sum_tiles<1>(
          space, sum_label, nest, workspace,
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
          [=](std::int64_t offset, const double* sum) {
            dx[offset] = sign * static_cast<WideOf<T>>(sum[0]);
          });
    });
  }

 private:
  static core::Shape shape_of(const core::LocalProblem& problem, const char* operand) {
    return problem.definition->operands[problem.definition->operand(operand)].desc.shape;
  }

  // Whether y repeats the input along dimension d of y.
  bool is_repeated(Input input, std::size_t d) const {
    const core::Shape& shape = shapes_[input];
    const std::size_t missing = whole_.size() - shape.size();
    return d < missing || shape[d - missing] != whole_[d];
  }

  // The strides of a block of the input along the dimensions of y.
  Strides along_y(Input input, const Block& block) const {
    const Strides own = strides_of(block);
    const std::size_t missing = whole_.size() - own.size();
    Strides strides(whole_.size(), 0);
    for (std::size_t d = missing; d < whole_.size(); ++d)
      if (!is_repeated(input, d)) strides[d] = own[d - missing];
    return strides;
  }

  // What is added up: the extents of y, and those of dx and nothing where there is none of y.
  core::Shape summed_extents(Input input, const Block& dy, const Block& dx) const {
    core::Shape extents = core::extents(dy.box);
    if (dy.size() > 0) return extents;
    const std::size_t missing = extents.size() - dx.box.size();
    for (std::size_t d = 0; d < extents.size(); ++d)
      extents[d] = is_repeated(input, d) ? 0 : dx.box[d - missing].extent();
    return extents;
  }

  core::Shape whole_;      // of y
  core::Shape shapes_[2];  // of a and b
  bool repeats_[2] = {};   // whether y is larger
  core::Bytes workspace_;
};

}  // namespace soapstone::kernels::detail
