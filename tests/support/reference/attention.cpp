#include "core/ops/attention.hpp"

#include <cmath>
#include <limits>

#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void attention_step(const StepCall& c) {
  const bool causal = c.attributes<core::Attention>().causal;
  const bool packed = c.has_operand("qkv");
  const core::Interval keys = c.axis("t"), features = c.axis("d");
  const std::int64_t queries = c.shape("y")[1];
  const double scale = 1 / std::sqrt(static_cast<double>(features.extent()));
  enum { kQ, kK, kV };
  const auto value = [&](int which, auto n, auto i, auto head, auto f) -> double& {
    static constexpr std::string_view kNames[] = {"q", "k", "v"};
    return packed ? c.value("qkv")(n, i, which, head, f) : c.value(kNames[which])(n, i, head, f);
  };
  const auto gradient = [&](int which, auto n, auto i, auto head, auto f) -> double& {
    static constexpr std::string_view kNames[] = {"q", "k", "v"};
    return packed ? c.gradient("qkv")(n, i, which, head, f)
                  : c.gradient(kNames[which])(n, i, head, f);
  };
  const bool forward = c.name() == "forward";
  if (!forward && c.name() != "backward_input") c.unknown_step();

  const core::Box rows{c.axis("n"), c.axis("s"), c.axis("head")};
  for_each_index(rows, [&](Index p) {
    const auto n = p[0], i = p[1], head = p[2];
    const std::int64_t visible =
        causal ? std::min(keys.end, i + (keys.end - queries) + 1) : keys.end;
    const auto score = [&](std::int64_t j) {
      double sum = 0;
      for (std::int64_t f = 0; f < features.end; ++f)
        sum += value(kQ, n, i, head, f) * value(kK, n, j, head, f);
      return sum * scale;
    };
    double& lse = c.value("lse")(n, head, i);
    if (forward) {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::int64_t j = 0; j < visible; ++j) largest = std::max(largest, score(j));
      for (std::int64_t j = 0; j < visible; ++j) sum += std::exp(score(j) - largest);
      lse = largest + std::log(sum);
      for (std::int64_t j = 0; j < visible; ++j)
        for (std::int64_t f = 0; f < features.end; ++f)
          c.value("y")(n, i, head, f) +=
              std::exp(score(j) - largest) / sum * value(kV, n, j, head, f);
      return;
    }
    double delta = 0;  // Σ_j p_j dp_j = y · dy
    for (std::int64_t f = 0; f < features.end; ++f)
      delta += c.value("y")(n, i, head, f) * c.gradient("y")(n, i, head, f);
    for (std::int64_t j = 0; j < visible; ++j) {
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
