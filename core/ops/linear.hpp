// linear: y[b, o] = act(Σ_i x[b, i] w[o, i] + bias[o]).
//
// b, o and i each stand for a list of dimensions: x [b…, i…], w [o…, i…],
// bias [o…], y [b…, o…]. A packed projection has several output dimensions
// (q, k, v of attention: [3, heads, d] with `packed`, the pack stays whole) and
// a projection of heads contracts two input dimensions (`contracted_dims` = 2),
// so that a split by head is a split of an axis.
//
// FLOPs: 2·b·o·i forward, the same for each gradient.
// Where a contracted axis is split, y is a partial sum: the first part adds the
// bias; an activation forces the sum first (step "activate").
#pragma once

#include "core/op_definition.hpp"
#include "core/ops/activation.hpp"

namespace soapstone::core {

struct Linear {
  static constexpr std::string_view kName = "linear";
  std::vector<std::int64_t> out_features;  // extents of the output dimensions
  std::int64_t contracted_dims = 1;        // trailing dimensions of x that are summed over
  bool packed = false;                     // the first output dimension is a pack and stays whole
  bool bias = true;
  Activation activation = Activation::kNone;
  double init_scale = 0;  // standard deviation of w; 0: uniform in ±1/√i for w and bias

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    const auto rank = static_cast<std::int64_t>(in.size());
    if (contracted_dims < 1 || contracted_dims >= rank)
      return usage_error("contracted_dims = {}: input {} allows 1 to {}", contracted_dims,
                         print(in), rank - 1);
    if (out_features.empty()) return usage_error("out_features is empty: give at least one extent");
    for (const auto f : out_features)
      if (f < 1)
        return usage_error("out_features = {}: every extent must be at least 1",
                           print(out_features));
    const std::int64_t batch_rank = rank - contracted_dims;
    const auto out_rank = static_cast<std::int64_t>(out_features.size());
    if (batch_rank + out_rank > kMaxRank)
      return usage_error("the output would have {} dimensions, at most {} are possible",
                         batch_rank + out_rank, kMaxRank);

    Definer d;
    std::vector<int> b, o, i;
    for (std::int64_t k = 0; k < batch_rank; ++k)
      b.push_back(d.axis(k == 0   ? "n"
                         : k == 1 ? "s"
                                  : "b" + std::to_string(k),
                         in[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    for (std::int64_t k = 0; k < out_rank; ++k)
      o.push_back(d.axis(out_rank == 1 ? "o" : "o" + std::to_string(k), out_features[k],
                         AxisRole::kParameter,
                         packed && k == 0 ? Coupling::kUnsplittable : Coupling::kNone));
    double fan_in = 1;
    for (std::int64_t k = 0; k < contracted_dims; ++k) {
      i.push_back(d.axis(contracted_dims == 1 ? "i" : "i" + std::to_string(k), in[batch_rank + k],
                         AxisRole::kReduction));
      fan_in *= static_cast<double>(in[batch_rank + k]);
    }
    const auto joined = [](std::vector<int> a, const std::vector<int>& c) {
      a.insert(a.end(), c.begin(), c.end());
      return a;
    };
    const auto boi = joined(joined(b, o), i);

    TensorDesc w_desc{{}, inputs[0].dtype, {}}, bias_desc = w_desc, y_desc = w_desc;
    for (const auto f : out_features) w_desc.shape.push_back(f), bias_desc.shape.push_back(f);
    for (std::int64_t k = 0; k < contracted_dims; ++k) w_desc.shape.push_back(in[batch_rank + k]);
    for (std::int64_t k = 0; k < batch_rank; ++k) y_desc.shape.push_back(in[k]);
    for (const auto f : out_features) y_desc.shape.push_back(f);

    const double bound = 1 / std::sqrt(fan_in);
    const Initializer uniform{InitKind::kUniform, bound};
    const int x = d.input("x", inputs[0], along(joined(b, i)));
    const int w = d.weight("weight", w_desc, along(joined(o, i)),
                           init_scale > 0 ? Initializer{InitKind::kNormal, init_scale} : uniform);
    int bias_operand = -1;
    if (bias) {
      Initializer init = init_scale > 0 ? Initializer{} : uniform;
      bias_operand = d.weight("bias", bias_desc, along(o), init);
      d.first_part_of(bias_operand, i);
    }
    const int y = d.output("y", y_desc, along(joined(b, o)));
    using G = Definer::Grad;
    const double bias_flops = bias ? 1 : 0;

    if (activation == Activation::kNone) {
      auto forward = d.step("forward", Phase::kForward).reads({x, w});
      if (bias) forward.reads(bias_operand);
      forward.writes(y).reduces(i).flops(2, boi).flops(bias_flops, joined(b, o));
      d.step("backward_input", Phase::kBackwardInput)
          .reads({G{y}, w})
          .writes(G{x})
          .reduces(o)
          .flops(2, boi);
      auto weight = d.step("backward_weight", Phase::kBackwardWeight).reads({G{y}, x}).writes(G{w});
      if (bias) weight.writes(G{bias_operand});
      weight.reduces(b).flops(2, boi).flops(bias_flops, joined(b, o));
      return d.take();
    }
    const int pre = d.internal("pre", y_desc, along(joined(b, o)));
    auto fused = d.step("forward", Phase::kForward).reads({x, w});
    if (bias) fused.reads(bias_operand);
    fused.writes(y).flops(2, boi).flops(bias_flops + 1, joined(b, o)).only_if_whole(i);
    auto product = d.step("product", Phase::kForward).reads({x, w});
    if (bias) product.reads(bias_operand);
    product.writes(pre).reduces(i).flops(2, boi).flops(bias_flops, joined(b, o)).only_if_split(i);
    d.step("activate", Phase::kForward)
        .reads(pre)
        .writes(y)
        .flops(1, joined(b, o))
        .only_if_split(i);
    d.step("backward_activation", Phase::kBackwardInput)
        .reads({y, G{y}})
        .writes(G{pre})
        .flops(1, joined(b, o));
    d.step("backward_input", Phase::kBackwardInput)
        .reads({G{pre}, w})
        .writes(G{x})
        .reduces(o)
        .flops(2, boi);
    auto weight = d.step("backward_weight", Phase::kBackwardWeight).reads({G{pre}, x}).writes(G{w});
    if (bias) weight.writes(G{bias_operand});
    weight.reduces(b).flops(2, boi).flops(bias_flops, joined(b, o));
    return d.take();
  }

  friend bool operator==(const Linear&, const Linear&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("out_features", self.out_features);
    visit("contracted_dims", self.contracted_dims, kOptional);
    visit("packed", self.packed, kOptional);
    visit("bias", self.bias, kOptional);
    visit("activation", self.activation, kOptional);
    visit("init_scale", self.init_scale, kOptional);
  }
};

}  // namespace soapstone::core
