// pool2d: y[n, c, oh, ow] = max or mean of x over the window of (oh, ow).
//
// Shapes: x [n, c, h, w] channels-last, y [n, c, oh, ow] channels-last;
// oh = ⌊(h + pad_top + pad_bottom - kh) / stride_h⌋ + 1. Padding never wins a maximum; a mean
// counts padded places only with `count_padding`. The gradient of a maximum goes to the first place
// (row-major in the window) that has it. Internal: `choice` [n, c, oh, ow] i32, what the forward
// kernel remembers of its choice; its content belongs to the kernel candidate, which is the same
// forward and backward. FLOPs: kh·kw per output element. Axes: n sample; c attribute; h, w
// attribute with halo.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

enum class PoolKind : std::uint8_t { kMax, kAverage };
SOAPSTONE_ENUM_NAMES(PoolKind, {PoolKind::kMax, "max"}, {PoolKind::kAverage, "average"})

struct Pool2D {
  static constexpr std::string_view kName = "pool2d";
  PoolKind kind = PoolKind::kMax;
  std::array<std::int64_t, 2> kernel{2, 2};         // height, width
  std::array<std::int64_t, 2> stride{2, 2};         // height, width
  std::array<std::int64_t, 4> padding{0, 0, 0, 0};  // top, bottom, left, right
  bool count_padding = true;                        // mean only

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 4) return usage_error("takes an input [n, c, h, w], got {}", print(in));
    Shape out{in[0], in[1]};
    for (int k = 0; k < 2; ++k) {
      if (kernel[k] < 1 || stride[k] < 1)
        return usage_error("kernel {} and stride {} must be at least 1", print(kernel),
                           print(stride));
      // A window that lies in the padding alone would have no maximum.
      if (padding[2 * k] < 0 || padding[2 * k + 1] < 0 || padding[2 * k] >= kernel[k] ||
          padding[2 * k + 1] >= kernel[k])
        return usage_error("padding {} must be at least 0 and smaller than the kernel {}",
                           print(padding), print(kernel));
      const std::int64_t padded = in[2 + k] + padding[2 * k] + padding[2 * k + 1];
      if (padded < kernel[k])
        return usage_error("kernel {} does not fit the padded input {} + {}", print(kernel),
                           print(in), print(padding));
      out.push_back((padded - kernel[k]) / stride[k] + 1);
    }
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int c = d.axis("c", in[1], AxisRole::kAttribute);
    const int h = d.axis("h", out[2], AxisRole::kAttribute, Coupling::kHalo);
    const int w = d.axis("w", out[3], AxisRole::kAttribute, Coupling::kHalo);
    const std::array<int, 4> axes{n, c, h, w};
    const DType t = inputs[0].dtype;
    const int x = d.input(
        "x", inputs[0],
        {DimMap::along(n), DimMap::along(c), DimMap::window(h, stride[0], -padding[0], kernel[0]),
         DimMap::window(w, stride[1], -padding[2], kernel[1])});
    const int y = d.output("y", {out, t, channels_last(4)}, along(axes));
    const double window = static_cast<double>(kernel[0] * kernel[1]);
    using G = Definer::Grad;
    if (kind == PoolKind::kAverage) {
      d.step("forward", Phase::kForward).reads(x).writes(y).flops(window, axes);
      d.step("backward_input", Phase::kBackwardInput).reads(G{y}).writes(G{x}).flops(window, axes);
      return d.take();
    }
    const int choice = d.internal("choice", {out, DType::kI32, channels_last(4)}, along(axes));
    d.step("forward", Phase::kForward).reads(x).writes({y, choice}).flops(window, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({choice, G{y}})
        .writes(G{x})
        .flops(1, axes);
    return d.take();
  }

  friend bool operator==(const Pool2D&, const Pool2D&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("kernel", self.kernel);
    visit("stride", self.stride, kOptional);
    visit("padding", self.padding, kOptional);
    visit("count_padding", self.count_padding, kOptional);
  }
};

}  // namespace soapstone::core
