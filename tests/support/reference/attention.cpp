#include "core/ops/attention.hpp"

#include <cmath>
#include <limits>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

enum { kQ, kK, kV };

// What the steps of an attention have in common.
struct Scores {
  const StepCall& c;
  const core::Attention& attention = c.attributes<core::Attention>();
  bool packed = c.has_operand("qkv"), masked = c.has_operand("mask");
  bool ring = c.name().starts_with("ring");
  core::Interval keys = c.axis("t"), features = c.axis("d"), head_axis = c.axis("head");
  std::int64_t queries = c.shape("y")[1], heads = c.shape("y")[2];
  std::int64_t all_keys = c.problem.definition->axes[c.problem.definition->axis("t")].extent;
  std::int64_t groups = packed ? heads : c.shape("k")[2];
  std::int64_t group_heads = groups > 0 ? heads / groups : 1;
  // An index of the axis is a group with its heads, but for one group: then it is a head.
  std::int64_t heads_of_index = groups == 1 ? 1 : group_heads;
  double scale = 1 / std::sqrt(static_cast<double>(features.extent()));

  static constexpr std::string_view kNames[] = {"q", "k", "v"};
  std::int64_t head_of(int which, std::int64_t head) const {
    return which == kQ ? head : head / group_heads;
  }
  // An input of the operator.
  double& given(int which, auto n, auto i, auto head, auto f) const {
    return packed ? c.value("qkv")(n, i, which, head, f)
                  : c.value(kNames[which])(n, i, head_of(which, head), f);
  }
  double& wanted(int which, auto n, auto i, auto head, auto f) const {
    return packed ? c.gradient("qkv")(n, i, which, head, f)
                  : c.gradient(kNames[which])(n, i, head_of(which, head), f);
  }
  // What the scores are computed from, and the gradients of that.
  double& value(int which, auto n, auto i, auto head, auto f) const {
    if (!ring) return given(which, n, i, head, f);
    if (which == kQ) return c.value(packed ? "queries" : "q")(n, i, head, f);
    return c.value("keys_values")(n, i, which - kK, head_of(which, head), f);
  }
  double& gradient(int which, auto n, auto i, auto head, auto f) const {
    if (!ring) return wanted(which, n, i, head, f);
    if (which == kQ) return c.value("query_gradient")(n, i, head, f);
    return c.value("key_value_gradients")(n, i, which - kK, head_of(which, head), f);
  }

  // body(j) for the keys of this part that query i sees.
  void for_seen(std::int64_t i, const auto& body) const {
    const std::int64_t itself = position_in_zigzag(i, queries, attention.zigzag) +
                                (all_keys - queries);  // the key at the query's position
    for (std::int64_t j = keys.begin; j < keys.end; ++j) {
      const std::int64_t ahead = position_in_zigzag(j, all_keys, attention.zigzag) - itself;
      if (attention.causal && ahead > 0) continue;
      if (attention.window > 0 && ahead <= -attention.window) continue;
      body(j);
    }
  }
  double score(std::int64_t n, std::int64_t i, std::int64_t head, std::int64_t j) const {
    double sum = 0;
    for (std::int64_t f = 0; f < features.end; ++f)
      sum += value(kQ, n, i, head, f) * value(kK, n, j, head, f);
    sum *= scale;
    if (masked)
      sum += c.shape("mask").size() == 2 ? c.value("mask")(n, j) : c.value("mask")(n, i, j);
    return sum;
  }

  void forward(std::int64_t n, std::int64_t i, std::int64_t head) const {
    constexpr double kNothing = -std::numeric_limits<double>::infinity();
    double largest = kNothing, sum = 0;
    for_seen(i, [&](auto j) { largest = std::max(largest, score(n, i, head, j)); });
    if (largest == kNothing) return;  // sees no key: zeros
    for_seen(i, [&](auto j) { sum += std::exp(score(n, i, head, j) - largest); });
    c.value("lse")(n, head, i) = largest + std::log(sum);
    for_seen(i, [&](auto j) {
      for (std::int64_t f = 0; f < features.end; ++f)
        c.value("y")(n, i, head, f) +=
            std::exp(score(n, i, head, j) - largest) / sum * value(kV, n, j, head, f);
    });
  }

  void backward(std::int64_t n, std::int64_t i, std::int64_t head) const {
    double delta = 0;  // Σ_j p_j dp_j = y · dy
    for (std::int64_t f = 0; f < features.end; ++f)
      delta += c.value("y")(n, i, head, f) * c.gradient("y")(n, i, head, f);
    for_seen(i, [&](auto j) {
      const double probability = std::exp(score(n, i, head, j) - c.value("lse")(n, head, i));
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
    });
  }

  // One round: from the largest score and the sums of the keys seen before to those with the keys
  // of this part.
  void ring_forward(std::int64_t n, std::int64_t i, std::int64_t head) const {
    const double total = c.value("seen")(n, head, i, 1);
    const bool saw = total > 0;
    const double before = c.value("seen")(n, head, i, 0);
    double largest = saw ? before : -std::numeric_limits<double>::infinity();
    bool sees = saw;
    for_seen(i, [&](auto j) {
      sees = true;
      largest = std::max(largest, score(n, i, head, j));
    });
    if (!sees) return;  // has seen no key yet: zeros
    const double kept = saw ? std::exp(before - largest) : 0;
    double& sum = c.written("seen")(n, head, i, 1);
    c.written("seen")(n, head, i, 0) = largest;
    sum = kept * total;
    for (std::int64_t f = 0; f < features.end; ++f)
      c.written("sums")(n, i, head, f) = kept * c.value("sums")(n, i, head, f);
    for_seen(i, [&](auto j) {
      const double weight = std::exp(score(n, i, head, j) - largest);
      sum += weight;
      for (std::int64_t f = 0; f < features.end; ++f)
        c.written("sums")(n, i, head, f) += weight * value(kV, n, j, head, f);
    });
  }

  void ring_end(std::int64_t n, std::int64_t i, std::int64_t head) const {
    const double total = c.value("seen")(n, head, i, 1);
    if (total == 0) return;
    c.value("lse")(n, head, i) = c.value("seen")(n, head, i, 0) + std::log(total);
    for (std::int64_t f = 0; f < features.end; ++f)
      c.value("y")(n, i, head, f) = c.value("sums")(n, i, head, f) / total;
  }
};

}  // namespace

void attention_step(const StepCall& c) {
  const Scores scores{c};
  const core::Interval heads{scores.head_axis.begin * scores.heads_of_index,
                             scores.head_axis.end * scores.heads_of_index};
  const auto for_rows = [&](const char* axis, const auto& visit) {
    for_each_index(core::Box{c.axis("n"), c.axis(axis), heads},
                   [&](Index p) { visit(p[0], p[1], p[2]); });
  };
  // body(which, n, position, head, feature) for queries, keys and values.
  const auto for_elements = [&](const auto& body) {
    for (const int which : {kQ, kK, kV})
      for_rows(which == kQ ? "s" : "t", [&](auto n, auto i, auto head) {
        for (std::int64_t f = 0; f < scores.features.end; ++f) body(which, n, i, head, f);
      });
  };
  const auto each_query = [&](auto step) {
    for_rows("s", [&](auto n, auto i, auto head) { (scores.*step)(n, i, head); });
  };
  if (c.name() == "forward") return each_query(&Scores::forward);
  if (c.name() == "backward_input" || c.name() == "ring_backward")
    return each_query(&Scores::backward);
  if (c.name() == "ring_forward") return each_query(&Scores::ring_forward);
  if (c.name() == "ring_end") return each_query(&Scores::ring_end);
  if (c.name() == "ring_start")
    return for_elements([&](int which, auto n, auto i, auto head, auto f) {
      if (which != kQ || scores.packed)
        scores.value(which, n, i, head, f) = scores.given(which, n, i, head, f);
    });
  if (c.name() == "ring_backward_end")
    return for_elements([&](int which, auto n, auto i, auto head, auto f) {
      scores.wanted(which, n, i, head, f) = scores.gradient(which, n, i, head, f);
    });
  c.unknown_step();
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
