#include "core/ops/attention.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Attention;

namespace {

std::vector<core::TensorDesc> separate(std::int64_t n, std::int64_t queries, std::int64_t keys,
                                       std::int64_t heads, std::int64_t d) {
  return {floats({n, queries, heads, d}), floats({n, keys, heads, d}), floats({n, keys, heads, d})};
}

}  // namespace

std::vector<OpCase> attention_cases() {
  return {
      {.name = "single_numbers", .op = Attention{}, .inputs = separate(1, 1, 1, 1, 1)},
      {.name = "queries_over_other_keys", .op = Attention{}, .inputs = separate(2, 3, 5, 2, 4)},
      {.name = "causal", .op = Attention{.causal = true}, .inputs = separate(2, 5, 5, 2, 3)},
      {.name = "causal_with_more_keys",
       .op = Attention{.causal = true},
       .inputs = separate(2, 4, 7, 3, 5)},
      {.name = "packed", .op = Attention{}, .inputs = {floats({3, 4, 3, 2, 4})}},
      {.name = "packed_causal",
       .op = Attention{.causal = true},
       .inputs = {floats({2, 6, 3, 4, 3})}},
      {.name = "long_causal",
       .op = Attention{.causal = true},
       .inputs = {floats({1, 35, 3, 2, 4})}},
      {.name = "large_scores", .op = Attention{}, .inputs = separate(1, 3, 4, 2, 2), .offset = 9},
      {.name = "many_features", .op = Attention{}, .inputs = separate(1, 3, 4, 2, 37)},
      {.name = "several_blocks",
       .op = Attention{},
       .inputs = separate(1, 70, 135, 2, 3),
       .large = true},
      {.name = "several_blocks_causal",
       .op = Attention{.causal = true},
       .inputs = separate(1, 70, 135, 1, 5),
       .large = true},
      {.name = "empty_batch", .op = Attention{}, .inputs = separate(0, 3, 3, 2, 2)},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(Attention, EqualScoresGiveTheMeanOfTheValues) {
  const auto r = evaluate(Attention{}, separate(1, 1, 2, 1, 1),
                          {{"q", {0}}, {"k", {3, 4}}, {"v", {10, 20}}, {"grad y", {1}}});
  EXPECT_THAT(r.at("y"), ElementsAre(15));
  EXPECT_THAT(r.at("lse"), ElementsAre(DoubleNear(std::log(2), 1e-15)));
  EXPECT_THAT(r.at("grad v"), ElementsAre(0.5, 0.5));
  EXPECT_THAT(r.at("grad q"), ElementsAre(0.5 * (10 - 15) * 3 + 0.5 * (20 - 15) * 4));
}

TEST(Attention, ScoresAreScaledByTheRootOfTheFeatures) {
  // Scores (2 · ln 3 · 2) / √4 = 2 ln 3 and 0: weights 9 / 10 and 1 / 10.
  const double l = std::log(3.0);
  const auto r = evaluate(Attention{}, separate(1, 1, 2, 1, 4),
                          {{"q", {2 * l, 0, 0, 0}},
                           {"k", {2, 0, 0, 0, 0, 0, 0, 0}},
                           {"v", {10, 0, 0, 0, 20, 0, 0, 0}},
                           {"grad y", {0, 0, 0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(11, 1e-14), 0, 0, 0));
}

TEST(Attention, ACausalQuerySeesTheKeysUpToItself) {
  const auto r =
      evaluate(Attention{.causal = true}, separate(1, 2, 3, 1, 1),
               {{"q", {0, 0}}, {"k", {0, 0, 0}}, {"v", {10, 20, 60}}, {"grad y", {0, 0}}});
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(15, 1e-14), DoubleNear(30, 1e-14)));
}

}  // namespace
}  // namespace soapstone::conformance
