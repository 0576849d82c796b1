// The suite tested: it accepts the reference as a candidate, and refuses every false one.
#include <gtest/gtest.h>

#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"
#include "tests/support/conformance/check_candidates.hpp"
#include "tests/support/conformance/false_candidates.hpp"
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

// A copy of the input is right for some cases of operators that only move data: one case of each
// operator must tell. The other flaws must show in every case that writes anything.
TEST_P(AFalseCandidate, IsCaughtInEveryOperator) {
  const Flaw flaw = GetParam();
  const kernels::Candidate candidates[] = {reference_candidate(flaw)};
  for (const auto& [op, cases] : all_cases()) {
    int caught = 0, wanted = 0;
    for (const OpCase& c : cases) {
      if (!writes_anything(c)) continue;
      ++wanted;
      const bool parts = !check_parts(c, candidates).failures.empty();
      // Copies of the input have the gradient's shape by chance, no more.
      if (flaw != Flaw::kCopiesInput) EXPECT_TRUE(parts) << op << " " << c.name;
      caught += parts;
    }
    EXPECT_GE(caught, std::min(wanted, 1)) << op;
  }
}

TEST(ShardedRun, AForgottenReductionIsCaught) {
  OpProblem problem = make_problem({.name = "x", .op = core::Linear{.out_features = {4}}, .inputs = {floats({3, 4})}}, core::DType::kF64);
  const core::OpStrategy split{{1, 1, 2}, 1, {core::DeviceId(0), core::DeviceId(1)}};
  EXPECT_NO_THROW(run_op(problem, split, run_reference));
  problem.definition.steps[0].reduces = {};
  EXPECT_THROW(run_op(problem, split, run_reference), core::InvariantError);  // replicas differ
}

TEST(ShardedRun, AWindowThatIsTooSmallIsCaught) {
  OpProblem problem = make_problem({.name = "x", .op = core::Conv2D{.out_channels = 1, .kernel = {3, 1}}, .inputs = {image({1, 1, 6, 1})}}, core::DType::kF64);
  const core::OpStrategy split{{1, 1, 2, 1, 1}, 1, {core::DeviceId(0), core::DeviceId(1)}};
  EXPECT_NO_THROW(run_op(problem, split, run_reference));
  problem.definition.operands[0].dims[2].extent = 2;
  EXPECT_THROW(run_op(problem, split, run_reference), core::InvariantError);  // read outside its box
}

TEST(ShardedRun, ADimensionThatFollowsTheWrongAxisIsCaught) {
  OpProblem problem = make_problem({.name = "x", .op = core::Linear{.out_features = {4}}, .inputs = {floats({4, 4})}}, core::DType::kF64);
  const core::OpStrategy split{{1, 2, 1}, 1, {core::DeviceId(0), core::DeviceId(1)}};
  problem.definition.operands[1].dims[0].axis = 0;
  EXPECT_THROW(run_op(problem, split, run_reference), core::InvariantError);
}

}  // namespace
}  // namespace soapstone::conformance
