// The suite tested: it accepts the reference as a candidate, and refuses every false one.
#include <gtest/gtest.h>

#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"
#include "tests/support/conformance/check_candidates.hpp"
#include "tests/support/conformance/false_candidates.hpp"
#include "tests/support/conformance/op_cases.hpp"
#include "tests/support/conformance/sharded_run.hpp"

namespace soapstone::conformance {
namespace {

struct NamedCases {
  std::string_view op;
  std::vector<OpCase> cases;
};
std::vector<NamedCases> all_cases() {
  return {
#define SOAPSTONE_OP(Type, op) {#op, op##_cases()},
#include "core/ops/all.def"
#undef SOAPSTONE_OP
  };
}

bool writes_anything(const OpCase& c) {
  for (const auto& input : c.inputs)
    if (core::elements(input.shape) == 0) return false;
  return true;
}

TEST(ConformanceSuite, AcceptsTheReference) {
  const kernels::Candidate right[] = {reference_candidate(Flaw::kNone)};
  for (const auto& [op, cases] : all_cases()) {
    const Report parts = check_parts(cases[1], right), splits = check_splits(cases[1], right);
    EXPECT_TRUE(parts.failures.empty()) << op << ": " << parts.text();
    EXPECT_TRUE(splits.failures.empty()) << op << ": " << splits.text();
    for (const auto& [name, tally] : parts.tallies) EXPECT_GT(tally.steps, 1) << op << " " << name;
  }
}

class AFalseCandidate : public testing::TestWithParam<Flaw> {};
INSTANTIATE_TEST_SUITE_P(Flaws, AFalseCandidate, testing::ValuesIn(kFlaws), [](const auto& flaw) {
  std::string name(name_of(flaw.param));
  for (char& c : name)
    if (c == ' ') c = '_';
  return name;
});

// Operators that only move data are right to copy their input in some cases: one case of each
// operator must tell. The other flaws must show in every case that writes anything.
TEST_P(AFalseCandidate, IsCaughtInEveryOperator) {
  const Flaw flaw = GetParam();
  const kernels::Candidate candidates[] = {reference_candidate(flaw)};
  constexpr std::size_t kFewSplits = 3;
  for (const auto& [op, cases] : all_cases()) {
    int caught = 0;
    for (const OpCase& c : cases) {
      if (c.large || !writes_anything(c)) continue;
      const bool is_caught = !check_parts(c, candidates, kFewSplits).failures.empty();
      caught += is_caught;
      EXPECT_TRUE(is_caught || flaw == Flaw::kCopiesInput) << op << " " << c.name;
    }
    EXPECT_GE(caught, 1) << op;
  }
}

TEST(ShardedRun, AForgottenReductionIsCaught) {
  OpProblem problem = make_problem(
      {.name = "x", .op = core::Linear{.out_features = {4}}, .inputs = {floats({3, 4})}},
      core::DType::kF64);
  const core::OpStrategy split{{1, 1, 2}, 1, {core::DeviceId(0), core::DeviceId(1)}};
  EXPECT_NO_THROW(run_op(problem, split, run_reference));
  problem.definition.steps[0].reduces = {};
  EXPECT_THROW(run_op(problem, split, run_reference), core::InvariantError);  // replicas differ
}

TEST(ShardedRun, AWindowThatIsTooSmallIsCaught) {
  OpProblem problem = make_problem({.name = "x",
                                    .op = core::Conv2D{.out_channels = 1, .kernel = {3, 1}},
                                    .inputs = {image({1, 1, 6, 1})}},
                                   core::DType::kF64);
  const core::OpStrategy split{{1, 1, 2, 1, 1}, 1, {core::DeviceId(0), core::DeviceId(1)}};
  EXPECT_NO_THROW(run_op(problem, split, run_reference));
  problem.definition.operands[0].dims[2].extent = 2;
  EXPECT_THROW(run_op(problem, split, run_reference),
               core::InvariantError);  // read outside its box
}

TEST(ShardedRun, ADimensionThatFollowsTheWrongAxisIsCaught) {
  OpProblem problem = make_problem(
      {.name = "x", .op = core::Linear{.out_features = {4}}, .inputs = {floats({4, 4})}},
      core::DType::kF64);
  const core::OpStrategy split{{1, 2, 1}, 1, {core::DeviceId(0), core::DeviceId(1)}};
  problem.definition.operands[1].dims[0].axis = 0;
  EXPECT_THROW(run_op(problem, split, run_reference), core::InvariantError);
}

}  // namespace
}  // namespace soapstone::conformance
