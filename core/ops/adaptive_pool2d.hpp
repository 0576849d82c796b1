// adaptive_pool2d: y[n, c, oh, ow] = max or mean of x over the window of (oh, ow), which in each
// dimension begins at ⌊o · in / out⌋ and ends before ⌈(o + 1) · in / out⌉.
//
// Shapes: x [n, c, h, w] in any order, y [n, c, oh, ow] channels-last; `output` gives oh, ow. The
// gradient of a maximum goes to the first place (row-major in the window) that has it. Internal:
// `choice` [n, c, oh, ow] i32, what the forward kernel remembers of its choice; its content belongs
// to the kernel candidate. FLOPs: counted h·w / (oh·ow) per output element.
//
// Axes: n sample; c attribute. The mean of the whole image (output 1 × 1) sums over h and w of x,
// which are reductions: where they are split, y is a partial sum. Otherwise h and w are those of y:
// attribute where out divides in, so that windows tile x, and unsplittable where it does not.
#pragma once

#include "core/op_definition.hpp"
#include "core/ops/pool2d.hpp"

namespace soapstone::core {

struct AdaptivePool2D {
  static constexpr std::string_view kName = "adaptive_pool2d";
  PoolKind kind = PoolKind::kAverage;
  std::array<std::int64_t, 2> output{1, 1};  // height, width

  // Whether y is the mean of all positions.
  bool is_global_mean() const {
    return kind == PoolKind::kAverage && output == std::array<std::int64_t, 2>{1, 1};
  }

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 4 || in[2] < 1 || in[3] < 1)
      return usage_error("takes an input [n, c, h, w] with h and w at least 1, got {}", print(in));
    if (output[0] < 1 || output[1] < 1)
      return usage_error("output = {}: height and width must be at least 1", print(output));
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int c = d.axis("c", in[1], AxisRole::kAttribute);
    const DType t = inputs[0].dtype;
    const TensorDesc y_desc{{in[0], in[1], output[0], output[1]}, t, channels_last(4)};
    using G = Definer::Grad;
    if (is_global_mean()) {
      const int h = d.axis("h", in[2], AxisRole::kReduction);
      const int w = d.axis("w", in[3], AxisRole::kReduction);
      const std::array<int, 4> axes{n, c, h, w};
      const int x = d.input("x", inputs[0], along(axes));
      const int y = d.output(
          "y", y_desc, {DimMap::along(n), DimMap::along(c), DimMap::whole(), DimMap::whole()});
      d.step("forward", Phase::kForward).reads(x).writes(y).reduces({h, w}).flops(1, axes);
      d.step("backward_input", Phase::kBackwardInput).reads(G{y}).writes(G{x}).flops(1, axes);
      return d.take();
    }
    std::array<int, 4> axes{n, c, -1, -1};
    std::vector<DimMap> x_dims{DimMap::along(n), DimMap::along(c)};
    double window = 1;
    for (std::size_t k = 0; k < 2; ++k) {
      const std::int64_t from = in[2 + k], to = output[k];
      const bool tiles = from % to == 0;
      axes[2 + k] = d.axis(k == 0 ? "h" : "w", to, AxisRole::kAttribute,
                           tiles ? Coupling::kNone : Coupling::kUnsplittable);
      x_dims.push_back(tiles ? DimMap::window(axes[2 + k], from / to, 0, from / to)
                             : DimMap::whole());
      window *= std::max(1.0, static_cast<double>(from) / static_cast<double>(to));
    }
    const int x = d.input("x", inputs[0], x_dims);
    const int y = d.output("y", y_desc, along(axes));
    if (kind == PoolKind::kAverage) {
      d.step("forward", Phase::kForward).reads(x).writes(y).flops(window, axes);
      d.step("backward_input", Phase::kBackwardInput).reads(G{y}).writes(G{x}).flops(window, axes);
      return d.take();
    }
    const int choice = d.internal("choice", {y_desc.shape, DType::kI32, y_desc.order}, along(axes));
    d.step("forward", Phase::kForward).reads(x).writes({y, choice}).flops(window, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({choice, G{y}})
        .writes(G{x})
        .flops(window, axes);
    return d.take();
  }

  friend bool operator==(const AdaptivePool2D&, const AdaptivePool2D&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("output", self.output);
  }
};

}  // namespace soapstone::core
