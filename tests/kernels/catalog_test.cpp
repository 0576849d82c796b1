#include "kernels/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ops/conv2d.hpp"
#include "core/ops/linear.hpp"

namespace soapstone::kernels {
namespace {

struct Problem {
  core::OpDefinition definition;
  core::LocalProblem local;

  Problem(const core::Op& op, const core::TensorDesc& input)
      : definition(op.define(std::span(&input, 1)).value()) {
    local = {op, &definition, core::axis_intervals(definition, {}, 0)};
  }
};

TEST(Candidates, AreNamedAfterTheirOperatorAndEndWithThePortableOne) {
  for (const auto op : core::op_names()) {
    ASSERT_FALSE(candidates(op).empty()) << op;
    for (const Candidate& candidate : candidates(op)) {
      EXPECT_EQ(candidate.name.substr(0, op.size() + 1), std::string(op) + "/");
      EXPECT_EQ(find_candidate(candidate.name), &candidate);
    }
    EXPECT_EQ(candidates(op).back().name, std::string(op) + "/kokkos");
  }
  EXPECT_EQ(find_candidate("linear/abacus"), nullptr);
  EXPECT_TRUE(candidates("abacus").empty());
}

TEST(HostCatalog, GivesThePortableKernelWhatOthersRefuseAndTheirReasons) {
  Problem problem(core::Linear{.out_features = {3}}, {{4, 5}, core::DType::kF64, {}});
  const auto choice = HostCatalog().choose(problem.local, {});
  EXPECT_EQ(choice.candidate, "linear/kokkos");
  EXPECT_EQ(choice.refused.size(), candidates("linear").size() - 1);
  for (const auto& refusal : choice.refused) EXPECT_THAT(refusal.reason, testing::HasSubstr("f64"));
}

TEST(HostCatalog, KnowsTheWorkspaceOfTheKernelItNames) {
  const HostCatalog catalog;
  core::DeviceKind device;
  device.threads = 2;
  for (const auto dtype : {core::DType::kF32, core::DType::kF64}) {
    Problem problem(core::Conv2D{.out_channels = 16, .kernel = {3, 3}, .padding = {1, 1, 1, 1}},
                    {{8, 24, 20, 20}, dtype, core::channels_last(4)});
    for (int time = 0; time < 2; ++time) {  // the second answer is remembered
      const auto choice = catalog.choose(problem.local, device);
      EXPECT_EQ(choice.workspace, prepare(choice.candidate, problem.local)->workspace())
          << choice.candidate;
    }
  }
}

TEST(HostCatalog, TellsApartWhatDiffersInTheOrderOfDimensionsOnly) {
  const HostCatalog catalog;
  Problem rows(core::Linear{.out_features = {3}, .contracted_dims = 3},
               {{4, 5, 2, 3}, core::DType::kF32, {}});
  Problem images(core::Linear{.out_features = {3}, .contracted_dims = 3},
                 {{4, 5, 2, 3}, core::DType::kF32, core::channels_last(4)});
  EXPECT_EQ(catalog.choose(rows.local, {}).candidate, candidates("linear").front().name);
  EXPECT_EQ(catalog.choose(images.local, {}).candidate, "linear/kokkos");
}

TEST(Prepare, ThrowsWhatTheCandidateSays) {
  Problem problem(core::Linear{.out_features = {3}}, {{4, 5}, core::DType::kF64, {}});
  EXPECT_THROW(prepare("linear/abacus", problem.local), core::InvariantError);
}

}  // namespace
}  // namespace soapstone::kernels
