// local_response_norm: y[c] = x[c] / scale[c]^beta, scale[c] = k + alpha / size · Σ x[c']² over the
// channels c' from c - ⌊size / 2⌋ to c + ⌊(size - 1) / 2⌋ that exist, at every position alone.
//   dx[c] = dy[c] / scale[c]^beta
//           - 2 alpha beta / size · x[c] Σ dy[c'] x[c'] / scale[c']^(beta + 1)
// over the channels c' whose window holds c.
//
// Shapes: x, y [n, c, h, w] in any order. Internal: `scale` [n, c, h, w]. Axes: n sample; c
// attribute with halo; h, w attribute. A part of the channels reads its neighbours' x, and writes
// what its own dy gives to their dx. FLOPs: counted 2·size + 8 per element forward, 2·size + 18
// backward. Source: Krizhevsky, Sutskever, Hinton 2012; alpha is divided by size as in PyTorch's
// LocalResponseNorm, so that it is size times the alpha of their paper.
#pragma once

#include <cmath>

#include "core/op_definition.hpp"

namespace soapstone::core {

struct LocalResponseNorm {
  static constexpr std::string_view kName = "local_response_norm";
  std::int64_t size = 5;  // channels in a window
  double alpha = 1e-4;
  double beta = 0.75;
  double k = 1;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 4) return usage_error("takes an input [n, c, h, w], got {}", print(in));
    if (size < 1) return usage_error("size = {}: must be at least 1", size);
    // So that no scale is 0 or less.
    if (!(alpha >= 0 && beta >= 0 && k > 0 && std::isfinite(alpha + beta + k)))
      return usage_error(
          "alpha = {}, beta = {}, k = {}: alpha and beta must be at least 0, k greater than 0",
          alpha, beta, k);
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int c =
        d.axis("c", in[1], AxisRole::kAttribute, size > 1 ? Coupling::kHalo : Coupling::kNone);
    const int h = d.axis("h", in[2], AxisRole::kAttribute);
    const int w = d.axis("w", in[3], AxisRole::kAttribute);
    const std::vector<int> axes{n, c, h, w};
    const int x = d.input("x", inputs[0],
                          {DimMap::along(n), DimMap::window(c, 1, -(size / 2), size),
                           DimMap::along(h), DimMap::along(w)});
    const int y = d.output("y", inputs[0], along(axes));
    const int scale = d.internal(
        "scale", {inputs[0].shape, master_of(inputs[0].dtype), inputs[0].order}, along(axes));
    const double taps = 2 * static_cast<double>(size);
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads(x).writes({y, scale}).flops(taps + 8, axes);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({x, scale, G{y}})
        .writes(G{x})
        .flops(taps + 18, axes);
    return d.take();
  }

  friend bool operator==(const LocalResponseNorm&, const LocalResponseNorm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("size", self.size);
    visit("alpha", self.alpha, kOptional);
    visit("beta", self.beta, kOptional);
    visit("k", self.k, kOptional);
  }
};

}  // namespace soapstone::core
