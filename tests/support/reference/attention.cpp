#include "core/ops/attention.hpp"

#include <cmath>
#include <limits>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void attention_step(const StepCall& c) {
  const auto& attention = c.attributes<core::Attention>();
  const bool packed = c.has_operand("qkv"), masked = c.has_operand("mask");
  const core::Interval keys = c.axis("t"), features = c.axis("d"), head_axis = c.axis("head");
  const std::int64_t queries = c.shape("y")[1], heads = c.shape("y")[2];
  const std::int64_t groups = packed ? heads : c.shape("k")[2];
  const std::int64_t group_heads = groups > 0 ? heads / groups : 1;
  // An index of the axis is a group with its heads, but for one group: then it is a head.
  const std::int64_t heads_of_index = groups == 1 ? 1 : group_heads;
  const double scale = 1 / std::sqrt(static_cast<double>(features.extent()));
  enum { kQ, kK, kV };
  const auto head_of = [&](int which, std::int64_t head) {
    return which == kQ ? head : head / group_heads;
  };
  static constexpr std::string_view kNames[] = {"q", "k", "v"};
  const auto value = [&](int which, auto n, auto i, auto head, auto f) -> double& {
    return packed ? c.value("qkv")(n, i, which, head, f)
                  : c.value(kNames[which])(n, i, head_of(which, head), f);
  };
  const auto gradient = [&](int which, auto n, auto i, auto head, auto f) -> double& {
    return packed ? c.gradient("qkv")(n, i, which, head, f)
                  : c.gradient(kNames[which])(n, i, head_of(which, head), f);
  };
  const bool forward = c.name() == "forward";
  if (!forward && c.name() != "backward_input") c.unknown_step();

  const core::Box rows{
      c.axis("n"), c.axis("s"), {head_axis.begin * heads_of_index, head_axis.end * heads_of_index}};
  for_each_index(rows, [&](Index p) {
    const auto n = p[0], i = p[1], head = p[2];
    const std::int64_t itself = i + (keys.end - queries);  // the key at the query's position
    const std::int64_t end = attention.causal ? std::min(keys.end, itself + 1) : keys.end;
    const std::int64_t begin =
        attention.window > 0 ? std::max<std::int64_t>(0, itself + 1 - attention.window) : 0;
    const auto score = [&](std::int64_t j) {
      double sum = 0;
      for (std::int64_t f = 0; f < features.end; ++f)
        sum += value(kQ, n, i, head, f) * value(kK, n, j, head, f);
      sum *= scale;
      if (masked)
        sum += c.shape("mask").size() == 2 ? c.value("mask")(n, j) : c.value("mask")(n, i, j);
      return sum;
    };
    double& lse = c.value("lse")(n, head, i);
    if (forward) {
      constexpr double kNothing = -std::numeric_limits<double>::infinity();
      double largest = kNothing, sum = 0;
      for (std::int64_t j = begin; j < end; ++j) largest = std::max(largest, score(j));
      if (largest == kNothing) return;  // sees no key: zeros
      for (std::int64_t j = begin; j < end; ++j) sum += std::exp(score(j) - largest);
      lse = largest + std::log(sum);
      for (std::int64_t j = begin; j < end; ++j)
        for (std::int64_t f = 0; f < features.end; ++f)
          c.value("y")(n, i, head, f) +=
              std::exp(score(j) - largest) / sum * value(kV, n, j, head, f);
      return;
    }
    double delta = 0;  // Σ_j p_j dp_j = y · dy
    for (std::int64_t f = 0; f < features.end; ++f)
      delta += c.value("y")(n, i, head, f) * c.gradient("y")(n, i, head, f);
    for (std::int64_t j = begin; j < end; ++j) {
      const double probability = std::exp(score(j) - lse);
      double dp = 0;
      for (std::int64_t f = 0; f < features.end; ++f) {
        const double dy = c.gradient("y")(n, i, head, f);
        dp += dy * value(kV, n, j, head, f);
        gradient(kV, n, j, head, f) += probability * dy;
      }
      const double ds = probability * (dp - delta) * scale;
      for (std::int64_t f = 0; f < features.end; ++f) {
        gradient(kQ, n, i, head, f) += ds * value(kK, n, j, head, f);
        gradient(kK, n, j, head, f) += ds * value(kQ, n, i, head, f);
      }
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> attention_examples() {
  using namespace core;
  return {
      {"attention", Attention{}, {dense({2, 3, 4, 2}), dense({2, 5, 4, 2}), dense({2, 5, 4, 2})}},
      {"attention_packed", Attention{.causal = true}, {dense({2, 3, 3, 4, 2})}},
      {"attention_grouped",
       Attention{.causal = true, .window = 2},
       {dense({2, 3, 4, 2}), dense({2, 3, 2, 2}), dense({2, 3, 2, 2})}}};
}

}  // namespace soapstone::oracle
