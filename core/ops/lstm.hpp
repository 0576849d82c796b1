// lstm: one layer of long short-term memory over a chunk of time steps t:
//   i, f, o = σ(w_ih x[t] + w_hh h[t-1] + bias), g = tanh(likewise),
//   c[t] = f c[t-1] + i g, y[t] = h[t] = o tanh(c[t]).
//
// Shapes: x [n, s, i], h0, c0 [n, h], w_ih [4, h, i], w_hh [4, h, h], bias [4, h] (gates in the
// order i, f, g, o; PyTorch's two biases added up), y [n, s, h], and the last states h, c [n, h],
// which the next chunk begins with.
// Internal: `pre` [n, s, 4, h], w_ih x (stored only where i is split; its gradient, that of what
// the gates are functions of, always is), `gates` [n, s, 4, h] and `cells` [n, s, h] = c[t].
// Axes: n sample; s (time) and h stay whole: every time step needs all of h of the one before; i
// reduction: where it is split, "product" leaves partial sums which "recurrence" reads whole.
// FLOPs: 8·n·s·h·i + 8·n·s·h·h forward, the same for the gradients of the inputs and again for
// those of the weights; gates are counted as 30 per element of y each way. Source: Hochreiter &
// Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735, with the forget gate of Gers et al. 2000,
// doi 10.1162/089976600300015015.
#pragma once

#include "core/ops/recurrent.hpp"

namespace soapstone::core {

struct Lstm {
  static constexpr std::string_view kName = "lstm";
  std::int64_t hidden = 0;

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    SOAPSTONE_TRY(check_recurrent(inputs, hidden, 2, "x, h0 and c0"));
    const Shape& in = inputs[0].shape;
    const DType t = inputs[0].dtype;
    Definer d;
    const auto [n, s, h, i] = RecurrentAxes(d, in, hidden);
    const auto an = DimMap::along(n), as = DimMap::along(s), ah = DimMap::along(h),
               ai = DimMap::along(i), whole = DimMap::whole();
    const TensorDesc state{{in[0], hidden}, t, {}}, sequence{{in[0], in[1], hidden}, t, {}},
        four{{in[0], in[1], 4, hidden}, t, {}};
    const Initializer init{InitKind::kUniform, 1 / std::sqrt(static_cast<double>(hidden))};

    const int x = d.input("x", {in, t, {}}, {an, as, ai});
    const int h0 = d.input("h0", state, {an, ah});
    const int c0 = d.input("c0", state, {an, ah});
    const int w_ih = d.weight("w_ih", {{4, hidden, in[2]}, t, {}}, {whole, ah, ai}, init);
    const int w_hh = d.weight("w_hh", {{4, hidden, hidden}, t, {}}, {whole, ah, whole}, init);
    const int bias = d.weight("bias", {{4, hidden}, t, {}}, {whole, ah}, init);
    const int y = d.output("y", sequence, {an, as, ah});
    const int last_h = d.output("h", state, {an, ah});
    const int last_c = d.output("c", state, {an, ah});
    const int pre = d.internal("pre", four, {an, as, whole, ah});
    const int gates = d.internal("gates", four, {an, as, whole, ah});
    const int cells = d.internal("cells", {sequence.shape, master_of(t), {}}, {an, as, ah});

    using G = Definer::Grad;
    const std::initializer_list<int> nsh{n, s, h}, nshi{n, s, h, i};
    const double recurrent = 8 * static_cast<double>(hidden);
    const int reduced[] = {i};
    d.step("forward", Phase::kForward)
        .reads({x, h0, c0, w_ih, w_hh, bias})
        .writes({y, last_h, last_c, gates, cells})
        .flops(8, nshi)
        .flops(recurrent + 30, nsh)
        .only_if_whole(reduced);
    d.step("product", Phase::kForward)
        .reads({x, w_ih})
        .writes(pre)
        .reduces({i})
        .flops(8, nshi)
        .only_if_split(reduced);
    d.step("recurrence", Phase::kForward)
        .reads({pre, h0, c0, w_hh, bias})
        .writes({y, last_h, last_c, gates, cells})
        .flops(recurrent + 30, nsh)
        .only_if_split(reduced);
    d.step("backward_recurrence", Phase::kBackwardInput)
        .reads({w_hh, c0, gates, cells, G{y}, G{last_h}, G{last_c}})
        .writes({G{h0}, G{c0}, G{pre}})
        .flops(recurrent + 30, nsh);
    d.step("backward_input", Phase::kBackwardInput)
        .reads({G{pre}, w_ih})
        .writes(G{x})
        .reduces({h})
        .flops(8, nshi);
    d.step("backward_weight", Phase::kBackwardWeight)
        .reads({x, h0, y, G{pre}})
        .writes({G{w_ih}, G{w_hh}, G{bias}})
        .reduces({n, s})
        .flops(8, nshi)
        .flops(recurrent + 4, nsh);
    return d.take();
  }

  friend bool operator==(const Lstm&, const Lstm&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("hidden", self.hidden);
  }
};

}  // namespace soapstone::core
