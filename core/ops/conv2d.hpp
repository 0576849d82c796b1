// conv2d: y[n, co, oh, ow] = act(bias[co] + Σ_{ci, r, s} w[co, ci, r, s] x[n, ci, oh·stride_h -
// pad_top + r·dilation_h,
//                                                                         ow·stride_w - pad_left +
//                                                                         s·dilation_w])
// with zeros outside x; with groups, output channels of group g see the input channels of group g
// only.
//
// Shapes: x [n, c, h, w] channels-last, w [co, c / groups, kh, kw] channels-last (so co, kh, kw, ci
// in memory), bias [co], y [n, co, oh, ow] channels-last; oh = ⌊(h + pad_top + pad_bottom -
// dilation_h (kh - 1) - 1) / stride_h⌋ + 1. Axes: n sample; h, w attribute with halo; co parameter;
// ci reduction. With groups > 1 the groups are one parameter axis instead of co and ci. FLOPs:
// 2·n·co·oh·ow·(c / groups)·kh·kw forward, the same for each gradient.
#pragma once

#include "core/op_definition.hpp"
#include "core/ops/activation.hpp"

namespace soapstone::core {

struct Conv2D {
  static constexpr std::string_view kName = "conv2d";
  std::int64_t out_channels = 0;
  std::array<std::int64_t, 2> kernel{1, 1};         // height, width
  std::array<std::int64_t, 2> stride{1, 1};         // height, width
  std::array<std::int64_t, 4> padding{0, 0, 0, 0};  // top, bottom, left, right
  std::array<std::int64_t, 2> dilation{1, 1};       // height, width
  std::int64_t groups = 1;
  bool bias = true;
  Activation activation = Activation::kNone;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 4) return usage_error("takes an input [n, c, h, w], got {}", print(in));
    if (groups < 1 || in[1] % groups != 0 || out_channels < 1 || out_channels % groups != 0)
      return usage_error("groups = {} must divide {} input channels and out_channels = {}", groups,
                         in[1], out_channels);
    for (int k = 0; k < 2; ++k)
      if (kernel[k] < 1 || stride[k] < 1 || dilation[k] < 1 || padding[2 * k] < 0 ||
          padding[2 * k + 1] < 0)
        return usage_error(
            "kernel {}, stride {}, dilation {} must be at least 1 and padding {} at least 0",
            print(kernel), print(stride), print(dilation), print(padding));
    const auto out_extent = [&](int k) {
      return (in[2 + k] + padding[2 * k] + padding[2 * k + 1] - dilation[k] * (kernel[k] - 1) - 1) /
                 stride[k] +
             1;
    };
    for (int k = 0; k < 2; ++k)
      if (in[2 + k] + padding[2 * k] + padding[2 * k + 1] < dilation[k] * (kernel[k] - 1) + 1)
        return usage_error("kernel {} with dilation {} does not fit the padded input {} + {}",
                           print(kernel), print(dilation), print(in), print(padding));
    const std::int64_t oh = out_extent(0), ow = out_extent(1);
    const std::int64_t ci_per_group = in[1] / groups, co_per_group = out_channels / groups;

    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int co = groups == 1 ? d.axis("co", out_channels, AxisRole::kParameter)
                               : d.axis("g", groups, AxisRole::kParameter);
    const int h = d.axis("h", oh, AxisRole::kAttribute, Coupling::kHalo);
    const int w = d.axis("w", ow, AxisRole::kAttribute, Coupling::kHalo);
    const int ci = groups == 1 ? d.axis("ci", in[1], AxisRole::kReduction) : -1;
    const auto window = [&](int axis, int k) {
      return DimMap::window(axis, stride[k], -padding[2 * k], dilation[k] * (kernel[k] - 1) + 1);
    };
    const DimMap x_channels =
        groups == 1 ? DimMap::along(ci) : DimMap::window(co, ci_per_group, 0, ci_per_group);
    const DimMap y_channels =
        groups == 1 ? DimMap::along(co) : DimMap::window(co, co_per_group, 0, co_per_group);
    const DimMap w_channels = groups == 1 ? DimMap::along(ci) : DimMap::whole();

    const DType t = inputs[0].dtype;
    const double bound = 1 / std::sqrt(static_cast<double>(ci_per_group * kernel[0] * kernel[1]));
    const Initializer uniform{InitKind::kUniform, bound};
    const TensorDesc x_desc = inputs[0];
    const TensorDesc w_desc{
        {out_channels, ci_per_group, kernel[0], kernel[1]}, t, channels_last(4)};
    const TensorDesc y_desc{{in[0], out_channels, oh, ow}, t, channels_last(4)};
    const std::vector<DimMap> y_dims{DimMap::along(n), y_channels, DimMap::along(h),
                                     DimMap::along(w)};
    const int x = d.input("x", x_desc, {DimMap::along(n), x_channels, window(h, 0), window(w, 1)});
    const int weight = d.weight(
        "weight", w_desc, {y_channels, w_channels, DimMap::whole(), DimMap::whole()}, uniform);
    int bias_operand = -1;
    const std::vector<int> reduction = groups == 1 ? std::vector<int>{ci} : std::vector<int>{};
    if (bias) {
      bias_operand = d.weight("bias", {{out_channels}, t, {}}, {y_channels}, uniform);
      d.first_part_of(bias_operand, reduction);
    }
    const int y = d.output("y", y_desc, y_dims);

    std::vector<int> points{n, co, h, w};
    const double out_per_point = groups == 1 ? 1 : static_cast<double>(co_per_group);
    double macs = static_cast<double>(kernel[0] * kernel[1]) * out_per_point;
    std::vector<int> all = points;
    if (groups == 1)
      all.push_back(ci);
    else
      macs *= static_cast<double>(ci_per_group);
    const double bias_flops = bias ? out_per_point : 0;
    const std::array<int, 3> positions{n, h, w};
    const std::array<int, 1> out_channel{co};
    const std::span<const int> input_reduction =
        groups == 1 ? std::span<const int>(out_channel) : std::span<const int>();
    using G = Definer::Grad;
    const auto forward = [&](std::string name, int out) {
      auto step = d.step(std::move(name), Phase::kForward).reads({x, weight});
      if (bias) step.reads(bias_operand);
      step.writes(out).flops(2 * macs, all).flops(bias_flops, points);
      return step;
    };
    const auto backward = [&](int out) {
      // Windows overlap where h or w is split, so these axes sum into x too.
      d.step("backward_input", Phase::kBackwardInput)
          .reads({G{out}, weight})
          .writes(G{x})
          .reduces(input_reduction)
          .flops(2 * macs, all);
      auto step =
          d.step("backward_weight", Phase::kBackwardWeight).reads({G{out}, x}).writes(G{weight});
      if (bias) step.writes(G{bias_operand});
      step.reduces(positions).flops(2 * macs, all).flops(bias_flops, points);
    };
    if (activation == Activation::kNone) {
      forward("forward", y).reduces(reduction);
      backward(y);
      return d.take();
    }
    const int pre = d.internal("pre", y_desc, y_dims);
    forward("forward", y).flops(out_per_point, points).only_if_whole(reduction);
    if (groups == 1) {
      forward("product", pre).reduces(reduction).only_if_split(reduction);
      d.step("activate", Phase::kForward)
          .reads(pre)
          .writes(y)
          .flops(1, points)
          .only_if_split(reduction);
    }
    d.step("backward_activation", Phase::kBackwardInput)
        .reads({y, G{y}})
        .writes(G{pre})
        .flops(out_per_point, points);
    backward(pre);
    return d.take();
  }

  friend bool operator==(const Conv2D&, const Conv2D&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("out_channels", self.out_channels);
    visit("kernel", self.kernel);
    visit("stride", self.stride, kOptional);
    visit("padding", self.padding, kOptional);
    visit("dilation", self.dilation, kOptional);
    visit("groups", self.groups, kOptional);
    visit("bias", self.bias, kOptional);
    visit("activation", self.activation, kOptional);
  }
};

}  // namespace soapstone::core
