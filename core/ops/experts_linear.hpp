// experts_linear: y[n, e, c, o] = Σ_i x[n, e, c, i] w[e, o, i] + bias[e, o]: every expert has a
// linear layer of its own. dx = dy w, dw = Σ_n,c dy x, dbias = Σ_n,c dy.
//
// Shapes: x [n, e, c, i], w [e, o, i], bias [e, o], y [n, e, c, o]. Axes: n sample; e parameter
// (expert parallelism); c attribute; o parameter; i reduction: where it is split, y is a partial
// sum to which the first part adds the bias. FLOPs: 2·n·e·c·o·i forward, the same for each
// gradient. Source: Lepikhin et al. 2020, arXiv 2006.16668.
#pragma once

#include <cmath>

#include "core/op_definition.hpp"

namespace soapstone::core {

struct ExpertsLinear {
  static constexpr std::string_view kName = "experts_linear";
  std::int64_t out_features = 0;
  bool bias = true;
  double init_scale = 0;  // standard deviation of w; 0: uniform in ±1/√i for w and bias

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 4) return usage_error("takes an input [n, e, c, i], got {}", print(in));
    if (out_features < 1) return usage_error("out_features = {}: must be at least 1", out_features);
    const DType t = inputs[0].dtype;
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int e = d.axis("e", in[1], AxisRole::kParameter);
    const int c = d.axis("c", in[2], AxisRole::kAttribute);
    const int o = d.axis("o", out_features, AxisRole::kParameter);
    const int i = d.axis("i", in[3], AxisRole::kReduction);
    const Initializer uniform{InitKind::kUniform, 1 / std::sqrt(static_cast<double>(in[3]))};
    const int x = d.input("x", inputs[0], along(std::array{n, e, c, i}));
    const int w =
        d.weight("weight", {{in[1], out_features, in[3]}, t, {}}, along(std::array{e, o, i}),
                 init_scale > 0 ? Initializer{InitKind::kNormal, init_scale} : uniform);
    int bias_operand = -1;
    if (bias) {
      bias_operand = d.weight("bias", {{in[1], out_features}, t, {}}, along(std::array{e, o}),
                              init_scale > 0 ? Initializer{} : uniform);
      d.first_part_of(bias_operand, std::array{i});
    }
    const int y =
        d.output("y", {{in[0], in[1], in[2], out_features}, t, {}}, along(std::array{n, e, c, o}));
    using G = Definer::Grad;
    const double bias_flops = bias ? 1 : 0;
    auto forward = d.step("forward", Phase::kForward).reads({x, w});
    if (bias) forward.reads(bias_operand);
    forward.writes(y).reduces({i}).flops(2, {n, e, c, o, i}).flops(bias_flops, {n, e, c, o});
    d.step("backward_input", Phase::kBackwardInput)
        .reads({G{y}, w})
        .writes(G{x})
        .reduces({o})
        .flops(2, {n, e, c, o, i});
    auto weight = d.step("backward_weight", Phase::kBackwardWeight).reads({G{y}, x}).writes(G{w});
    if (bias) weight.writes(G{bias_operand});
    weight.reduces({n, c}).flops(2, {n, e, c, o, i}).flops(bias_flops, {n, e, c, o});
    return d.take();
  }

  friend bool operator==(const ExpertsLinear&, const ExpertsLinear&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("out_features", self.out_features);
    visit("bias", self.bias, kOptional);
    visit("init_scale", self.init_scale, kOptional);
  }
};

}  // namespace soapstone::core
