// The references prove themselves: backward against differences of forward, and every split against
// the unsharded operator. Needs core only.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/conformance/op_cases.hpp"
#include "tests/support/conformance/sharded_run.hpp"
#include "tests/support/conformance/tolerance.hpp"

namespace soapstone::conformance {
namespace {

class ReferenceBackward : public testing::TestWithParam<OpCase> {};
class ReferenceSplits : public testing::TestWithParam<OpCase> {};

std::string name_of_case(const testing::TestParamInfo<OpCase>& c) { return c.param.name; }

// A maximum that is met twice has no derivative; differences of large cases take too long.
std::vector<OpCase> with_differences(std::vector<OpCase> cases) {
  std::erase_if(cases, [](const OpCase& c) { return c.values == Values::kTied || c.large; });
  return cases;
}

#define SOAPSTONE_OP(Type, op)                                                               \
  INSTANTIATE_TEST_SUITE_P(op, ReferenceBackward,                                            \
                           testing::ValuesIn(with_differences(op##_cases())), name_of_case); \
  INSTANTIATE_TEST_SUITE_P(op, ReferenceSplits, testing::ValuesIn(op##_cases()), name_of_case);
#include "core/ops/all.def"
#undef SOAPSTONE_OP

// The scalar whose gradient the backward steps give: Σ y · given gradient of y over the outputs, or
// the output itself where backward reads no gradient (a loss).
double scalar_of(const OpProblem& problem, const Tensors& results) {
  double sum = 0;
  for (const int k : problem.definition.operands_of(core::OperandRole::kOutput)) {
    if (!problem.definition.operands[k].differentiable) continue;
    const auto operand = static_cast<std::uint16_t>(k);
    const auto& y = results.at({operand, false});
    const auto weight = problem.given.find({operand, true});
    for (std::size_t i = 0; i < y.size(); ++i)
      sum += weight == problem.given.end() ? y[i] : y[i] * weight->second[i];
  }
  return sum;
}

TEST_P(ReferenceBackward, IsTheDerivativeOfForward) {
  OpCase c = GetParam();
  // Differences of large numbers would drown in rounding.
  c.offset = std::clamp(c.offset, -1.0, 1.0);
  OpProblem problem = make_problem(c, core::DType::kF64);
  const auto whole = unsharded(problem.definition);
  const Tensors results = run_op(problem, whole, run_reference);
  const auto forward = [&] {
    return scalar_of(problem, run_op(problem, whole, run_reference, {.forward_only = true}));
  };

  constexpr double kStep = 1e-5;
  // Of the largest gradient: rounding gives eps / kStep = 2e-11 of the scalar.
  constexpr double kTolerance = 1e-8;
  constexpr std::size_t kMostElements = 60;  // of one tensor
  for (std::size_t k = 0; k < problem.definition.operands.size(); ++k) {
    const core::Operand& operand = problem.definition.operands[k];
    const core::Ref value{static_cast<std::uint16_t>(k), false},
        gradient{static_cast<std::uint16_t>(k), true};
    if (operand.role > core::OperandRole::kWeight || !operand.differentiable) continue;
    ASSERT_TRUE(results.contains(gradient)) << "no step writes the gradient of " << operand.name;
    const auto& backward = results.at(gradient);
    double largest = 1;
    for (const double g : backward) largest = std::max(largest, std::abs(g));
    auto& x = problem.given.at(value);
    ASSERT_EQ(backward.size(), x.size());
    const std::size_t stride = x.size() / kMostElements + 1;
    for (std::size_t i = 0; i < x.size(); i += stride) {
      const double here = x[i];
      const auto at = [&](double offset) {
        x[i] = here + offset;
        const double y = forward();
        x[i] = here;
        return y;
      };
      // Five-point stencil.
      const double difference =
          (8 * (at(kStep) - at(-kStep)) - (at(2 * kStep) - at(-2 * kStep))) / (12 * kStep);
      EXPECT_NEAR(backward[i], difference, kTolerance * largest)
          << "gradient of " << operand.name << ", element " << i;
    }
  }
}

TEST_P(ReferenceSplits, GiveTheUnshardedResult) {
  const OpProblem problem = make_problem(GetParam(), core::DType::kF64);
  const Tensors want = run_op(problem, unsharded(problem.definition), run_reference);
  const auto growth = growth_of(problem, want);
  const auto splits = splits_of(problem.definition, 4, most_splits_of(GetParam(), 200));
  for (const core::OpStrategy& split : splits) {
    SCOPED_TRACE(describe(problem.definition, split));
    Tensors got;
    ASSERT_NO_THROW(got = run_op(problem, split, run_reference));
    for (const auto& [ref, values] : want) {
      ASSERT_TRUE(got.contains(ref)) << problem.name_of(ref) << " is not written";
      const double tolerance =
          kChainCoefficient * epsilon_of(problem.operand(ref).desc.dtype) * growth.at(ref);
      const Comparison c = compare(got.at(ref), values, tolerance);
      EXPECT_TRUE(c.passed) << problem.name_of(ref) << ", element " << c.element << ": "
                            << got.at(ref)[c.element] << ", unsharded " << values[c.element]
                            << ", tolerance " << tolerance;
    }
  }
  RecordProperty("splits", static_cast<int>(splits.size()));
}

}  // namespace
}  // namespace soapstone::conformance
