#include "core/ops/binary.hpp"

#include "tests/support/oracle/small_ops.hpp"
#include "tests/support/reference/step_call.hpp"

namespace soapstone::reference {

namespace {

using core::BinaryFunction;

double value_of(BinaryFunction f, double a, double b) {
  switch (f) {
    case BinaryFunction::kSubtract:
      return a - b;
    case BinaryFunction::kMultiply:
      return a * b;
    case BinaryFunction::kDivide:
      return a / b;
    case BinaryFunction::kMaximum:
      return std::max(a, b);
    case BinaryFunction::kMinimum:
      return std::min(a, b);
  }
  return 0;
}

// Of a value that wins where it is the larger one.
double share(double own, double other) { return own == other ? 0.5 : own > other ? 1 : 0; }

double slope_for_a(BinaryFunction f, double a, double b) {
  switch (f) {
    case BinaryFunction::kSubtract:
      return 1;
    case BinaryFunction::kMultiply:
      return b;
    case BinaryFunction::kDivide:
      return 1 / b;
    case BinaryFunction::kMaximum:
      return share(a, b);
    case BinaryFunction::kMinimum:
      return share(b, a);
  }
  return 0;
}

double slope_for_b(BinaryFunction f, double a, double b) {
  switch (f) {
    case BinaryFunction::kSubtract:
      return -1;
    case BinaryFunction::kMultiply:
      return a;
    case BinaryFunction::kDivide:
      return -a / (b * b);
    case BinaryFunction::kMaximum:
      return share(b, a);
    case BinaryFunction::kMinimum:
      return share(a, b);
  }
  return 0;
}

}  // namespace

void binary_step(const StepCall& c) {
  const BinaryFunction f = c.attributes<core::Binary>().function;
  // The element of `operand` that is repeated at index p of y.
  const auto source = [&](std::string_view operand, Index p) {
    const core::Shape& shape = c.shape(operand);
    std::vector<std::int64_t> index(p.end() - static_cast<std::ptrdiff_t>(shape.size()), p.end());
    for (std::size_t d = 0; d < shape.size(); ++d)
      if (shape[d] == 1) index[d] = 0;
    return index;
  };
  for_each_index(c.axes(), [&](Index p) {
    const auto of_a = source("a", p), of_b = source("b", p);
    // The slopes of a difference do not depend on a and b, which backward does not have then.
    const bool reads = c.name() == "forward" || f != BinaryFunction::kSubtract;
    const double a = reads ? c.value("a").at(of_a) : 0, b = reads ? c.value("b").at(of_b) : 0;
    if (c.name() == "forward") {
      c.value("y").at(p) = value_of(f, a, b);
    } else if (c.name() == "backward_input") {
      c.gradient("a").at(of_a) += c.gradient("y").at(p) * slope_for_a(f, a, b);
      c.gradient("b").at(of_b) += c.gradient("y").at(p) * slope_for_b(f, a, b);
    } else {
      c.unknown_step();
    }
  });
}

}  // namespace soapstone::reference

namespace soapstone::oracle {

std::vector<SmallOp> binary_examples() {
  using namespace core;
  return {{"binary", Binary{.function = BinaryFunction::kMultiply}, {dense({2, 3}), dense({3})}}};
}

}  // namespace soapstone::oracle
