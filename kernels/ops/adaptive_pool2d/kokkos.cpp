// adaptive_pool2d: y[n, c, oh, ow] = max or mean of x over windows whose size follows from the
// extents; see core/ops/adaptive_pool2d.hpp. Operands in any order of dimensions (loops are over
// channels inside: fast where channels lie innermost).
//
// `choice` is the row-major position, in this part of x, of the first place of the window that has
// the maximum. Backward gathers: every input place adds up what the windows that hold it pass on,
// in a fixed order. Sums are in double; all overwritten. The mean of the whole image is a sum of
// this part over the count of the whole. Moves about n·c·(h·w + oh·ow) words each way.
#include "core/ops/adaptive_pool2d.hpp"
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/nest.hpp"
#include "kernels/detail/rows.hpp"
#include "kernels/detail/simd.hpp"
#include "kernels/detail/step_table.hpp"

namespace soapstone::kernels {
namespace {

using namespace detail;

constexpr std::int64_t kPiece = 256;  // channels pooled side by side

struct Span {
  std::int64_t first, last;  // [first, last)
  std::int64_t count() const { return last - first; }
};

// Along one axis: indices of this part in, indices of the whole tensor inside.
struct Windows {
  std::int64_t in = 0, out = 0;              // of the whole tensor
  std::int64_t in_begin = 0, out_begin = 0;  // of this part
  std::int64_t in_here = 0, out_here = 0;

  // The inputs of output o: [⌊o in / out⌋, ⌈(o + 1) in / out⌉).
  Span inputs(std::int64_t o) const {
    o += out_begin;
    return {o * in / out - in_begin, ((o + 1) * in + out - 1) / out - in_begin};
  }
  // The outputs whose windows hold input i, which is the same rule the other way round.
  Span outputs(std::int64_t i) const {
    i += in_begin;
    return {std::max<std::int64_t>(0, i * out / in - out_begin),
            std::min(out_here, ((i + 1) * out + in - 1) / in - out_begin)};
  }
};

template <class T>
class AdaptivePool2DKernel final : public PreparedKernel {
 public:
  explicit AdaptivePool2DKernel(const core::LocalProblem& problem) : steps_(*problem.definition) {
    const auto& op = *problem.op.get_if<core::AdaptivePool2D>();
    maximum_ = op.kind == core::PoolKind::kMax;
    global_ = op.is_global_mean();
    const core::OpDefinition& definition = *problem.definition;
    const int x = definition.operand("x"), y = definition.operand("y");
    const core::Shape& whole = definition.operands[x].desc.shape;
    const core::Box x_box = problem.box(x), y_box = problem.box(y);
    for (std::size_t k = 0; k < 2; ++k)
      windows_[k] = {whole[2 + k],       op.output[k],          x_box[2 + k].begin,
                     y_box[2 + k].begin, x_box[2 + k].extent(), y_box[2 + k].extent()};
    samples_ = problem.axes[definition.axis("n")].extent();
    channels_ = problem.axes[definition.axis("c")].extent();
    positions_ = {problem.axes[definition.axis("h")].extent(),
                  problem.axes[definition.axis("w")].extent()};
  }

  core::Bytes workspace() const override {
    return global_ ? SumNest<2>::workspace(samples_ * channels_, 1) : core::Bytes(0);
  }

  void execute(const StepCall& call) const override {
    const std::string_view step = steps_.name(call);
    if (step == "forward" && global_)
      global_mean(call);
    else if (step == "forward" && maximum_)
      forward_maximum(call);
    else if (step == "forward")
      forward_mean(call);
    else if (step == "backward_input" && global_)
      backward_global(call);
    else if (step == "backward_input" && maximum_)
      backward_maximum(call);
    else if (step == "backward_input")
      backward_mean(call);
    else
      unknown_step("adaptive_pool2d/kokkos", step);
  }

 private:
  // body(n, h, w, first channel, channels) for all places and pieces of channels of a block.
  template <class Body>
  void for_places(const char* label, std::int64_t height, std::int64_t width,
                  const Body& body) const {
    const std::int64_t channels = channels_, pieces = (channels + kPiece - 1) / kPiece;
    const std::int64_t grain =
        std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, std::min(kPiece, channels)));
    parallel_for_chunks(Space(), label, samples_ * height * width * pieces, grain,
                        [=](std::int64_t begin, std::int64_t end) {
                          for (std::int64_t i = begin; i < end; ++i) {
                            const std::int64_t c = i % pieces * kPiece, p = i / pieces;
                            body(p / (height * width), p / width % height, p % width, c,
                                 std::min(kPiece, channels - c));
                          }
                        });
  }

  void forward_maximum(const StepCall& call) const {
    const auto x = strided<T>(steps_.value(call, "x")), y = strided<T>(steps_.value(call, "y"));
    const auto choice = strided<std::int32_t>(steps_.value(call, "choice"));
    if (y.data == nullptr) return;
    const Windows height = windows_[0], width = windows_[1];
    if_contiguous(x.stride[1] == 1 && y.stride[1] == 1, [&](auto contiguous) {
      for_places("soapstone::adaptive_pool2d::forward", height.out_here, width.out_here,
                 [=](std::int64_t n, std::int64_t oh, std::int64_t ow, std::int64_t c,
                     std::int64_t count) {
                   const auto x_step = step_of(contiguous, x.stride[1]),
                              y_step = step_of(contiguous, y.stride[1]);
                   const std::int64_t choice_step = choice.stride[1];
                   const Span rows = height.inputs(oh), columns = width.inputs(ow);
                   T best[kPiece];
                   std::int32_t which[kPiece];
                   const T* start = &x(n, c, rows.first, columns.first);
                   const auto first =
                       static_cast<std::int32_t>(rows.first * width.in_here + columns.first);
                   for (std::int64_t j = 0; j < count; ++j) {
                     best[j] = start[j * x_step];
                     which[j] = first;
                   }
                   for (std::int64_t h = rows.first; h < rows.last; ++h)
                     for (std::int64_t w = columns.first; w < columns.last; ++w) {
                       const T* at = &x(n, c, h, w);
                       const auto place = static_cast<std::int32_t>(h * width.in_here + w);
                       SOAPSTONE_SIMD
                       for (std::int64_t j = 0; j < count; ++j) {
                         const T v = at[j * x_step], b = best[j];
                         const std::int32_t old = which[j];
                         best[j] = v > b ? v : b;
                         which[j] = v > b ? place : old;
                       }
                     }
                   T* to = &y(n, c, oh, ow);
                   std::int32_t* chosen = &choice(n, c, oh, ow);
                   for (std::int64_t j = 0; j < count; ++j) {
                     to[j * y_step] = best[j];
                     chosen[j * choice_step] = which[j];
                   }
                 });
    });
  }

  void forward_mean(const StepCall& call) const {
    const auto x = strided<T>(steps_.value(call, "x")), y = strided<T>(steps_.value(call, "y"));
    if (y.data == nullptr) return;
    const Windows height = windows_[0], width = windows_[1];
    if_contiguous(x.stride[1] == 1 && y.stride[1] == 1, [&](auto contiguous) {
      for_places("soapstone::adaptive_pool2d::forward", height.out_here, width.out_here,
                 [=](std::int64_t n, std::int64_t oh, std::int64_t ow, std::int64_t c,
                     std::int64_t count) {
                   const auto x_step = step_of(contiguous, x.stride[1]),
                              y_step = step_of(contiguous, y.stride[1]);
                   const Span rows = height.inputs(oh), columns = width.inputs(ow);
                   double sums[kPiece] = {};
                   for (std::int64_t h = rows.first; h < rows.last; ++h)
                     for (std::int64_t w = columns.first; w < columns.last; ++w) {
                       const T* at = &x(n, c, h, w);
                       SOAPSTONE_SIMD
                       for (std::int64_t j = 0; j < count; ++j)
                         sums[j] += static_cast<double>(at[j * x_step]);
                     }
                   const double share = 1 / static_cast<double>(rows.count() * columns.count());
                   T* to = &y(n, c, oh, ow);
                   SOAPSTONE_SIMD
                   for (std::int64_t j = 0; j < count; ++j)
                     to[j * y_step] = static_cast<T>(sums[j] * share);
                 });
    });
  }

  // body(sums, j, n, c, oh, ow) adds what output (oh, ow) gives; ends with the sums in dx.
  template <class Add>
  void gather(const StepCall& call, const Add& add) const {
    const auto dx = strided<T>(steps_.gradient(call, "x"));
    if (dx.data == nullptr) return;
    const Windows height = windows_[0], width = windows_[1];
    for_places(
        "soapstone::adaptive_pool2d::backward_input", height.in_here, width.in_here,
        [=](std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t count) {
          const Span rows = height.outputs(h), columns = width.outputs(w);
          double sums[kPiece] = {};
          for (std::int64_t oh = rows.first; oh < rows.last; ++oh)
            for (std::int64_t ow = columns.first; ow < columns.last; ++ow)
              add(sums, count, h * width.in_here + w, n, c, oh, ow);
          T* to = &dx(n, c, h, w);
          const std::int64_t step = dx.stride[1];
          for (std::int64_t j = 0; j < count; ++j) to[j * step] = static_cast<T>(sums[j]);
        });
  }

  void backward_maximum(const StepCall& call) const {
    const auto dy = strided<T>(steps_.gradient(call, "y"));
    const auto choice = strided<std::int32_t>(steps_.value(call, "choice"));
    if_contiguous(dy.stride[1] == 1 && choice.stride[1] == 1, [&](auto contiguous) {
      gather(call, [=](double* sums, std::int64_t count, std::int64_t place, std::int64_t n,
                       std::int64_t c, std::int64_t oh, std::int64_t ow) {
        const auto dy_step = step_of(contiguous, dy.stride[1]),
                   choice_step = step_of(contiguous, choice.stride[1]);
        const T* at = &dy(n, c, oh, ow);
        const std::int32_t* which = &choice(n, c, oh, ow);
        SOAPSTONE_SIMD
        for (std::int64_t j = 0; j < count; ++j) {
          const double g = at[j * dy_step];
          sums[j] += which[j * choice_step] == place ? g : 0;
        }
      });
    });
  }

  void backward_mean(const StepCall& call) const {
    const auto dy = strided<T>(steps_.gradient(call, "y"));
    const Windows height = windows_[0], width = windows_[1];
    if_contiguous(dy.stride[1] == 1, [&](auto contiguous) {
      gather(call, [=](double* sums, std::int64_t count, std::int64_t, std::int64_t n,
                       std::int64_t c, std::int64_t oh, std::int64_t ow) {
        const auto dy_step = step_of(contiguous, dy.stride[1]);
        const double share =
            1 / static_cast<double>(height.inputs(oh).count() * width.inputs(ow).count());
        const T* at = &dy(n, c, oh, ow);
        SOAPSTONE_SIMD
        for (std::int64_t j = 0; j < count; ++j)
          sums[j] += static_cast<double>(at[j * dy_step]) * share;
      });
    });
  }

  // One over the positions of the whole image.
  double global_share() const { return 1 / static_cast<double>(windows_[0].in * windows_[1].in); }
  core::Shape x_extents() const { return {samples_, channels_, positions_[0], positions_[1]}; }
  // The strides of a block of y along the dimensions of x.
  static Strides along_x(const Block& y) {
    Strides strides = strides_of(y);
    strides[2] = strides[3] = 0;
    return strides;
  }

  void global_mean(const StepCall& call) const {
    const Block &x_block = steps_.value(call, "x"), &y_block = steps_.value(call, "y");
    if (y_block.data == nullptr) return;
    const auto nest = make_sum_nest<2>(x_extents(), {strides_of(x_block), along_x(y_block)},
                                       [](std::size_t d) { return d >= 2; });
    T* y = data_of<T>(y_block);
    const T* x = data_of<T>(x_block);
    const std::int64_t run = (nest.columns ? nest.kept : nest.summed).stride[0][0];
    const std::int64_t row = nest.summed.stride[nest.columns ? 0 : 1][0];
    const double share = global_share();
    if_contiguous(run == 1, [&](auto contiguous) {
      sum_tiles<1>(
          Space(), "soapstone::adaptive_pool2d::forward", nest, call.workspace,
          [=](const Tile<2>& tile, auto& sums) {
            const auto step = step_of(contiguous, run);
            for (std::int64_t r = 0; r < tile.rows; ++r) {
              const T* at = x + tile.offset[0] + r * row;
              if (nest.columns) {
                SOAPSTONE_SIMD
                for (std::int64_t j = 0; j < tile.count; ++j)
                  sums[0][j] += static_cast<double>(at[j * step]);
              } else {
                double sum = 0;
                SOAPSTONE_SIMD_SUM(sum)
                for (std::int64_t j = 0; j < tile.count; ++j)
                  sum += static_cast<double>(at[j * step]);
                sums[0][0] += sum;
              }
            }
          },
          [=](std::int64_t offset, const double* sum) {
            y[offset] = static_cast<T>(sum[0] * share);
          });
    });
  }

  void backward_global(const StepCall& call) const {
    const Block &dx_block = steps_.gradient(call, "x"), &dy_block = steps_.gradient(call, "y");
    if (dx_block.data == nullptr) return;
    const auto nest = make_nest<2>(x_extents(), {strides_of(dx_block), along_x(dy_block)});
    T* dx = data_of<T>(dx_block);
    const T* dy = data_of<T>(dy_block);
    const T share = static_cast<T>(global_share());
    for_tiles(Space(), "soapstone::adaptive_pool2d::backward_input", nest,
              [=](const Tile<2>& tile) {
                const auto& step = nest.stride[0];
                for (std::int64_t r = 0; r < tile.rows; ++r) {
                  T* to = dx + tile.offset[0] + r * nest.stride[1][0];
                  const T* from = dy + tile.offset[1] + r * nest.stride[1][1];
                  if (step[0] == 1 && step[1] == 1) {
                    SOAPSTONE_SIMD
                    for (std::int64_t j = 0; j < tile.count; ++j) to[j] = from[j] * share;
                  } else {
                    for (std::int64_t j = 0; j < tile.count; ++j)
                      to[j * step[0]] = from[j * step[1]] * share;
                  }
                }
              });
  }

  StepTable steps_;
  bool maximum_ = false, global_ = false;
  Windows windows_[2];  // height, width
  std::int64_t samples_ = 0, channels_ = 0;
  std::array<std::int64_t, 2> positions_{};  // extents of the axes h and w in this part
};

}  // namespace

std::unique_ptr<PreparedKernel> adaptive_pool2d_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<AdaptivePool2DKernel>(problem);
}

}  // namespace soapstone::kernels
