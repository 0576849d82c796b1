#include "core/ops/gru.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

constexpr std::int64_t kGates = 3;
enum Slot { kR, kZ, kN, kQ };
// The slot of a gate's sum that the product with h belongs to.
std::int64_t hidden_slot(std::int64_t gate) { return gate == kN ? std::int64_t{kQ} : gate; }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Σ_i w_ih[gate, j, i] x[n, t, i] over this part of i.
double product(const StepCall& c, std::int64_t n, std::int64_t t, std::int64_t gate,
               std::int64_t j) {
  double sum = 0;
  for (auto i = c.axis("i").begin; i < c.axis("i").end; ++i)
    sum += c.value("w_ih")(gate, j, i) * c.value("x")(n, t, i);
  return sum;
}

double h_before(const StepCall& c, std::int64_t n, std::int64_t t, std::int64_t j) {
  return t == 0 ? c.value("h0")(n, j) : c.value("y")(n, t - 1, j);
}

void forward(const StepCall& c) {
  const core::Interval time = c.axis("s"), hidden = c.axis("h");
  const View &gates = c.value("gates"), &y = c.value("y");
  for (auto n = c.axis("n").begin; n < c.axis("n").end; ++n)
    for (std::int64_t t = 0; t < time.end; ++t)
      for (std::int64_t j = 0; j < hidden.end; ++j) {
        const auto from_x = [&](std::int64_t gate) {
          return c.value("b_ih")(gate, j) + (c.name() == "forward" ? product(c, n, t, gate, j)
                                                                   : c.value("pre")(n, t, gate, j));
        };
        const auto from_h = [&](std::int64_t gate) {
          double sum = c.value("b_hh")(gate, j);
          for (std::int64_t k = 0; k < hidden.end; ++k)
            sum += c.value("w_hh")(gate, j, k) * h_before(c, n, t, k);
          return sum;
        };
        const double r = sigmoid(from_x(kR) + from_h(kR)), z = sigmoid(from_x(kZ) + from_h(kZ)),
                     q = from_h(kN), candidate = std::tanh(from_x(kN) + r * q);
        gates(n, t, kR, j) = r;
        gates(n, t, kZ, j) = z;
        gates(n, t, kN, j) = candidate;
        gates(n, t, kQ, j) = q;
        y(n, t, j) = (1 - z) * candidate + z * h_before(c, n, t, j);
        c.value("h")(n, j) = y(n, t, j);
      }
}

void backward_recurrence(const StepCall& c) {
  const core::Interval time = c.axis("s"), hidden = c.axis("h");
  const View &gates = c.value("gates"), &dsums = c.gradient("sums"), &dh0 = c.gradient("h0");
  // dh0 holds the gradient of h[t], and in the end that of h[-1].
  for (auto n = c.axis("n").begin; n < c.axis("n").end; ++n) {
    for (std::int64_t j = 0; j < hidden.end; ++j) dh0(n, j) = c.gradient("h")(n, j);
    for (std::int64_t t = time.end; t-- > 0;) {
      for (std::int64_t j = 0; j < hidden.end; ++j) {
        const double r = gates(n, t, kR, j), z = gates(n, t, kZ, j), candidate = gates(n, t, kN, j),
                     q = gates(n, t, kQ, j);
        const double dh = c.gradient("y")(n, t, j) + dh0(n, j);
        const double dn = dh * (1 - z) * (1 - candidate * candidate);
        dsums(n, t, kR, j) = dn * q * r * (1 - r);
        dsums(n, t, kZ, j) = dh * (h_before(c, n, t, j) - candidate) * z * (1 - z);
        dsums(n, t, kN, j) = dn;
        dsums(n, t, kQ, j) = dn * r;
        dh0(n, j) = dh * z;
      }
      for (std::int64_t k = 0; k < hidden.end; ++k)
        for (std::int64_t gate = 0; gate < kGates; ++gate)
          for (std::int64_t j = 0; j < hidden.end; ++j)
            dh0(n, k) += c.value("w_hh")(gate, j, k) * dsums(n, t, hidden_slot(gate), j);
    }
  }
}

}  // namespace

void gru_step(const StepCall& c) {
  const core::Interval hidden = c.axis("h"), in = c.axis("i"), gates{0, kGates};
  const core::Box points{c.axis("n"), c.axis("s"), gates, hidden};
  if (c.name() == "forward" || c.name() == "recurrence") return forward(c);
  if (c.name() == "backward_recurrence") return backward_recurrence(c);
  for_each_index(points, [&](Index p) {
    const auto n = p[0], t = p[1], gate = p[2], j = p[3];
    if (c.name() == "product") {
      c.value("pre").at(p) = product(c, n, t, gate, j);
      return;
    }
    const double from_x = c.gradient("sums")(n, t, gate, j),
                 from_h = c.gradient("sums")(n, t, hidden_slot(gate), j);
    if (c.name() == "backward_input") {
      for (auto i = in.begin; i < in.end; ++i)
        c.gradient("x")(n, t, i) += from_x * c.value("w_ih")(gate, j, i);
    } else if (c.name() == "backward_weight") {
      for (auto i = in.begin; i < in.end; ++i)
        c.gradient("w_ih")(gate, j, i) += from_x * c.value("x")(n, t, i);
      for (std::int64_t k = 0; k < hidden.end; ++k)
        c.gradient("w_hh")(gate, j, k) += from_h * h_before(c, n, t, k);
      c.gradient("b_ih")(gate, j) += from_x;
      c.gradient("b_hh")(gate, j) += from_h;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> gru_examples() {
  using namespace core;
  return {{"gru", Gru{.hidden = 3}, {dense({2, 3, 4}), dense({2, 3})}}};
}

}  // namespace soapstone::oracle
