// pool2d: y[n, c, oh, ow] = max or mean of x over the window of (oh, ow), in f32 or f64, operands
// in any order of dimensions (loops are over channels inside: fast where channels lie innermost).
//
// `choice` is the number r·kw + s of the first place of the window that has the maximum. Backward
// gathers: every input place adds up what the windows that hold it pass on, in a fixed order.
// Moves about n·c·(h·w + oh·ow) words each way.
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/ops/pool2d/shape.hpp"

namespace soapstone::kernels {

namespace {

using detail::Window;

// The taps of a window that are inside the input: [first, last).
struct Taps {
  std::int64_t start, first, last;
  std::int64_t count() const { return last - first; }
};
Taps taps_of(const Window& window, std::int64_t out) {
  const std::int64_t start = out * window.stride - window.pad_begin;
  return {start, std::max<std::int64_t>(0, -start), std::min(window.kernel, window.in - start)};
}

// The outputs whose windows hold an input: [first, last).
struct Outputs {
  std::int64_t first, last;
};
Outputs outputs_of(const Window& window, std::int64_t in) {
  const std::int64_t at = in + window.pad_begin,
                     before = at - window.kernel;  // windows up to there end too early
  return {before < 0 ? 0 : before / window.stride + 1,
          std::min(window.out, at / window.stride + 1)};
}

template <class T>
class Pool2DKokkos final : public PreparedKernel {
 public:
  explicit Pool2DKokkos(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        shape_(problem),
        x_strides_(shape_.x.strides),
        y_strides_(shape_.y.strides) {}

  void execute(const StepCall& call) const override {
    const detail::Space space;
    const auto step = steps_.name(call);
    const bool contiguous = (x_strides_[1] == 1 && y_strides_[1] == 1) || shape_.c == 1;
    detail::if_contiguous(contiguous, [&](auto is_contiguous) {
      if (step == "forward" && shape_.maximum)
        forward_maximum(space, steps_.value(call, "x"), steps_.value(call, "y"),
                        steps_.value(call, "choice"), is_contiguous);
      else if (step == "forward")
        forward_mean(space, steps_.value(call, "x"), steps_.value(call, "y"), is_contiguous);
      else if (step == "backward_input" && shape_.maximum)
        backward_maximum(space, steps_.value(call, "choice"), steps_.gradient(call, "y"),
                         steps_.gradient(call, "x"), is_contiguous);
      else if (step == "backward_input")
        backward_mean(space, steps_.gradient(call, "y"), steps_.gradient(call, "x"), is_contiguous);
      else
        detail::unknown_step("pool2d/kokkos", step);
    });
  }

 private:
  // body(n, h, w) for all places of an image block.
  template <class Body>
  void for_places(const detail::Space& space, const char* label, std::int64_t height,
                  std::int64_t width, const Body& body) const {
    const std::int64_t grain =
        std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, shape_.c));
    detail::parallel_for_chunks(space, label, shape_.n * height * width, grain,
                                [=](std::int64_t begin, std::int64_t end) {
                                  for (std::int64_t p = begin; p < end; ++p)
                                    body(p / (height * width), p / width % height, p % width);
                                });
  }
  static std::int64_t offset(const core::Shape& strides, std::int64_t n, std::int64_t h,
                             std::int64_t w) {
    return n * strides[0] + h * strides[2] + w * strides[3];
  }

  template <class Contiguous>
  void forward_maximum(const detail::Space& space, const Block& x, const Block& y,
                       const Block& choice, Contiguous contiguous) const {
    const T* from = detail::data_of<T>(x);
    T* to = detail::data_of<T>(y);
    std::int32_t* chosen = detail::data_of<std::int32_t>(choice);
    const Window height = shape_.h, width = shape_.w;
    const core::Shape xs = x_strides_, ys = y_strides_;
    const std::int64_t channels = shape_.c;
    for_places(space, "soapstone::pool2d::forward", height.out, width.out,
               [=](std::int64_t n, std::int64_t oh, std::int64_t ow) {
                 const auto x_step = detail::step_of(contiguous, xs[1]),
                            y_step = detail::step_of(contiguous, ys[1]);
                 const Taps h = taps_of(height, oh), w = taps_of(width, ow);
                 T* best = to + offset(ys, n, oh, ow);
                 std::int32_t* which = chosen + offset(ys, n, oh, ow);
                 bool first = true;
                 for (std::int64_t r = h.first; r < h.last; ++r)
                   for (std::int64_t s = w.first; s < w.last; ++s) {
                     const T* at = from + offset(xs, n, h.start + r, w.start + s);
                     const auto tap = static_cast<std::int32_t>(r * width.kernel + s);
                     if (first) {
                       for (std::int64_t c = 0; c < channels; ++c) {
                         best[c * y_step] = at[c * x_step];
                         which[c * y_step] = tap;
                       }
                       first = false;
                       continue;
                     }
                     SOAPSTONE_SIMD
                     for (std::int64_t c = 0; c < channels; ++c) {
                       const T v = at[c * x_step], b = best[c * y_step];
                       const std::int32_t old = which[c * y_step];
                       best[c * y_step] = v > b ? v : b;
                       which[c * y_step] = v > b ? tap : old;
                     }
                   }
               });
  }

  template <class Contiguous>
  void forward_mean(const detail::Space& space, const Block& x, const Block& y,
                    Contiguous contiguous) const {
    const T* from = detail::data_of<T>(x);
    T* to = detail::data_of<T>(y);
    const Window height = shape_.h, width = shape_.w;
    const core::Shape xs = x_strides_, ys = y_strides_;
    const std::int64_t channels = shape_.c;
    const bool count_padding = shape_.count_padding;
    for_places(space, "soapstone::pool2d::forward", height.out, width.out,
               [=](std::int64_t n, std::int64_t oh, std::int64_t ow) {
                 const auto x_step = detail::step_of(contiguous, xs[1]),
                            y_step = detail::step_of(contiguous, ys[1]);
                 const Taps h = taps_of(height, oh), w = taps_of(width, ow);
                 T* sum = to + offset(ys, n, oh, ow);
                 for (std::int64_t c = 0; c < channels; ++c) sum[c * y_step] = T(0);
                 for (std::int64_t r = h.first; r < h.last; ++r)
                   for (std::int64_t s = w.first; s < w.last; ++s) {
                     const T* at = from + offset(xs, n, h.start + r, w.start + s);
                     SOAPSTONE_SIMD
                     for (std::int64_t c = 0; c < channels; ++c) sum[c * y_step] += at[c * x_step];
                   }
                 const T divisor = static_cast<T>(count_padding ? height.kernel * width.kernel
                                                                : h.count() * w.count());
                 SOAPSTONE_SIMD
                 for (std::int64_t c = 0; c < channels; ++c) sum[c * y_step] /= divisor;
               });
  }

  template <class Contiguous>
  void backward_maximum(const detail::Space& space, const Block& choice, const Block& dy,
                        const Block& dx, Contiguous contiguous) const {
    const std::int32_t* chosen = detail::data_of<std::int32_t>(choice);
    const T* from = detail::data_of<T>(dy);
    T* to = detail::data_of<T>(dx);
    const Window height = shape_.h, width = shape_.w;
    const core::Shape xs = x_strides_, ys = y_strides_;
    const std::int64_t channels = shape_.c;
    for_places(space, "soapstone::pool2d::backward_input", height.in, width.in,
               [=](std::int64_t n, std::int64_t h, std::int64_t w) {
                 const auto x_step = detail::step_of(contiguous, xs[1]),
                            y_step = detail::step_of(contiguous, ys[1]);
                 const Outputs rows = outputs_of(height, h), columns = outputs_of(width, w);
                 T* sum = to + offset(xs, n, h, w);
                 bool first = true;
                 for (std::int64_t oh = rows.first; oh < rows.last; ++oh)
                   for (std::int64_t ow = columns.first; ow < columns.last; ++ow) {
                     const std::int64_t r = h + height.pad_begin - oh * height.stride;
                     const std::int64_t s = w + width.pad_begin - ow * width.stride;
                     const auto tap = static_cast<std::int32_t>(r * width.kernel + s);
                     const T* at = from + offset(ys, n, oh, ow);
                     const std::int32_t* which = chosen + offset(ys, n, oh, ow);
                     if (first) {
                       SOAPSTONE_SIMD
                       for (std::int64_t c = 0; c < channels; ++c) {
                         const T g = at[c * y_step];
                         sum[c * x_step] = which[c * y_step] == tap ? g : T(0);
                       }
                       first = false;
                       continue;
                     }
                     SOAPSTONE_SIMD
                     for (std::int64_t c = 0; c < channels; ++c) {
                       const T g = at[c * y_step];
                       sum[c * x_step] += which[c * y_step] == tap ? g : T(0);
                     }
                   }
                 if (first)
                   for (std::int64_t c = 0; c < channels; ++c) sum[c * x_step] = T(0);
               });
  }

  template <class Contiguous>
  void backward_mean(const detail::Space& space, const Block& dy, const Block& dx,
                     Contiguous contiguous) const {
    const T* from = detail::data_of<T>(dy);
    T* to = detail::data_of<T>(dx);
    const Window height = shape_.h, width = shape_.w;
    const core::Shape xs = x_strides_, ys = y_strides_;
    const std::int64_t channels = shape_.c;
    const bool count_padding = shape_.count_padding;
    for_places(space, "soapstone::pool2d::backward_input", height.in, width.in,
               [=](std::int64_t n, std::int64_t h, std::int64_t w) {
                 const auto x_step = detail::step_of(contiguous, xs[1]),
                            y_step = detail::step_of(contiguous, ys[1]);
                 const Outputs rows = outputs_of(height, h), columns = outputs_of(width, w);
                 T* sum = to + offset(xs, n, h, w);
                 for (std::int64_t c = 0; c < channels; ++c) sum[c * x_step] = T(0);
                 for (std::int64_t oh = rows.first; oh < rows.last; ++oh)
                   for (std::int64_t ow = columns.first; ow < columns.last; ++ow) {
                     const std::int64_t count =
                         count_padding ? height.kernel * width.kernel
                                       : taps_of(height, oh).count() * taps_of(width, ow).count();
                     const T share = T(1) / static_cast<T>(count);
                     const T* at = from + offset(ys, n, oh, ow);
                     SOAPSTONE_SIMD
                     for (std::int64_t c = 0; c < channels; ++c)
                       sum[c * x_step] += at[c * y_step] * share;
                   }
               });
  }

  detail::StepTable steps_;
  PoolShape shape_;
  core::Shape x_strides_, y_strides_;
};

}  // namespace

std::unique_ptr<PreparedKernel> pool2d_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<Pool2DKokkos>(problem);
}

}  // namespace soapstone::kernels
