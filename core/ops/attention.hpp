// attention: y[b, i, h] = Σ_j softmax_j(q[b, i, h] · k[b, j, h] / √d) v[b, j, h], scaled
// dot-product attention; with `causal` a query at position i sees keys j ≤ i + (sk - sq).
//
// Inputs: q [b, sq, heads, d], k and v [b, sk, heads, d]; or one packed input qkv [b, s, 3, heads,
// d]. Output y [b, sq, heads, d]. Projections are linear operators of their own. Internal: `lse`
// [b, heads, sq], log Σ_j exp of the scaled scores. Axes: b sample; s query sequence, attribute (k
// and v stay whole; packed: unsplittable); head parameter; t key sequence and d stay whole. FLOPs:
// 4·b·heads·sq·sk·d forward (two products, causal counted in full), 10 backward (five products).
// Source: Vaswani et al. 2017, arXiv 1706.03762; lse as in Dao et al. 2022, arXiv 2205.14135.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Attention {
  static constexpr std::string_view kName = "attention";
  bool causal = false;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    const bool packed = inputs.size() == 1;
    if (!packed && inputs.size() != 3)
      return usage_error("takes q, k, v or one packed qkv, got {} inputs", inputs.size());
    const Shape& first = inputs[0].shape;
    if (packed && (first.size() != 5 || first[2] != 3))
      return usage_error("takes a packed input [b, s, 3, heads, d], got {}", print(first));
    if (!packed) {
      if (first.size() != 4) return usage_error("takes q [b, s, heads, d], got {}", print(first));
      Shape expected = first;
      if (inputs[1].shape.size() == 4) expected[1] = inputs[1].shape[1];
      if (inputs[1].shape != expected || inputs[2].shape != expected)
        return usage_error("k {} and v {} must be [b, s, heads, d] = {} like q {} but for s",
                           print(inputs[1].shape), print(inputs[2].shape), print(expected),
                           print(first));
    }
    const std::int64_t b = first[0], sq = first[1], sk = packed ? sq : inputs[1].shape[1];
    const std::int64_t heads = packed ? first[3] : first[2],
                       features = packed ? first[4] : first[3];
    if (causal && sk < sq)
      return usage_error(
          "causal attention of {} queries over {} keys: there must be at least as many keys", sq,
          sk);
    const DType t = inputs[0].dtype;
    Definer d;
    const int ab = d.axis("n", b, AxisRole::kSample);
    const int as =
        d.axis("s", sq, AxisRole::kAttribute, packed ? Coupling::kUnsplittable : Coupling::kNone);
    const int ah = d.axis("head", heads, AxisRole::kParameter);
    const int at = d.axis("t", sk, AxisRole::kReduction, Coupling::kUnsplittable);
    const int ad = d.axis("d", features, AxisRole::kAttribute, Coupling::kUnsplittable);
    const auto n = DimMap::along(ab), s = DimMap::along(as), h = DimMap::along(ah),
               key = DimMap::along(at), f = DimMap::along(ad);
    std::vector<int> x;
    if (packed) {
      x.push_back(d.input("qkv", {first, t, {}}, {n, s, DimMap::whole(), h, f}));
    } else {
      x.push_back(d.input("q", {first, t, {}}, {n, s, h, f}));
      x.push_back(d.input("k", {inputs[1].shape, t, {}}, {n, key, h, f}));
      x.push_back(d.input("v", {inputs[2].shape, t, {}}, {n, key, h, f}));
    }
    const int y = d.output("y", {{b, sq, heads, features}, t, {}}, {n, s, h, f});
    const int lse = d.internal("lse", {{b, heads, sq}, t, {}}, {n, h, s});
    auto forward = d.step("forward", Phase::kForward);
    for (const int i : x) forward.reads(i);
    forward.writes({y, lse}).flops(4, {ab, as, ah, at, ad});
    auto backward = d.step("backward_input", Phase::kBackwardInput);
    for (const int i : x) backward.reads(i);
    backward.reads({y, lse, Definer::grad(y)});
    for (const int i : x) backward.writes(Definer::grad(i));
    backward.reduces({as}).flops(10, {ab, as, ah, at, ad});
    return d.take();
  }

  friend bool operator==(const Attention&, const Attention&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("causal", self.causal, kOptional);
  }
};

}  // namespace soapstone::core
