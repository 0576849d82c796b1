#include "core/ops/unary.hpp"

#include <cmath>
#include <numbers>

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

using core::UnaryFunction;

struct Point {
  double value, slope;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// f(x) and f'(x).
Point point_of(const core::Unary& unary, double x) {
  switch (unary.function) {
    case UnaryFunction::kSigmoid:
      return {sigmoid(x), sigmoid(x) * sigmoid(-x)};
    case UnaryFunction::kTanh:
      return {std::tanh(x), 1 / (std::cosh(x) * std::cosh(x))};
    case UnaryFunction::kSilu:
      return {x * sigmoid(x), sigmoid(x) + x * sigmoid(x) * sigmoid(-x)};
    case UnaryFunction::kExp:
      return {std::exp(x), std::exp(x)};
    case UnaryFunction::kLog:
      return {std::log(x), 1 / x};
    case UnaryFunction::kSqrt:
      return {std::sqrt(x), 1 / (2 * std::sqrt(x))};
    case UnaryFunction::kErf:
      return {std::erf(x), 2 / std::sqrt(std::numbers::pi) * std::exp(-x * x)};
    case UnaryFunction::kLeakyRelu: {
      const double alpha = unary.alpha.value_or(0.01);
      return {x > 0 ? x : alpha * x, x > 0 ? 1 : alpha};
    }
    case UnaryFunction::kElu: {
      const double alpha = unary.alpha.value_or(1);
      return {x > 0 ? x : alpha * std::expm1(x), x > 0 ? 1 : alpha * std::exp(x)};
    }
    case UnaryFunction::kHardSigmoid:
      return {std::min(std::max(x + 3, 0.0), 6.0) / 6, x > -3 && x < 3 ? 1.0 / 6 : 0};
    case UnaryFunction::kHardSwish:
      return {x * std::min(std::max(x + 3, 0.0), 6.0) / 6, x <= -3  ? 0
                                                           : x >= 3 ? 1
                                                                    : (2 * x + 3) / 6};
    case UnaryFunction::kPower:
      return {std::pow(x, *unary.exponent), *unary.exponent * std::pow(x, *unary.exponent - 1)};
    case UnaryFunction::kAbs:
      return {std::abs(x), static_cast<double>((x > 0) - (x < 0))};
    case UnaryFunction::kNegate:
      return {-x, -1};
    case UnaryFunction::kReciprocal:
      return {1 / x, -1 / (x * x)};
    case UnaryFunction::kSquare:
      return {x * x, 2 * x};
    case UnaryFunction::kGeluTanh: {
      const double rate = std::sqrt(2 / std::numbers::pi), u = rate * (x + 0.044715 * x * x * x);
      const double slope_of_u = rate * (1 + 3 * 0.044715 * x * x);
      const double weight = std::exp(u) / (2 * std::cosh(u));  // (1 + tanh u) / 2, not cancelling
      return {x * weight, weight + x * slope_of_u / (2 * std::cosh(u) * std::cosh(u))};
    }
    case UnaryFunction::kSoftplus:
      return {std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))), sigmoid(x)};
    case UnaryFunction::kScale:
      return {*unary.alpha * x, *unary.alpha};
  }
  return {std::nan(""), std::nan("")};
}

// f'(x) by y = f(x), for the functions of which backward has y alone.
double slope_by_value(const core::Unary& unary, double y) {
  switch (unary.function) {
    case UnaryFunction::kSigmoid:
      return y * (1 - y);
    case UnaryFunction::kTanh:
      return (1 - y) * (1 + y);
    case UnaryFunction::kExp:
      return y;
    case UnaryFunction::kSqrt:
      return 1 / (2 * y);
    case UnaryFunction::kLeakyRelu:
      return y > 0 ? 1 : unary.alpha.value_or(0.01);
    case UnaryFunction::kElu:
      return y > 0 ? 1 : y + unary.alpha.value_or(1);
    case UnaryFunction::kHardSigmoid:
      return y > 0 && y < 1 ? 1.0 / 6 : 0;
    case UnaryFunction::kReciprocal:
      return -y * y;
    default:
      return std::nan("");
  }
}

}  // namespace

void unary_step(const StepCall& c) {
  const auto& unary = c.attributes<core::Unary>();
  for_each_index(c.axes(), [&](Index p) {
    if (c.name() == "forward") {
      c.value("y").at(p) = point_of(unary, c.value("x").at(p)).value;
    } else if (c.name() == "backward_input") {
      const auto from = unary.derivative_from();
      const double slope =
          from == core::DerivativeFrom::kInput    ? point_of(unary, c.value("x").at(p)).slope
          : from == core::DerivativeFrom::kOutput ? slope_by_value(unary, c.value("y").at(p))
                                                  : point_of(unary, 0).slope;
      c.gradient("x").at(p) = c.gradient("y").at(p) * slope;
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> unary_examples() {
  using namespace core;
  return {{"unary", Unary{.function = UnaryFunction::kTanh}, {dense({2, 3})}}};
}

}  // namespace soapstone::oracle
