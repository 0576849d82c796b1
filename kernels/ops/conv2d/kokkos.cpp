// conv2d as products of matrices whose elements are read in place (implicit GEMM), per group, in
// f32 or f64, operands in any order of dimensions:
//   forward          y[(n, oh, ow), co]    = Σ_{r, s, ci}   x(window)  w[co, (r, s, ci)]
//   backward_input   dx[(n, h, w), ci]     = Σ_{r, s, co}   dy(window) w[(r, s, co), ci]
//   backward_weight  dw[co, (r, s, ci)]    = Σ_{n, oh, ow}  dy[(n, oh, ow), co] x(window)
// 2·n·co·oh·ow·ci·kh·kw FLOPs each; backward_input stride_h·stride_w times as many, most with
// zeros. Source: Chellapilla et al. 2006 (lowering), with the lowered matrix formed a tile at a
// time.
#include "kernels/detail/block_access.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/matmul.hpp"
#include "kernels/detail/relu.hpp"
#include "kernels/detail/step_table.hpp"
#include "kernels/ops/conv2d/shape.hpp"

namespace soapstone::kernels {

namespace {

using detail::RowsAre;
using detail::Window;

// The matrix [(n, h, w), (r, s, c)] of the places that a window touches, zeros outside.
// kForward: the row is an output and the columns are the inputs of its window; otherwise the row is
// an input and the columns are the outputs whose windows hold it.
struct Place {
  std::int64_t n, h, w;    // local indices
  std::int64_t start = 0;  // offset of column 0, where all columns are inside
  bool inside = false;
};

struct WindowTable {
  Window height, width;
  std::int64_t channels = 0;
  core::Shape strides;  // of the block that is read: n, c, h, w
  std::vector<Place> rows;
  std::vector<std::int64_t> columns;  // offsets of the columns from a row's start
};

// Where the tap of a window at `at` touches the other side, or false outside.
template <bool kForward>
bool locate(const Window& window, std::int64_t at, std::int64_t tap, std::int64_t& found) {
  if constexpr (kForward) {
    found = at * window.stride - window.pad_begin + tap * window.dilation;
    return found >= 0 && found < window.in;
  } else {
    const std::int64_t start = at + window.pad_begin - tap * window.dilation;
    if (window.stride == 1) {
      found = start;
      return start >= 0 && start < window.out;
    }
    found = start / window.stride;
    return start >= 0 && start % window.stride == 0 && found < window.out;
  }
}

template <bool kForward>
WindowTable window_table(const Window& height, const Window& width, std::int64_t channels,
                         std::int64_t n, const core::Shape& strides) {
  WindowTable table{height, width, channels, strides, {}, {}};
  const std::int64_t direction = kForward ? 1 : -1;
  for (std::int64_t r = 0; r < height.kernel; ++r)
    for (std::int64_t s = 0; s < width.kernel; ++s)
      for (std::int64_t c = 0; c < channels; ++c)
        table.columns.push_back(
            direction * (r * height.dilation * strides[2] + s * width.dilation * strides[3]) +
            c * strides[1]);
  const bool regular = kForward || (height.stride == 1 && width.stride == 1);
  const std::int64_t rows = kForward ? height.out : height.in,
                     columns = kForward ? width.out : width.in;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t h = 0; h < rows; ++h)
      for (std::int64_t w = 0; w < columns; ++w) {
        Place place{i, h, w};
        std::int64_t top = 0, left = 0, last = 0;
        if (regular && locate<kForward>(height, h, 0, top) &&
            locate<kForward>(height, h, height.kernel - 1, last) &&
            locate<kForward>(width, w, 0, left) &&
            locate<kForward>(width, w, width.kernel - 1, last)) {
          place.start = i * strides[0] + top * strides[2] + left * strides[3];
          place.inside = true;
        }
        table.rows.push_back(place);
      }
  return table;
}

// Loads rows of a WindowTable.
template <class T, bool kForward>
struct Windows {
  const T* data;
  const WindowTable* table;

  void load(std::int64_t row, std::int64_t first, std::int64_t count, T* out,
            std::int64_t step) const {
    const WindowTable& t = *table;
    const Place& place = t.rows[static_cast<std::size_t>(row)];
    constexpr std::int64_t kShort = 8;  // channels
    if (place.inside && t.channels < kShort) {
      const T* from = data + place.start;
      const std::int64_t* columns = t.columns.data() + first;
      for (std::int64_t i = 0; i < count; ++i) out[i * step] = from[columns[i]];
      return;
    }
    const std::int64_t c_stride = t.strides[1], taps = t.width.kernel;
    std::int64_t tap = first / t.channels, channel = first % t.channels;
    std::int64_t r = tap / taps, s = tap % taps;
    while (count > 0) {
      const std::int64_t run = std::min(count, t.channels - channel);
      std::int64_t h = 0, w = 0;
      if (locate<kForward>(t.height, place.h, r, h) && locate<kForward>(t.width, place.w, s, w)) {
        const T* from = data + place.n * t.strides[0] + h * t.strides[2] + w * t.strides[3] +
                        channel * c_stride;
        if (c_stride == 1)
          for (std::int64_t i = 0; i < run; ++i) out[i * step] = from[i];
        else
          for (std::int64_t i = 0; i < run; ++i) out[i * step] = from[i * c_stride];
      } else {
        for (std::int64_t i = 0; i < run; ++i) out[i * step] = T(0);
      }
      out += run * step;
      count -= run;
      channel = 0;
      if (++s == taps) s = 0, ++r;
    }
  }
};

template <class T>
class Conv2DKokkos final : public PreparedKernel {
 public:
  explicit Conv2DKokkos(const core::LocalProblem& problem)
      : steps_(*problem.definition),
        shape_(problem),
        x_rows_(table(shape_.x, {0, 2, 3})),
        x_columns_(channel_table(shape_.x, shape_.ci)),
        y_rows_(table(shape_.y, {0, 2, 3})),
        y_columns_(channel_table(shape_.y, shape_.co)),
        inputs_(window_table<true>(shape_.h, shape_.w, shape_.ci, shape_.n, shape_.x.strides)),
        outputs_(window_table<false>(shape_.h, shape_.w, shape_.co, no_input(shape_) ? 0 : shape_.n,
                                     shape_.y.strides)) {
    // The weight of a group as [co, (r, s, ci)] and as [(r, s, co), ci].
    detail::LocalOperand weight = shape_.weight;
    weight.extents[0] = shape_.co;
    group_stride_ = shape_.co * weight.strides[0];
    w_outer_ = table(weight, {0});
    w_windows_ = table(weight, {2, 3, 1});
    w_taps_ = table(weight, {2, 3, 0});
    w_inner_ = table(weight, {1});
    bias_sums_ = bias_sums_of(shape_);
  }

  core::Bytes workspace() const override { return workspace_of(shape_); }
  static core::Bytes workspace_of(const ConvShape& shape) {
    const std::int64_t outputs = shape.n * shape.h.out * shape.w.out,
                       inputs = shape.n * shape.h.in * shape.w.in;
    const std::int64_t taps = shape.h.kernel * shape.w.kernel;
    const std::int64_t touched = no_input(shape) ? 0 : 1;
    return std::max({detail::matmul_workspace<T>(outputs, shape.co, touched * taps * shape.ci),
                     detail::matmul_workspace<T>(inputs, shape.ci, taps * shape.co),
                     detail::matmul_workspace<T>(shape.co, taps * shape.ci, touched * outputs),
                     bias_sums_of(shape).workspace()});
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
      product(space, "soapstone::conv2d::forward", value("x"), value("weight"), value("bias"),
              value("y"), shape_.relu, call.workspace);
    else if (step == "product")
      product(space, "soapstone::conv2d::product", value("x"), value("weight"), value("bias"),
              value("pre"), false, call.workspace);
    else if (step == "activate")
      detail::relu_forward(space, "soapstone::conv2d::activate", value("pre"), value("y"));
    else if (step == "backward_activation")
      detail::relu_backward(space, "soapstone::conv2d::backward_activation", value("y"),
                            gradient("y"), gradient("pre"));
    else if (step == "backward_input")
      backward_input(space, gradient(shape_.relu ? "pre" : "y"), value("weight"), gradient("x"),
                     call.workspace);
    else if (step == "backward_weight")
      backward_weight(space, gradient(shape_.relu ? "pre" : "y"), value("x"), gradient("weight"),
                      gradient("bias"), call.workspace);
    else
      detail::unknown_step("conv2d/kokkos", step);
  }

 private:
  using Table = std::vector<std::int64_t>;

  static detail::ColumnSums bias_sums_of(const ConvShape& shape) {
    if (!shape.bias) return {};
    const int channel[] = {1};
    return {shape.y.extents, shape.y.strides, channel, core::Shape{1}};
  }
  // Where the whole input is padding its block is empty and holds nothing to multiply.
  static bool no_input(const ConvShape& shape) { return core::elements(shape.x.extents) == 0; }

  static Table table(const detail::LocalOperand& operand, std::initializer_list<int> dims) {
    return detail::offset_table(operand.extents, operand.strides,
                                std::span(dims.begin(), dims.size()));
  }
  static Table channel_table(const detail::LocalOperand& operand, std::int64_t channels) {
    Table offsets;
    for (std::int64_t c = 0; c < channels; ++c) offsets.push_back(c * operand.strides[1]);
    return offsets;
  }
  std::int64_t outputs() const { return shape_.n * shape_.h.out * shape_.w.out; }
  std::int64_t inputs() const { return static_cast<std::int64_t>(outputs_.rows.size()); }
  std::int64_t taps() const { return shape_.h.kernel * shape_.w.kernel; }

  Windows<T, true> inputs_of_outputs(const T* x) const { return {x, &inputs_}; }
  static bool unit(const Table& table) { return detail::counts_up(table); }

  void product(const detail::Space& space, const char* label, const Block& x, const Block& w,
               const Block& bias_block, const Block& y, bool relu, void* workspace) const {
    const T *x_data = detail::data_of<T>(x), *w_data = detail::data_of<T>(w);
    const T* all_bias = detail::data_of<T>(bias_block);
    T* y_data = detail::data_of<T>(y);
    const std::int64_t depth = no_input(shape_) ? 0 : taps() * shape_.ci;
    for (std::int64_t g = 0; g < shape_.groups; ++g) {
      const std::int64_t *rows = y_rows_.data(), *columns = y_columns_.data();
      T* to = y_data + g * shape_.co * shape_.y.strides[1];
      const T* bias = all_bias ? all_bias + g * shape_.co : nullptr;
      detail::matmul<T>(
          space, label, outputs(), shape_.co, depth,
          inputs_of_outputs(x_data + g * shape_.ci * shape_.x.strides[1]), RowsAre::kOuter,
          detail::TableMatrix<const T>{w_data + g * group_stride_, w_outer_.data(),
                                       w_windows_.data(), unit(w_windows_)},
          RowsAre::kOuter, workspace,
          [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
            T* out = to + rows[row];
            for (std::int64_t c = 0; c < count; ++c) {
              const T v = sums[c] + (bias ? bias[first + c] : T(0));
              out[columns[first + c]] = relu && v < T(0) ? T(0) : v;
            }
          });
    }
  }

  void backward_input(const detail::Space& space, const Block& dy, const Block& w, const Block& dx,
                      void* workspace) const {
    if (no_input(shape_)) return;
    const T *dy_data = detail::data_of<T>(dy), *w_data = detail::data_of<T>(w);
    T* dx_data = detail::data_of<T>(dx);
    for (std::int64_t g = 0; g < shape_.groups; ++g)
      detail::matmul<T>(space, "soapstone::conv2d::backward_input", inputs(), shape_.ci,
                        taps() * shape_.co,
                        Windows<T, false>{dy_data + g * shape_.co * shape_.y.strides[1], &outputs_},
                        RowsAre::kOuter,
                        detail::TableMatrix<const T>{w_data + g * group_stride_, w_taps_.data(),
                                                     w_inner_.data(), unit(w_inner_)},
                        RowsAre::kContracted, workspace,
                        store_into({dx_data + g * shape_.ci * shape_.x.strides[1], x_rows_.data(),
                                    x_columns_.data(), false}));
  }

  void backward_weight(const detail::Space& space, const Block& dy, const Block& x, const Block& dw,
                       const Block& dbias, void* workspace) const {
    const T *dy_data = detail::data_of<T>(dy), *x_data = detail::data_of<T>(x);
    T* dw_data = detail::data_of<T>(dw);
    for (std::int64_t g = 0; g < shape_.groups; ++g)
      detail::matmul<T>(
          space, "soapstone::conv2d::backward_weight", shape_.co, taps() * shape_.ci,
          no_input(shape_) ? 0 : outputs(),
          detail::TableMatrix<const T>{dy_data + g * shape_.co * shape_.y.strides[1],
                                       y_rows_.data(), y_columns_.data(), unit(y_columns_)},
          RowsAre::kContracted, inputs_of_outputs(x_data + g * shape_.ci * shape_.x.strides[1]),
          RowsAre::kContracted, workspace,
          store_into({dw_data + g * group_stride_, w_outer_.data(), w_windows_.data(), false}));
    if (dbias.size() > 0)
      bias_sums_.run(space, "soapstone::conv2d::backward_bias", dy, dbias, workspace);
  }

  static auto store_into(const detail::TableMatrix<T>& to) {
    return [=](std::int64_t row, std::int64_t first, std::int64_t count, const T* sums) {
      T* out = to.data + to.rows[row];
      for (std::int64_t c = 0; c < count; ++c) out[to.columns[first + c]] = sums[c];
    };
  }

  detail::StepTable steps_;
  ConvShape shape_;
  Table x_rows_, x_columns_, y_rows_, y_columns_;  // offsets of places and channels
  WindowTable inputs_, outputs_;
  Table w_outer_, w_windows_, w_taps_, w_inner_;
  std::int64_t group_stride_ = 0;
  detail::ColumnSums bias_sums_;
};

}  // namespace

std::unique_ptr<PreparedKernel> conv2d_kokkos(const core::LocalProblem& problem) {
  return detail::prepare_floating<Conv2DKokkos>(problem);
}

core::Bytes conv2d_kokkos_workspace(const core::LocalProblem& problem) {
  const ConvShape shape(problem);
  return problem.dtype() == core::DType::kF64 ? Conv2DKokkos<double>::workspace_of(shape)
                                              : Conv2DKokkos<float>::workspace_of(shape);
}

}  // namespace soapstone::kernels
