#include "core/ops/lstm.hpp"

#include <cmath>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

constexpr std::int64_t kGates = 4;
enum Gate { kI, kF, kG, kO };

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
double c_before(const StepCall& c, std::int64_t n, std::int64_t t, std::int64_t j) {
  return t == 0 ? c.value("c0")(n, j) : c.value("cells")(n, t - 1, j);
}

void forward(const StepCall& c) {
  const core::Interval time = c.axis("s"), hidden = c.axis("h");
  const View &gates = c.value("gates"), &cells = c.value("cells"), &y = c.value("y");
  for (auto n = c.axis("n").begin; n < c.axis("n").end; ++n)
    for (std::int64_t t = 0; t < time.end; ++t)
      for (std::int64_t j = 0; j < hidden.end; ++j) {
        for (std::int64_t gate = 0; gate < kGates; ++gate) {
          double sum =
              c.value("bias")(gate, j) +
              (c.name() == "forward" ? product(c, n, t, gate, j) : c.value("pre")(n, t, gate, j));
          for (std::int64_t k = 0; k < hidden.end; ++k)
            sum += c.value("w_hh")(gate, j, k) * h_before(c, n, t, k);
          gates(n, t, gate, j) = gate == kG ? std::tanh(sum) : sigmoid(sum);
        }
        cells(n, t, j) =
            gates(n, t, kF, j) * c_before(c, n, t, j) + gates(n, t, kI, j) * gates(n, t, kG, j);
        y(n, t, j) = gates(n, t, kO, j) * std::tanh(cells(n, t, j));
        c.value("h")(n, j) = y(n, t, j);
        c.value("c")(n, j) = cells(n, t, j);
      }
}

void backward_recurrence(const StepCall& c) {
  const core::Interval time = c.axis("s"), hidden = c.axis("h");
  const View &gates = c.value("gates"), &dpre = c.gradient("pre"), &dh0 = c.gradient("h0"),
             &dc0 = c.gradient("c0");
  // dh0 and dc0 hold the gradients of h[t] and c[t], and in the end those of h[-1] and c[-1].
  for (auto n = c.axis("n").begin; n < c.axis("n").end; ++n) {
    for (std::int64_t j = 0; j < hidden.end; ++j) {
      dh0(n, j) = c.gradient("h")(n, j);
      dc0(n, j) = c.gradient("c")(n, j);
    }
    for (std::int64_t t = time.end; t-- > 0;) {
      for (std::int64_t j = 0; j < hidden.end; ++j) {
        const double i = gates(n, t, kI, j), f = gates(n, t, kF, j), g = gates(n, t, kG, j),
                     o = gates(n, t, kO, j), tangent = std::tanh(c.value("cells")(n, t, j));
        const double dh = c.gradient("y")(n, t, j) + dh0(n, j);
        const double dc = dc0(n, j) + dh * o * (1 - tangent * tangent);
        dpre(n, t, kI, j) = dc * g * i * (1 - i);
        dpre(n, t, kF, j) = dc * c_before(c, n, t, j) * f * (1 - f);
        dpre(n, t, kG, j) = dc * i * (1 - g * g);
        dpre(n, t, kO, j) = dh * tangent * o * (1 - o);
        dc0(n, j) = dc * f;
      }
      for (std::int64_t k = 0; k < hidden.end; ++k) {
        dh0(n, k) = 0;
        for (std::int64_t gate = 0; gate < kGates; ++gate)
          for (std::int64_t j = 0; j < hidden.end; ++j)
            dh0(n, k) += c.value("w_hh")(gate, j, k) * dpre(n, t, gate, j);
      }
    }
  }
}

}  // namespace

void lstm_step(const StepCall& c) {
  const core::Interval hidden = c.axis("h"), in = c.axis("i"), gates{0, kGates};
  const core::Box points{c.axis("n"), c.axis("s"), gates, hidden};
  if (c.name() == "forward" || c.name() == "recurrence") return forward(c);
  if (c.name() == "backward_recurrence") return backward_recurrence(c);
  for_each_index(points, [&](Index p) {
    const auto n = p[0], t = p[1], gate = p[2], j = p[3];
    if (c.name() == "product") {
      c.value("pre").at(p) = product(c, n, t, gate, j);
    } else if (c.name() == "backward_input") {
      for (auto i = in.begin; i < in.end; ++i)
        c.gradient("x")(n, t, i) += c.gradient("pre").at(p) * c.value("w_ih")(gate, j, i);
    } else if (c.name() == "backward_weight") {
      const double dpre = c.gradient("pre").at(p);
      for (auto i = in.begin; i < in.end; ++i)
        c.gradient("w_ih")(gate, j, i) += dpre * c.value("x")(n, t, i);
      for (std::int64_t k = 0; k < hidden.end; ++k)
        c.gradient("w_hh")(gate, j, k) += dpre * h_before(c, n, t, k);
      c.gradient("bias")(gate, j) += dpre;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> lstm_examples() {
  using namespace core;
  return {{"lstm", Lstm{.hidden = 3}, {dense({2, 3, 4}), dense({2, 3}), dense({2, 3})}}};
}

}  // namespace soapstone::oracle
