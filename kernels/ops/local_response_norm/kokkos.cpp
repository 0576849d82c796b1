// local_response_norm: y = x / scale^beta, scale = k + alpha / size · Σ x² over a window of
// channels;
//   dx = dy / scale^beta - 2 alpha beta / size · x Σ dy x / scale^(beta + 1)
// over the channels whose windows hold this one; see core/ops/local_response_norm.hpp.
//
// Shapes: y, dy, scale [n, c, h, w]; x, dx the same with the neighbouring channels that the windows
// of a part reach: what a part writes to dx is due to its own dy. Any order; all overwritten. Sums
// are in double, window by window. Loops run over whatever lies innermost, channels or positions.
// Words moved per element, windows being read again from cache: forward 3, backward 7. Workspace:
// dy x / scale^(beta + 1) of every element.
#include <cmath>

#include "core/ops/local_response_norm.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

constexpr std::size_t kChannelDim = 1;
constexpr std::int64_t kPiece = 256;  // elements summed side by side

// base^-exponent of positive bases; the usual exponents without std::pow.
template <class T>
struct NegativePower {
  T exponent;

  template <class Body>
  void dispatch(const Body& body) const {
    if (exponent == T(0.75))
      body([](T base) {
        const T root = std::sqrt(base);
        return T(1) / (root * std::sqrt(root));
      });
    else if (exponent == T(0.5))
      body([](T base) { return T(1) / std::sqrt(base); });
    else
      body([e = -exponent](T base) { return std::pow(base, e); });
  }
};

template <class T>
class LocalResponseNormKernel final : public PreparedKernel {
 public:
  explicit LocalResponseNormKernel(const core::LocalProblem& problem)
      : steps_(*problem.definition) {
    const auto& op = *problem.op.get_if<core::LocalResponseNorm>();
    before_ = op.size / 2;
    after_ = (op.size - 1) / 2;
    k_ = op.k;
    share_ = op.alpha / static_cast<double>(op.size);
    beta_ = op.beta;
    const int x = problem.definition->operand("x"), y = problem.definition->operand("y");
    x_extents_ = problem.local_shape(x);
    y_extents_ = problem.local_shape(y);
    if (core::elements(y_extents_) > 0)
      first_ = problem.box(y)[kChannelDim].begin - problem.box(x)[kChannelDim].begin;
  }

  core::Bytes workspace() const override {
    return core::Bytes(core::elements(y_extents_) * static_cast<std::int64_t>(sizeof(T)));
  }

  void execute(const StepCall& call) const override {
    if (steps_.name(call) == "forward") return forward(call);
    if (steps_.name(call) == "backward_input") return backward(call);
    unknown_step("local_response_norm/kokkos", steps_.name(call));
  }

 private:
  // The channel of every element.
  static Strides channel_strides() { return {0, 1, 0, 0}; }

  // Elements [begin, end) of a run of `count` whose channel, `channel` at the first and `run` (0 or
  // 1) more at each next, lies in [0, channels).
  struct Inside {
    std::int64_t begin, end;
  };
  static Inside inside(std::int64_t channel, std::int64_t run, std::int64_t count,
                       std::int64_t channels) {
    if (run == 0) return {0, channel >= 0 && channel < channels ? count : 0};
    return {std::max<std::int64_t>(0, -channel), std::min(count, channels - channel)};
  }

  void forward(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &y_block = steps_.value(call, "y"),
                &scale_block = steps_.value(call, "scale");
    if (y_block.data == nullptr) return;
    const auto nest = make_nest<4>(y_extents_, {strides_of(y_block), strides_of(x_block),
                                                strides_of(scale_block), channel_strides()});
    T* y = data_of<T>(y_block);
    T* scale = data_of<T>(scale_block);
    const T* x = data_of<T>(x_block);
    const std::int64_t channel_step = strides_of(x_block)[kChannelDim];
    const std::int64_t before = before_, after = after_, first = first_,
                       channels = x_extents_[kChannelDim];
    const double k = k_, share = share_;
    NegativePower<T>{static_cast<T>(beta_)}.dispatch([&](auto power) {
      for_tiles(Space(), "soapstone::local_response_norm::forward", nest, [=](const Tile<4>& tile) {
        const auto& run = nest.stride[0];
        for (std::int64_t r = 0; r < tile.rows; ++r)
          for (std::int64_t begin = 0; begin < tile.count; begin += kPiece) {
            const std::int64_t count = std::min(kPiece, tile.count - begin);
            const auto start = [&](int o) {
              return tile.offset[o] + r * nest.stride[1][o] + begin * run[o];
            };
            const std::int64_t from = start(1) + first * channel_step, channel = start(3) + first;
            double squares[kPiece] = {};
            for (std::int64_t tap = -before; tap <= after; ++tap) {
              const Inside in = inside(channel + tap, run[3], count, channels);
              const std::int64_t at = from + tap * channel_step;
              SOAPSTONE_SIMD
              for (std::int64_t j = in.begin; j < in.end; ++j) {
                const double v = x[at + j * run[1]];
                squares[j] += v * v;
              }
            }
            T* to = y + start(0);
            T* to_scale = scale + start(2);
            SOAPSTONE_SIMD
            for (std::int64_t j = 0; j < count; ++j) {
              const T s = static_cast<T>(k + share * squares[j]);
              to_scale[j * run[2]] = s;
              to[j * run[0]] = x[from + j * run[1]] * power(s);
            }
          }
      });
    });
  }

  void backward(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &dy_block = steps_.gradient(call, "y"),
                &scale_block = steps_.value(call, "scale"), &dx_block = steps_.gradient(call, "x");
    if (dx_block.data == nullptr) return;
    const Space space;
    T* dx = data_of<T>(dx_block);
    const T* x = data_of<T>(x_block);
    const T* dy = data_of<T>(dy_block);
    const T* scale = data_of<T>(scale_block);
    const Strides x_strides = strides_of(x_block), scale_strides = strides_of(scale_block),
                  dy_strides = strides_of(dy_block);
    const std::int64_t first = first_;
    NegativePower<T>{static_cast<T>(beta_)}.dispatch([&](auto power) {
      // What this part's channels pass on to those in their windows; it lies as the scale.
      T* passed = static_cast<T*>(call.workspace);
      const T* own_x = x + first * x_strides[kChannelDim];
      const auto own = make_nest<3>(y_extents_, {scale_strides, x_strides, dy_strides});
      for_tiles(
          space, "soapstone::local_response_norm::backward_passed", own, [=](const Tile<3>& tile) {
            const auto &run = own.stride[0], &row = own.stride[1];
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              T* to = passed + tile.offset[0] + r * row[0];
              const T* s = scale + tile.offset[0] + r * row[0];
              const T* at = own_x + tile.offset[1] + r * row[1];
              const T* gradient = dy + tile.offset[2] + r * row[2];
              SOAPSTONE_SIMD
              for (std::int64_t j = 0; j < tile.count; ++j)
                to[j * run[0]] =
                    gradient[j * run[2]] * at[j * run[1]] * (power(s[j * run[0]]) / s[j * run[0]]);
            }
          });
      const auto nest = make_nest<5>(x_extents_, {strides_of(dx_block), x_strides, scale_strides,
                                                  dy_strides, channel_strides()});
      const std::int64_t before = before_, after = after_, channels = y_extents_[kChannelDim];
      const std::int64_t scale_step = scale_strides[kChannelDim], dy_step = dy_strides[kChannelDim];
      const double factor = 2 * share_ * beta_;
      for_tiles(
          space, "soapstone::local_response_norm::backward_input", nest, [=](const Tile<5>& tile) {
            const auto& run = nest.stride[0];
            for (std::int64_t r = 0; r < tile.rows; ++r)
              for (std::int64_t begin = 0; begin < tile.count; begin += kPiece) {
                const std::int64_t count = std::min(kPiece, tile.count - begin);
                const auto start = [&](int o) {
                  return tile.offset[o] + r * nest.stride[1][o] + begin * run[o];
                };
                // By the channels of this part; they may lie outside.
                const std::int64_t channel = start(4) - first;
                const std::int64_t own_scale = start(2) - first * scale_step,
                                   own_dy = start(3) - first * dy_step;
                double sums[kPiece] = {};
                for (std::int64_t tap = -after; tap <= before; ++tap) {
                  const Inside in = inside(channel + tap, run[4], count, channels);
                  const std::int64_t at = own_scale + tap * scale_step;
                  SOAPSTONE_SIMD
                  for (std::int64_t j = in.begin; j < in.end; ++j)
                    sums[j] += static_cast<double>(passed[at + j * run[2]]);
                }
                T* to = dx + start(0);
                const T* from = x + start(1);
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < count; ++j)
                  to[j * run[0]] =
                      static_cast<T>(-factor * static_cast<double>(from[j * run[1]]) * sums[j]);
                const Inside in = inside(channel, run[4], count, channels);
                SOAPSTONE_SIMD
                for (std::int64_t j = in.begin; j < in.end; ++j)
                  to[j * run[0]] += dy[own_dy + j * run[3]] * power(scale[own_scale + j * run[2]]);
              }
          });
    });
  }

  StepTable steps_;
  std::int64_t before_ = 0, after_ = 0;  // channels of a window beside its own
  double k_ = 1, share_ = 0, beta_ = 0;
  core::Shape x_extents_, y_extents_;  // of this part
  std::int64_t first_ = 0;             // channels of x before the first one of y
};

}  // namespace

std::unique_ptr<PreparedKernel> local_response_norm_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<LocalResponseNormKernel>(problem);
}

}  // namespace soapstone::kernels
