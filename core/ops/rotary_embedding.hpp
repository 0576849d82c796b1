// rotary_embedding: turns the pairs (a, b) of every head's features by an angle that grows with the
// position p in the sequence:
//   (a, b) -> (a cos φ - b sin φ, a sin φ + b cos φ), φ = (p + position_offset) theta^(-2i/d)
// for pair i of d / 2; backward turns the other way. Pair i is (2i, 2i + 1) with `interleaved`,
// else (i, i + d/2).
//
// `zigzag`: s stands in zig-zag order of so many chunks (zigzag.hpp), p is still the position.
//
// Shapes: x [n, s, heads, d] in any order, y row-major; d is even. Axes: n sample; s attribute,
// positions are those of the whole sequence; head attribute; d stays whole. FLOPs: 3 per element
// (the angles are known before). Source: Su et al. 2021, arXiv 2104.09864.
#pragma once

#include <cmath>

#include "core/op_definition.hpp"

namespace soapstone::core {

struct RotaryEmbedding {
  static constexpr std::string_view kName = "rotary_embedding";
  double theta = 10000;
  bool interleaved = true;
  std::int64_t position_offset = 0;  // position of the first token
  std::int64_t zigzag = 0;           // chunks of the order of s; 0: in order

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 1) return usage_error("takes one input, got {}", inputs.size());
    const Shape& in = inputs[0].shape;
    if (in.size() != 4 || in[3] < 2 || in[3] % 2 != 0)
      return usage_error("takes an input [n, s, heads, d] with an even d, got {}", print(in));
    if (!(theta > 0 && std::isfinite(theta)))
      return usage_error("theta = {}: must be greater than 0", theta);
    if (position_offset < 0)
      return usage_error("position_offset = {}: must be at least 0", position_offset);
    Definer d;
    const int n = d.axis("n", in[0], AxisRole::kSample);
    const int s = d.axis("s", in[1], AxisRole::kAttribute);
    SOAPSTONE_TRY(d.zigzag(s, zigzag));
    const int head = d.axis("head", in[2], AxisRole::kAttribute);
    const int f = d.axis("d", in[3], AxisRole::kAttribute, Coupling::kUnsplittable);
    const std::array<int, 4> axes{n, s, head, f};
    const int x = d.input("x", inputs[0], along(axes));
    const int y = d.output("y", {in, inputs[0].dtype, {}}, along(axes));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads(x).writes(y).flops(3, axes);
    d.step("backward_input", Phase::kBackwardInput).reads(G{y}).writes(G{x}).flops(3, axes);
    return d.take();
  }

  // How fast pair i of a head with d features turns: radians per position.
  double frequency(std::int64_t i, std::int64_t d) const {
    return std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
  }

  RotaryEmbedding in_zigzag(AxisSet axes, std::int64_t chunks) const {
    RotaryEmbedding out = *this;
    if (axes.has(1)) out.zigzag = chunks;
    return out;
  }

  friend bool operator==(const RotaryEmbedding&, const RotaryEmbedding&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("theta", self.theta, kOptional);
    visit("interleaved", self.interleaved, kOptional);
    visit("position_offset", self.position_offset, kOptional);
    visit("zigzag", self.zigzag, kOptional);
  }
};

}  // namespace soapstone::core
