// matmul: y[n…, m, p] = Σ_k a[n…, m, k] b[n…, k, p], one product of matrices per index of n….
//
// Shapes: a [n…, m, k] or, with `transpose_a`, [n…, k, m]; b [n…, k, p] or, with `transpose_b`,
// [n…, p, k]; y [n…, m, p]. The batch dimensions n… are equal and may be none.
// Axes: n… the first sample, further ones attribute; m and p attribute; k reduction: a split of it
// leaves y as partial sums. The gradient of a is a partial sum where p is split, that of b where m
// is. FLOPs: 2·n·m·p·k forward, the same for each gradient.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Matmul {
  static constexpr std::string_view kName = "matmul";
  bool transpose_a = false;  // the last two dimensions of a stand the other way round
  bool transpose_b = false;  // likewise of b

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() != 2) return usage_error("takes two inputs, got {}", inputs.size());
    const Shape &a = inputs[0].shape, &b = inputs[1].shape;
    if (inputs[0].dtype != inputs[1].dtype)
      return usage_error("inputs are {} and {}: both must have one dtype", name_of(inputs[0].dtype),
                         name_of(inputs[1].dtype));
    const std::size_t rank = a.size();
    if (rank < 2 || b.size() != rank)
      return usage_error(
          "takes a [n…, m, k] and b [n…, k, p] of one rank from 2 to {}, got {} and {}", kMaxRank,
          print(a), print(b));
    const std::size_t batches = rank - 2;
    for (std::size_t d = 0; d < batches; ++d)
      if (a[d] != b[d])
        return usage_error(
            "batch dimension {} is {} in a {} and {} in b {}: batch dimensions must be equal", d,
            a[d], print(a), b[d], print(b));
    const std::size_t a_k = transpose_a ? rank - 2 : rank - 1,
                      a_m = transpose_a ? rank - 1 : rank - 2;
    const std::size_t b_k = transpose_b ? rank - 1 : rank - 2,
                      b_p = transpose_b ? rank - 2 : rank - 1;
    if (a[a_k] != b[b_k])
      return usage_error(
          "the sum runs over dimension {} of a {}, which is {}, and dimension {} of b {}, which is "
          "{}: they must be equal",
          a_k, print(a), a[a_k], b_k, print(b), b[b_k]);

    Definer d;
    std::vector<int> batch;
    for (std::size_t k = 0; k < batches; ++k)
      batch.push_back(d.axis(k == 0 ? "n" : "b" + std::to_string(k), a[k],
                             k == 0 ? AxisRole::kSample : AxisRole::kAttribute));
    const int m = d.axis("m", a[a_m], AxisRole::kAttribute);
    const int p = d.axis("p", b[b_p], AxisRole::kAttribute);
    const int k = d.axis("k", a[a_k], AxisRole::kReduction);
    const auto with = [&](int row, int column) {
      std::vector<int> axes = batch;
      axes.push_back(row);
      axes.push_back(column);
      return axes;
    };
    Shape out;
    for (std::size_t i = 0; i < batches; ++i) out.push_back(a[i]);
    out.push_back(a[a_m]);
    out.push_back(b[b_p]);
    std::vector<int> all = with(m, p);
    all.push_back(k);
    const int ia = d.input("a", inputs[0], along(transpose_a ? with(k, m) : with(m, k)));
    const int ib = d.input("b", inputs[1], along(transpose_b ? with(p, k) : with(k, p)));
    const int y = d.output("y", {out, inputs[0].dtype, {}}, along(with(m, p)));
    using G = Definer::Grad;
    d.step("forward", Phase::kForward).reads({ia, ib}).writes(y).reduces({k}).flops(2, all);
    d.step("backward_a", Phase::kBackwardInput)
        .reads({G{y}, ib})
        .writes(G{ia})
        .reduces({p})
        .flops(2, all);
    d.step("backward_b", Phase::kBackwardInput)
        .reads({ia, G{y}})
        .writes(G{ib})
        .reduces({m})
        .flops(2, all);
    return d.take();
  }

  friend bool operator==(const Matmul&, const Matmul&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("transpose_a", self.transpose_a, kOptional);
    visit("transpose_b", self.transpose_b, kOptional);
  }
};

}  // namespace soapstone::core
