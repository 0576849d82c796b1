// Every operator × kernel candidate × dtype × shape × split.
#include <algorithm>
#include <cstdio>
#include <set>

#include <gtest/gtest.h>

#include "kernels/device.hpp"
#include "kernels/kernel.hpp"
#include "tests/support/conformance/check_candidates.hpp"
#include "tests/support/conformance/op_cases.hpp"

namespace soapstone::conformance {
namespace {

// Starts Kokkos, and says at the end what ran.
class KernelsRun : public testing::Environment {
 public:
  void SetUp() override { scope_.emplace(2); }
  void TearDown() override {
    if (!tallies_.empty()) print_summary();
    scope_.reset();
  }
  void add(const Report& report) {
    for (const auto& [name, tally] : report.tallies) tallies_[name].add(tally);
  }

 private:
  void print_summary() const {
    std::printf("%-42s %10s %10s %10s %10s\n", "candidate, dtype", "cases", "steps", "refused",
                "margin");
    Tally all;
    for (const auto& [name, t] : tallies_) {
      std::printf("%-42s %10d %10d %10d %10.2g\n", name.c_str(), t.splits, t.steps, t.refusals,
                  t.margin);
      all.add(t);
    }
    std::printf(
        "%d cases of operator × candidate × dtype × shape × split ran: %d steps of parts compared, "
        "%d problems refused; the largest error is %.2g of its tolerance\n",
        all.splits, all.steps, all.refusals, all.margin);
  }

  std::optional<kernels::KokkosScope> scope_;
  Tallies tallies_;
};
auto* const run = static_cast<KernelsRun*>(testing::AddGlobalTestEnvironment(new KernelsRun));

struct KernelCase {
  std::string_view op;
  OpCase shape;
};
void PrintTo(const KernelCase& c, std::ostream* out) { PrintTo(c.shape, out); }
std::string name_of_case(const testing::TestParamInfo<KernelCase>& c) { return c.param.shape.name; }
std::vector<KernelCase> cases_of(std::string_view op, std::vector<OpCase> shapes) {
  std::vector<KernelCase> cases;
  for (auto& shape : shapes) cases.push_back({op, std::move(shape)});
  return cases;
}

class Kernels : public testing::TestWithParam<KernelCase> {};

#define SOAPSTONE_OP(Type, op)                                                          \
  INSTANTIATE_TEST_SUITE_P(op, Kernels, testing::ValuesIn(cases_of(#op, op##_cases())), \
                           name_of_case);
#include "core/ops/all.def"
#undef SOAPSTONE_OP

void expect_no_failures(const Report& report) {
  run->add(report);
  EXPECT_TRUE(report.failures.empty()) << report.text();
  for (const auto& [name, tally] : report.tallies)
    EXPECT_GT(tally.steps + tally.refusals, 0) << name << " ran nothing";
}

TEST_P(Kernels, AgreeWithTheReferenceOnEveryPart) {
  expect_no_failures(check_parts(GetParam().shape, kernels::candidates(GetParam().op)));
}

TEST_P(Kernels, GiveTheUnshardedResultOnEverySplit) {
  expect_no_failures(check_splits(GetParam().shape, kernels::candidates(GetParam().op)));
}

// Beside activations of bf16 the weights are f32. Most of it is the f32 candidates' work; two
// splits show the rest.
TEST_P(Kernels, AgreeWithTheReferenceInBf16) {
  constexpr core::DType kBf16[] = {core::DType::kBF16};
  const auto list = kernels::candidates(GetParam().op, core::DType::kBF16);
  expect_no_failures(check_parts(GetParam().shape, list, 2, kBf16));
  // Of many long sums one is so near to zero that rounding changes its sign, and relu's gradient.
  if (!GetParam().shape.large) expect_no_failures(check_splits(GetParam().shape, list, 2, kBf16));
}

// Of the operators that have steps for evaluations alone. Not of those with states: what is drawn
// for a running variance may be negative; tests/ops/batch_norm_test.cpp gives its own.
TEST_P(Kernels, AgreeWithTheReferenceInEvaluation) {
  const OpProblem problem = make_problem(GetParam().shape, core::DType::kF32);
  const core::OpDefinition& d = problem.definition;
  const bool evaluates = std::any_of(d.steps.begin(), d.steps.end(), [](const core::Step& step) {
    return step.use == core::StepUse::kEvaluation;
  });
  const bool has_state =
      std::any_of(d.operands.begin(), d.operands.end(), [](const core::Operand& operand) {
        return operand.role == core::OperandRole::kWeight && !operand.differentiable;
      });
  if (!evaluates || has_state) return;
  const auto list = kernels::candidates(GetParam().op);
  constexpr auto kUse = core::StepUse::kEvaluation;
  expect_no_failures(check_parts(GetParam().shape, list, 3, kUsualDTypes, kUse));
  expect_no_failures(check_splits(GetParam().shape, list, 6, kUsualDTypes, kUse));
  constexpr core::DType kBf16[] = {core::DType::kBF16};
  expect_no_failures(check_splits(
      GetParam().shape, kernels::candidates(GetParam().op, core::DType::kBF16), 2, kBf16, kUse));
}

TEST(KernelCandidates, EveryOperatorEndsWithItsPortableKernel) {
  for (const std::string_view op : core::op_names()) {
    const auto list = kernels::candidates(op);
    ASSERT_FALSE(list.empty()) << op;
    EXPECT_EQ(list.back().name, std::string(op) + "/kokkos");
    std::set<std::string_view> names;
    for (const auto& candidate : list) {
      EXPECT_TRUE(candidate.name.starts_with(std::string(op) + "/")) << candidate.name;
      EXPECT_TRUE(names.insert(candidate.name).second) << candidate.name << " is listed twice";
    }
  }
}

}  // namespace
}  // namespace soapstone::conformance
