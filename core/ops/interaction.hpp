// interaction: y[n] = (x0[n], x_i[n] · x_j[n] for all i > j), the pairwise dot products of a dense
// vector x0 and k embeddings x1 … xk.
//
// Shapes: dense and sparse0 … sparse(k-1) [n, d], k + 1 inputs in all; y [n, d + (k + 1) k / 2]:
// the dense vector, then the lower triangle of the products without its diagonal, row by row.
// Axes: n sample; d stays whole: y has the dense vector beside sums over d. FLOPs: 2·n·d per pair
// forward, 4·n·d backward.
// Source: Naumov et al. 2019, arXiv 1906.00091.
#pragma once

#include "core/op_definition.hpp"

namespace soapstone::core {

struct Interaction {
  static constexpr std::string_view kName = "interaction";

  Result<OpDefinition> define(std::span<const TensorDesc> inputs) const {
    if (inputs.size() < 2)
      return usage_error("takes a dense vector and at least one embedding, got {} inputs",
                         inputs.size());
    const Shape& first = inputs[0].shape;
    if (first.size() != 2) return usage_error("takes inputs [n, d], got {}", print(first));
    for (std::size_t k = 1; k < inputs.size(); ++k)
      if (inputs[k].shape != first || inputs[k].dtype != inputs[0].dtype)
        return usage_error("input {} is {} {} but input 0 is {} {}: they must be alike", k,
                           name_of(inputs[k].dtype), print(inputs[k].shape),
                           name_of(inputs[0].dtype), print(first));
    const auto count = static_cast<std::int64_t>(inputs.size());
    const std::int64_t pairs = count * (count - 1) / 2;
    const DType t = inputs[0].dtype;
    Definer d;
    const int n = d.axis("n", first[0], AxisRole::kSample);
    const int f = d.axis("d", first[1], AxisRole::kAttribute, Coupling::kUnsplittable);
    std::vector<int> x;
    for (std::size_t k = 0; k < inputs.size(); ++k)
      x.push_back(d.input(k == 0 ? "dense" : "sparse" + std::to_string(k - 1), {first, t, {}},
                          {DimMap::along(n), DimMap::along(f)}));
    const int y =
        d.output("y", {{first[0], first[1] + pairs}, t, {}}, {DimMap::along(n), DimMap::whole()});
    auto forward = d.step("forward", Phase::kForward);
    for (const int k : x) forward.reads(k);
    forward.writes(y).reduces({f}).flops(2 * static_cast<double>(pairs), {n, f});
    auto backward = d.step("backward_input", Phase::kBackwardInput);
    for (const int k : x) backward.reads(k);
    backward.reads(Definer::grad(y));
    for (const int k : x) backward.writes(Definer::grad(k));
    backward.flops(4 * static_cast<double>(pairs), {n, f});
    return d.take();
  }

  friend bool operator==(const Interaction&, const Interaction&) = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

}  // namespace soapstone::core
