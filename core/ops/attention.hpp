// attention: y[b, i, h] = Σ_j softmax_j(q[b, i, h] · k[b, j, g] / √d + mask[b, i, j]) v[b, j, g],
// scaled dot-product attention; consecutive heads h share the keys and values of a group, g =
// ⌊h · heads_kv / heads⌋. With `causal` a query at position i sees keys j ≤ i + (sk - sq), with a
// `window` besides only the last so many of them: j > i + (sk - sq) - window.
//
// Inputs: q [b, sq, heads, d], k and v [b, sk, heads_kv, d], heads a multiple of heads_kv; or one
// packed input qkv [b, s, 3, heads, d]. Last a mask [b, sk] or [b, sq, sk] if there is one: it is
// added to the scores, has no gradient, and hides a key where it is -∞; a query that sees no key
// gives zeros. Output y [b, sq, heads, d]. Projections are linear operators of their own. Internal:
// `lse` [b, heads, sq], log Σ_j exp of the masked scores, 0 for a query that sees no key. Axes: b
// sample; s query sequence, attribute (packed: unsplittable; k and v stay whole, with a window a
// part reads the keys that its queries see); head parameter, an index is a group with its heads
// (one group of several heads: an index is a head, k and v stay whole); t key sequence and d stay
// whole. FLOPs: 4·b·heads·sq·sk·d forward (two products, causal counted in full, of a window its
// keys), 10 backward (five products); a part without mask and window counts as its share of the
// pairs that causality leaves.
//
// `zigzag`: queries and keys of causal attention stand in zig-zag order of so many chunks each
// (zigzag.hpp), i and j above are their positions; with a window k and v then stay whole too.
//
// In a ring (also packed; without mask and window) s and t are cut and keys_values [b, sk, 2,
// heads_kv, d] go round; blocks of which causality hides all keys are left out. A round goes on
// with the sum over keys where the one before has left it: sums [b, sq, heads, d], Σ_j exp(s_ij -
// m_i) v_j, and seen [b, heads, sq, 2], the largest score m_i so far and Σ_j exp(s_ij - m_i), both
// 0 where no key was seen; the last step divides. Backward a block gives its share of dq
// (query_gradient) and of dk and dv (key_value_gradients), from y and lse of all keys. What adds up
// is kept in f32 where the inputs are bf16. FLOPs as above, per block.
//
// Source: Vaswani et al. 2017, arXiv 1706.03762; lse as in Dao et al. 2022, arXiv 2205.14135;
// groups: Ainslie et al. 2023, arXiv 2305.13245, one group: Shazeer 2019, arXiv 1911.02150; window:
// Beltagy et al. 2020, arXiv 2004.05150; ring: Liu et al. 2023, arXiv 2310.01889.
#pragma once

#include <array>

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Attention {
  static constexpr std::string_view kName = "attention";
  bool causal = false;
  std::int64_t window = 0;  // keys that a query sees at most, itself included; 0: all
  std::int64_t zigzag = 0;  // chunks of the order in which the sequences stand; 0: in order

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    const bool packed = inputs.size() == 1 || inputs.size() == 2;
    if (inputs.empty() || inputs.size() > 4)
      return usage_error(
          "takes q, k, v or one packed qkv, and a mask after them if there is one, got {} inputs",
          inputs.size());
    const Shape& first = inputs[0].shape;
    if (packed && (first.size() != 5 || first[2] != 3))
      return usage_error("takes a packed input [b, s, 3, heads, d], got {}", print(first));
    if (!packed) {
      if (first.size() != 4) return usage_error("takes q [b, s, heads, d], got {}", print(first));
      Shape expected = first;
      if (inputs[1].shape.size() == 4) {
        expected[1] = inputs[1].shape[1];
        expected[2] = inputs[1].shape[2];
      }
      if (inputs[1].shape != expected || inputs[2].shape != expected)
        return usage_error(
            "k {} and v {} must be [b, s, heads, d] = {} like q {} but for s and heads",
            print(inputs[1].shape), print(inputs[2].shape), print(expected), print(first));
    }
    const std::int64_t b = first[0], sq = first[1], sk = packed ? sq : inputs[1].shape[1];
    const std::int64_t heads = packed ? first[3] : first[2],
                       features = packed ? first[4] : first[3],
                       groups = packed ? heads : inputs[1].shape[2];
    if (groups != heads && (groups < 1 || heads % groups != 0))
      return usage_error("{} heads of queries over {} of keys: must be a multiple", heads, groups);
    if (causal && sk < sq)
      return usage_error(
          "causal attention of {} queries over {} keys: there must be at least as many keys", sq,
          sk);
    if (window < 0 || (window > 0 && !causal))
      return usage_error("window = {} with causal = {}: must be 0 (none), or at least 1 and causal",
                         window, causal);
    if (zigzag != 0 && !causal)
      return usage_error("zigzag = {} with causal = false: 0 is accepted: all keys are seen",
                         zigzag);
    const DType t = inputs[0].dtype;
    const bool masked = inputs.size() % 2 == 0;
    if (masked) {
      const TensorDesc& mask = inputs.back();
      if ((mask.shape != Shape{b, sk} && mask.shape != Shape{b, sq, sk}) || mask.dtype != t)
        return usage_error("the mask is {} {}: {} {} or {} is wanted", name_of(mask.dtype),
                           print(mask.shape), name_of(t), print(Shape{b, sk}),
                           print(Shape{b, sq, sk}));
    }
    // One group of several heads is shared by all parts of a split.
    const bool shared = groups == 1 && heads > 1;
    const std::int64_t heads_of_index = shared || groups == 0 ? 1 : heads / groups;
    const bool windowed = window > 0 && !packed && zigzag == 0;
    Definer d;
    const int ab = d.axis("n", b, AxisRole::kSample);
    const int as = d.axis("s", sq, AxisRole::kAttribute,
                          packed     ? Coupling::kUnsplittable
                          : windowed ? Coupling::kHalo
                                     : Coupling::kNone);
    const int ah = d.axis("head", shared ? heads : groups, AxisRole::kParameter);
    const int at = d.axis("t", sk, AxisRole::kReduction, Coupling::kUnsplittable);
    const int ad = d.axis("d", features, AxisRole::kAttribute, Coupling::kUnsplittable);
    if (causal) d.causal(std::array{as, at});
    for (const int axis : {as, at}) SOAPSTONE_TRY(d.zigzag(axis, zigzag));
    const auto n = DimMap::along(ab), s = DimMap::along(as), key = DimMap::along(at),
               f = DimMap::along(ad), h = DimMap::window(ah, heads_of_index, 0, heads_of_index),
               group = shared ? DimMap::whole() : DimMap::along(ah),
               seen = windowed ? DimMap::window(as, 1, sk - sq - window + 1, window) : key;
    std::vector<int> x;
    if (packed) {
      x.push_back(d.input("qkv", {first, t, {}}, {n, s, DimMap::whole(), h, f}));
    } else {
      x.push_back(d.input("q", {first, t, {}}, {n, s, h, f}));
      x.push_back(d.input("k", {inputs[1].shape, t, {}}, {n, seen, group, f}));
      x.push_back(d.input("v", {inputs[2].shape, t, {}}, {n, seen, group, f}));
    }
    int mask = -1;
    if (masked)
      mask = d.input("mask", {inputs.back().shape, t, {}},
                     inputs.back().shape.size() == 2 ? std::vector{n, key} : std::vector{n, s, key},
                     false);
    const int y = d.output("y", {{b, sq, heads, features}, t, {}}, {n, s, h, f});
    const DType master = master_of(t);
    const int lse = d.internal("lse", {{b, heads, sq}, master, {}}, {n, h, s});
    const bool has_rounds = !masked && window == 0;
    const std::vector<int> ring = has_rounds ? std::vector{at} : std::vector<int>{};
    // Per index of `head`, query and feature: products with the keys that it sees.
    std::vector<int> over{ab, as, ah, ad};
    double keys = static_cast<double>(heads_of_index);
    if (window > 0 && window < sk)
      keys *= static_cast<double>(window);
    else
      over.push_back(at);
    auto forward = d.step("forward", Phase::kForward);
    for (const int i : x) forward.reads(i);
    if (masked) forward.reads(mask);
    forward.writes({y, lse}).flops(4 * keys, over).only_if_whole(ring);
    auto backward = d.step("backward_input", Phase::kBackwardInput);
    for (const int i : x) backward.reads(i);
    if (masked) backward.reads(mask);
    backward.reads({y, lse, Definer::grad(y)});
    for (const int i : x) backward.writes(Definer::grad(i));
    backward.reduces({as}).flops(10 * keys, over).only_if_whole(ring);
    if (shared) backward.reduces({ah});
    if (!has_rounds) {
      d.rounds({.why_not = masked
                               ? "attention with a mask, whose keys do not go round"
                               : "attention with a window, of which a part reads its keys alone"});
      return d.take();
    }
    d.rounds({.along = as, .over = at, .visible = causal ? sk - sq : sk});
    const auto whole = DimMap::whole();
    const std::vector<DimMap> query_dims{n, s, h, f},
        pair_dims{n, key, whole, packed ? h : group, f};
    const Shape query_shape{b, sq, heads, features}, pair_shape{b, sk, 2, groups, features};
    const int queries = packed ? d.internal("queries", {query_shape, t, {}}, query_dims) : x[0];
    const int keys_values = d.internal("keys_values", {pair_shape, t, {}}, pair_dims);
    const int sums = d.internal("sums", {query_shape, master, {}}, query_dims);
    const int seen_so_far = d.internal("seen", {{b, heads, sq, 2}, master, {}}, {n, h, s, whole});
    const int query_gradient = d.internal("query_gradient", {query_shape, master, {}}, query_dims);
    const int key_value_gradients =
        d.internal("key_value_gradients", {pair_shape, master, {}}, pair_dims);
    const double width = static_cast<double>(heads_of_index);
    auto start = d.step("ring_start", Phase::kForward);
    if (packed)
      start.reads(x[0]).writes(queries);
    else
      start.reads({x[1], x[2]});
    start.writes({keys_values, sums, seen_so_far}).only_if_split(ring);
    d.step("ring_forward", Phase::kForward)
        .reads({queries, keys_values, sums, seen_so_far})
        .writes({sums, seen_so_far})
        .reduces({at})
        .flops(4 * width, {ab, as, ah, at, ad})
        .only_if_split(ring);
    d.step("ring_end", Phase::kForward)
        .reads({sums, seen_so_far})
        .writes({y, lse})
        .flops(width, {ab, as, ah, ad})
        .only_if_split(ring);
    auto block = d.step("ring_backward", Phase::kBackwardInput);
    block.reads({queries, keys_values, y, lse, Definer::grad(y)})
        .writes({query_gradient, key_value_gradients})
        .reduces({as, at})
        .flops(10 * width, {ab, as, ah, at, ad})
        .only_if_split(ring);
    if (shared) block.reduces({ah});
    auto end = d.step("ring_backward_end", Phase::kBackwardInput);
    end.reads({query_gradient, key_value_gradients});
    for (const int i : x) end.writes(Definer::grad(i));
    end.only_if_split(ring);
    return d.take();
  }

  Attention in_zigzag(AxisSet, std::int64_t chunks) const {
    Attention out = *this;
    if (causal) out.zigzag = chunks;
    return out;
  }

  friend bool operator==(const Attention&, const Attention&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("causal", self.causal, kOptional);
    visit("window", self.window, kOptional);
    visit("zigzag", self.zigzag, kOptional);
  }
};

}  // namespace soapstone::core
