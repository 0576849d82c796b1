// gru: one layer of gated recurrent units over a chunk of time steps t:
//   r, z = σ(w_ih x[t] + b_ih + w_hh h[t-1] + b_hh),
//   n = tanh(w_ih x[t] + b_ih + r (w_hh h[t-1] + b_hh)),
//   y[t] = h[t] = (1 - z) n + z h[t-1].
//
// Shapes: x [n, s, i], h0 [n, h], w_ih [3, h, i], w_hh [3, h, h], b_ih, b_hh [3, h] (gates in the
// order r, z, n as PyTorch), y [n, s, h], and the last state h [n, h], which the next chunk begins
// with.
// Internal: `pre` [n, s, 3, h] = w_ih x, stored only where i is split; `gates` [n, s, 4, h] = (r,
// z, n, q), q = w_hh h[t-1] + b_hh of gate n; of `sums` [n, s, 4, h] = (sum of r, sum of z, part of
// n's sum that comes from x, q) the gradient only. Axes: n sample; s (time) and h stay whole: every
// time step needs all of h of the one before; i reduction: where it is split, "product" leaves
// partial sums which "recurrence" reads whole. FLOPs: 6·n·s·h·i + 6·n·s·h·h forward, the same for
// the gradients of the inputs and again for those of the weights; gates are counted as 30 per
// element of y each way. Source: Cho et al. 2014, arXiv 1406.1078, with the reset gate behind the
// product as in cuDNN and PyTorch.
#pragma once

#include "core/ops/recurrent.hpp"

namespace soapstone::core {

struct Gru {
  static constexpr std::string_view kName = "gru";
  std::int64_t hidden = 0;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    SOAPSTONE_TRY(check_recurrent(inputs, hidden, 1, "x and h0"));
    const Shape& in = inputs[0].shape;
    const DType t = inputs[0].dtype;
    Definer d;
    const auto [n, s, h, i] = RecurrentAxes(d, in, hidden);
    const auto an = DimMap::along(n), as = DimMap::along(s), ah = DimMap::along(h),
               ai = DimMap::along(i), whole = DimMap::whole();
    const TensorDesc state{{in[0], hidden}, t, {}}, four{{in[0], in[1], 4, hidden}, t, {}};
    const Initializer init{InitKind::kUniform, 1 / std::sqrt(static_cast<double>(hidden))};

    const int x = d.input("x", {in, t, {}}, {an, as, ai});
    const int h0 = d.input("h0", state, {an, ah});
    const int w_ih = d.weight("w_ih", {{3, hidden, in[2]}, t, {}}, {whole, ah, ai}, init);
    const int w_hh = d.weight("w_hh", {{3, hidden, hidden}, t, {}}, {whole, ah, whole}, init);
    const int b_ih = d.weight("b_ih", {{3, hidden}, t, {}}, {whole, ah}, init);
    const int b_hh = d.weight("b_hh", {{3, hidden}, t, {}}, {whole, ah}, init);
    const int y = d.output("y", {{in[0], in[1], hidden}, t, {}}, {an, as, ah});
    const int last_h = d.output("h", state, {an, ah});
    const int pre = d.internal("pre", {{in[0], in[1], 3, hidden}, t, {}}, {an, as, whole, ah});
    const int gates = d.internal("gates", four, {an, as, whole, ah});
    const int sums = d.internal("sums", four, {an, as, whole, ah});

    using G = Definer::Grad;
    const std::initializer_list<int> nsh{n, s, h}, nshi{n, s, h, i};
    const double recurrent = 6 * static_cast<double>(hidden);
    const int reduced[] = {i};
    d.step("forward", Phase::kForward)
        .reads({x, h0, w_ih, w_hh, b_ih, b_hh})
        .writes({y, last_h, gates})
        .flops(6, nshi)
        .flops(recurrent + 30, nsh)
        .only_if_whole(reduced);
    d.step("product", Phase::kForward)
        .reads({x, w_ih})
        .writes(pre)
        .reduces({i})
        .flops(6, nshi)
        .only_if_split(reduced);
    d.step("recurrence", Phase::kForward)
        .reads({pre, h0, w_hh, b_ih, b_hh})
        .writes({y, last_h, gates})
        .flops(recurrent + 30, nsh)
        .only_if_split(reduced);
    d.step("backward_recurrence", Phase::kBackwardInput)
        .reads({w_hh, h0, y, gates, G{y}, G{last_h}})
        .writes({G{h0}, G{sums}})
        .flops(recurrent + 30, nsh);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({G{sums}, w_ih})
        .writes(G{x})
        .reduces({h})
        .flops(6, nshi);
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({x, h0, y, G{sums}})
        .writes({G{w_ih}, G{w_hh}, G{b_ih}, G{b_hh}})
        .reduces({n, s})
        .flops(6, nshi)
        .flops(recurrent + 6, nsh);
    return d.take();
  }

  friend bool operator==(const Gru&, const Gru&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("hidden", self.hidden);
  }
};

}  // namespace soapstone::core
