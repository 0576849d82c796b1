// softmax: y = e^x / Σ_c e^x over the last dimension; with `log` its logarithm, y = x - log Σ_c
// e^x. dx = y (dy - Σ_c dy y); with `log` dx = dy - e^y Σ_c dy.
//
// Shapes: x, y [n, …, c]. Axes: n sample, further leading dimensions attribute, c stays whole.
// FLOPs: counted 5 per element forward, 4 backward.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Softmax {
  static constexpr std::string_view kName = "softmax";
  bool log = false;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() < 2) return usage_error("takes an input [n, …, c], got {}", print(in));
    Definer d;
    std::vector<int> axes;
    for (std::size_t k = 0; k + 1 < in.size(); ++k)
      axes.push_back(d.axis(k == 0   ? "n"
                            : k == 1 ? "s"
                                     : "b" + std::to_string(k),
                            in[k], k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    axes.push_back(d.axis("c", in.back(), AxisRole::kAttribute, Coupling::kUnsplittable));
    const int x = d.input("x", inputs[0], along(axes));
    const int y = d.output("y", inputs[0], along(axes));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads(x).writes(y).flops(5, axes);
    d.step("backward_input", Phase::kBackwardInput).reads({y, G{y}}).writes(G{x}).flops(4, axes);
    return d.take();
  }

  friend bool operator==(const Softmax&, const Softmax&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("log", self.log, kOptional);
  }
};

}  // namespace soapstone::core
