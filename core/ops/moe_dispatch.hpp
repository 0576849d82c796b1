// moe_dispatch: sends every token to the top_k experts that its gate likes best: the rows of x into
// slots, c for each expert and sample. p = softmax over the experts of the logits;
//   y[n, e, c] = x[n, s] where slots[n, s, k] = e·C + c for a k, else 0, C the number of slots;
//   weights[n, s, k] = p of the k-th largest logit (`renormalize`: divided by the sum of the
//   top_k), 0 where the token was dropped.
// Tokens take the slots of an expert in the order of s (with `zigzag`, where s stands in zig-zag
// order of so many chunks, in that of their positions), then of k; what finds none left is dropped
// there. Equal logits: the lower expert first. C = ⌈capacity_factor · top_k · s / e⌉, at most s,
// and s where capacity_factor = 0 (nothing is dropped).
//
// Shapes: x [n, s, d], logits [n, s, e], y [n, e, c, d], weights [n, s, top_k], slots [n, s, top_k]
// i32, -1 where dropped. With `load_loss` an output load_loss [1] = load_loss / count Σ_n e Σ_e
// f[n, e] mean_s p[n, s, e], f the part of the sample's tokens that like e best, and an internal
// `load` [n, e] = s f; `count` is the number of samples of the whole batch, unless `mean_over`
// gives it (micro-batches: that of the mini-batch). Its gradient goes to the logits as if it were
// added to the loss. Axes: n sample; s and the experts of the logits, g, stay whole: tokens compete
// for slots; e and d attribute: parts of y, the routing is repeated, a split of e leaves dx as
// partial sums. No gradient flows through slots. FLOPs: counted 5 per logit forward, 8 backward,
// and additions of dx. Source: Lepikhin et al. 2020, arXiv 2006.16668 (capacity, groups = samples);
// Fedus et al. 2021, arXiv 2101.03961 (load_loss); Jiang et al. 2024, arXiv 2401.04088
// (renormalize).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/op_definition.hpp"

namespace soapstone::core {

struct MoeDispatch {
  static constexpr std::string_view kName = "moe_dispatch";
  std::int64_t top_k = 1;
  double capacity_factor = 0;  // 0: as many slots as tokens
  bool renormalize = false;
  double load_loss = 0;        // its coefficient; 0: none
  std::int64_t mean_over = 0;  // of load_loss; 0: the number of samples
  std::int64_t zigzag = 0;     // chunks of the order of s; 0: in order

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 2) return usage_error("takes x and logits, got {} inputs", inputs.size());
    const Shape &in = inputs[0].shape, &gate = inputs[1].shape;
    if (in.size() != 3 || gate.size() != 3 || gate[0] != in[0] || gate[1] != in[1] ||
        inputs[0].dtype != inputs[1].dtype)
      return usage_error("takes x [n, s, d] and logits [n, s, e] of one dtype, got {} {} and {} {}",
                         name_of(inputs[0].dtype), print(in), name_of(inputs[1].dtype),
                         print(gate));
    const std::int64_t samples = in[0], tokens = in[1], experts = gate[2];
    if (top_k < 1 || top_k > experts)
      return usage_error("top_k = {}: {} experts allow 1 to {}", top_k, experts, experts);
    if (!(capacity_factor >= 0) || !std::isfinite(capacity_factor))
      return usage_error("capacity_factor = {}: must be 0 (no limit) or more", capacity_factor);
    if (!(load_loss >= 0) || !std::isfinite(load_loss))
      return usage_error("load_loss = {}: must be 0 (none) or more", load_loss);
    SOAPSTONE_TRY(check_mean_over(mean_over, "samples"));
    const std::int64_t slots_of_expert = capacity(tokens, experts);
    if (slots_of_expert > std::numeric_limits<std::int32_t>::max() / experts)
      return usage_error("{} slots of {} experts: i32 cannot number so many", slots_of_expert,
                         experts);
    const DType t = inputs[0].dtype;
    Definer d;
    const int n = d.axis("n", samples, AxisRole::kSample);
    const int s = d.axis("s", tokens, AxisRole::kAttribute, Coupling::kUnsplittable);
    SOAPSTONE_TRY(d.zigzag(s, zigzag));
    const int g = d.axis("g", experts, AxisRole::kAttribute, Coupling::kUnsplittable);
    const int e = d.axis("e", experts, AxisRole::kAttribute);
    const int f = d.axis("d", in[2], AxisRole::kAttribute);
    const auto an = DimMap::along(n), as = DimMap::along(s), ag = DimMap::along(g),
               af = DimMap::along(f), whole = DimMap::whole();
    const int x = d.input("x", inputs[0], {an, as, af});
    const int logits = d.input("logits", inputs[1], {an, as, ag});
    const int y = d.output("y", {{samples, experts, slots_of_expert, in[2]}, t, {}},
                           {an, DimMap::along(e), whole, af});
    const int weights = d.output("weights", {{samples, tokens, top_k}, t, {}}, {an, as, whole});
    const int slots =
        d.output("slots", {{samples, tokens, top_k}, DType::kI32, {}}, {an, as, whole}, false);
    const bool balances = load_loss > 0;
    int loss = -1, load = -1;
    if (balances) {
      loss = d.output("load_loss", {{1}, t, {}}, {whole});
      load = d.internal("load", {{samples, experts}, master_of(t), {}}, {an, ag});
    }
    using G = Definer::Grad;
    auto forward =
        d.step("forward", Phase::kForward).reads({x, logits}).writes({y, weights, slots});
    if (balances) forward.writes({loss, load}).reduces({n});
    forward.flops(5, {n, s, g});
    d.step("backward_input", Phase::kBackwardInput)
        .reads({slots, G{y}})
        .writes(G{x})
        .reduces({e})
        .flops(static_cast<double>(top_k) / static_cast<double>(experts), {n, s, e, f});
    auto backward_gate =
        d.step("backward_gate", Phase::kBackwardInput).reads({logits, slots, G{weights}});
    if (balances) backward_gate.reads(load);
    backward_gate.writes(G{logits}).flops(8, {n, s, g});
    return d.take();
  }

  // Slots of an expert for the tokens of a sample.
  std::int64_t capacity(std::int64_t tokens, std::int64_t experts) const {
    if (capacity_factor == 0) return tokens;
    const double wanted = capacity_factor * static_cast<double>(top_k) *
                          static_cast<double>(tokens) / static_cast<double>(experts);
    // 1.1 · 10 are 11 slots, although the double next to 1.1 is larger.
    return static_cast<std::int64_t>(
        std::min(static_cast<double>(tokens), std::ceil(wanted * (1 - 1e-12))));
  }

  MoeDispatch for_micro_batches(std::int64_t, std::span<const TensorDesc> inputs) const {
    MoeDispatch part = *this;
    if (load_loss > 0 && mean_over == 0) part.mean_over = inputs[0].shape[0];
    return part;
  }

  MoeDispatch in_zigzag(AxisSet axes, std::int64_t chunks) const {
    MoeDispatch out = *this;
    if (axes.has(1)) out.zigzag = chunks;
    return out;
  }

  friend bool operator==(const MoeDispatch&, const MoeDispatch&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("top_k", self.top_k);
    visit("capacity_factor", self.capacity_factor, kOptional);
    visit("renormalize", self.renormalize, kOptional);
    visit("load_loss", self.load_loss, kOptional);
    visit("mean_over", self.mean_over, kOptional);
    visit("zigzag", self.zigzag, kOptional);
  }
};

}  // namespace soapstone::core
