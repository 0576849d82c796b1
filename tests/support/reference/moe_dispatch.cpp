#include "core/ops/moe_dispatch.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

void moe_dispatch_step(const StepCall& c) {
  const auto& a = c.attributes<core::MoeDispatch>();
  const core::Interval samples = c.axis("n"), here = c.axis("e"), features = c.axis("d");
  const std::int64_t tokens = c.axis("s").extent(), experts = c.axis("g").extent();
  const std::int64_t capacity = c.shape("y")[2];

  if (c.name() == "backward_input") {
    for_each_index(core::Box{samples, c.axis("s"), features}, [&](Index p) {
      for (std::int64_t k = 0; k < a.top_k; ++k) {
        const auto slot = static_cast<std::int64_t>(c.value("slots")(p[0], p[1], k));
        if (slot >= here.begin * capacity && slot < here.end * capacity)
          c.gradient("x").at(p) += c.gradient("y")(p[0], slot / capacity, slot % capacity, p[2]);
      }
    });
    return;
  }
  if (c.name() != "forward" && c.name() != "backward_gate") c.unknown_step();

  const double count = static_cast<double>(a.mean_over > 0 ? a.mean_over : c.shape("x")[0]) *
                       static_cast<double>(tokens);
  // The experts in the order in which a token likes them.
  const auto preferred = [&](std::int64_t n, std::int64_t s) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(experts));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) {
      return c.value("logits")(n, s, i) > c.value("logits")(n, s, j);
    });
    return order;
  };
  // The softmax over all experts, or over some.
  const auto softmax = [&](std::int64_t n, std::int64_t s, Index over) {
    std::vector<double> p(static_cast<std::size_t>(experts), 0);
    double largest = c.value("logits")(n, s, over[0]), sum = 0;
    for (const auto j : over) largest = std::max(largest, c.value("logits")(n, s, j));
    for (const auto j : over) sum += std::exp(c.value("logits")(n, s, j) - largest);
    for (const auto j : over)
      p[static_cast<std::size_t>(j)] = std::exp(c.value("logits")(n, s, j) - largest) / sum;
    return p;
  };
  for (std::int64_t n = samples.begin; n < samples.end; ++n) {
    std::vector<std::int64_t> taken(static_cast<std::size_t>(experts), 0);
    std::vector<double> mean(static_cast<std::size_t>(experts), 0);  // of the probabilities
    std::vector<std::int64_t> at(static_cast<std::size_t>(tokens));  // where a position stands
    for (std::int64_t s = 0; s < tokens; ++s)
      at[static_cast<std::size_t>(position_in_zigzag(s, tokens, a.zigzag))] = s;
    for (const std::int64_t s : at) {
      const auto order = preferred(n, s);
      const Index chosen = Index(order).first(static_cast<std::size_t>(a.top_k));
      const auto p = softmax(n, s, order), q = a.renormalize ? softmax(n, s, chosen) : p;
      if (c.name() == "forward") {
        if (a.load_loss > 0) ++c.value("load")(n, chosen[0]);
        for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += p[j] / static_cast<double>(tokens);
        for (std::int64_t k = 0; k < a.top_k; ++k) {
          const std::int64_t e = chosen[static_cast<std::size_t>(k)];
          std::int64_t& place = taken[static_cast<std::size_t>(e)];
          c.value("slots")(n, s, k) = -1;
          if (place == capacity) continue;
          c.value("slots")(n, s, k) = static_cast<double>(e * capacity + place);
          c.value("weights")(n, s, k) = q[static_cast<std::size_t>(e)];
          if (e >= here.begin && e < here.end)
            for (std::int64_t f = features.begin; f < features.end; ++f)
              c.value("y")(n, e, place, f) = c.value("x")(n, s, f);
          ++place;
        }
        continue;
      }
      for (std::int64_t k = 0; k < a.top_k; ++k) {
        if (c.value("slots")(n, s, k) < 0) continue;
        const std::int64_t e = chosen[static_cast<std::size_t>(k)];
        for (std::int64_t j = 0; j < experts; ++j)
          c.gradient("logits")(n, s, j) += c.gradient("weights")(n, s, k) *
                                           q[static_cast<std::size_t>(e)] *
                                           ((e == j ? 1 : 0) - q[static_cast<std::size_t>(j)]);
      }
      if (a.load_loss == 0) continue;
      for (std::int64_t i = 0; i < experts; ++i)
        for (std::int64_t j = 0; j < experts; ++j)
          c.gradient("logits")(n, s, j) += a.load_loss * static_cast<double>(experts) / count *
                                           c.value("load")(n, i) / static_cast<double>(tokens) *
                                           p[static_cast<std::size_t>(i)] *
                                           ((i == j ? 1 : 0) - p[static_cast<std::size_t>(j)]);
    }
    if (c.name() == "forward" && a.load_loss > 0 && tokens > 0)
      for (std::int64_t j = 0; j < experts; ++j)
        c.value("load_loss")(0) += a.load_loss * static_cast<double>(experts) *
                                   c.value("load")(n, j) / count *
                                   mean[static_cast<std::size_t>(j)];
  }
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> moe_dispatch_examples() {
  using namespace core;
  return {{"moe_dispatch", MoeDispatch{.top_k = 2}, {dense({2, 3, 4}), dense({2, 3, 3})}}};
}

}  // namespace soapstone::oracle
