#include "core/ops/interaction.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Interaction;

namespace {

// `count` inputs [n, d].
OpCase interaction(std::string name, std::size_t count, std::int64_t n, std::int64_t d,
                   bool large = false) {
  return {.name = std::move(name),
          .op = Interaction{},
          .inputs = std::vector<core::TensorDesc>(count, floats({n, d})),
          .large = large};
}

}  // namespace

std::vector<OpCase> interaction_cases() {
  return {
      interaction("single_numbers", 2, 1, 1),
      interaction("three_vectors", 3, 5, 4),
      interaction("many_vectors", 9, 4, 3),
      interaction("many_features", 3, 3, 67),
      interaction("one_feature", 5, 7, 1),
      interaction("more_features_than_a_block", 4, 5, 300, true),
      interaction("many_samples", 5, 1500, 3, true),
      interaction("as_many_as_a_recommender_has", 27, 33, 16, true),
      interaction("empty_batch", 3, 0, 4),
  };
}

namespace {

using testing::ElementsAre;

std::string refusal(const core::Op& op, std::vector<core::TensorDesc> inputs) {
  const auto definition = op.define(inputs);
  return definition ? "accepted" : definition.error().message;
}

TEST(Interaction, TheDenseVectorIsFollowedByTheProductsOfPairsRowByRow) {
  const auto r =
      evaluate(Interaction{}, {floats({1, 1}), floats({1, 1}), floats({1, 1}), floats({1, 1})},
               {{"dense", {2}},
                {"sparse0", {3}},
                {"sparse1", {5}},
                {"sparse2", {7}},
                {"grad y", {1, 10, 100, 1000, 0, 0, 0}}});
  // (1,0), (2,0), (2,1), (3,0), (3,1), (3,2)
  EXPECT_THAT(r.at("y"), ElementsAre(2, 6, 10, 15, 14, 21, 35));
  EXPECT_THAT(r.at("grad dense"), ElementsAre(1 + 10 * 3 + 100 * 5));
  EXPECT_THAT(r.at("grad sparse0"), ElementsAre(10 * 2 + 1000 * 5));
  EXPECT_THAT(r.at("grad sparse1"), ElementsAre(100 * 2 + 1000 * 3));
  EXPECT_THAT(r.at("grad sparse2"), ElementsAre(0));
}

TEST(Interaction, AProductSumsOverTheFeatures) {
  const auto r = evaluate(Interaction{}, {floats({1, 2}), floats({1, 2})},
                          {{"dense", {1, 2}}, {"sparse0", {3, 4}}, {"grad y", {0, 0, 1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1, 2, 1 * 3 + 2 * 4));
  EXPECT_THAT(r.at("grad dense"), ElementsAre(3, 4));
  EXPECT_THAT(r.at("grad sparse0"), ElementsAre(1, 2));
}

TEST(Interaction, InputsThatDoNotFitAreRefusedWithTheirValues) {
  EXPECT_EQ(refusal(Interaction{}, {floats({2, 3})}),
            "takes a dense vector and at least one embedding, got 1 inputs");
  EXPECT_EQ(refusal(Interaction{}, {floats({2, 3, 4}), floats({2, 3, 4})}),
            "takes inputs [n, d], got [2, 3, 4]");
  EXPECT_EQ(refusal(Interaction{}, {floats({2, 3}), floats({2, 4})}),
            "input 1 is f32 [2, 4] but input 0 is f32 [2, 3]: they must be alike");
}

}  // namespace
}  // namespace soapstone::conformance
