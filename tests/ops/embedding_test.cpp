#include "core/ops/embedding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::DType;
using core::Embedding;

namespace {

OpCase embedding(std::string name, std::int64_t vocab, std::int64_t features, core::Shape ids,
                 bool large = false) {
  return {.name = std::move(name),
          .op = Embedding{.vocab = vocab, .features = features},
          .inputs = {integers(ids)},
          .op_in_f64 = Embedding{.vocab = vocab, .features = features, .dtype = DType::kF64},
          .op_in_bf16 = Embedding{.vocab = vocab, .features = features, .dtype = DType::kBF16},
          .large = large,
          .classes = vocab};
}

}  // namespace

std::vector<OpCase> embedding_cases() {
  return {
      embedding("single_numbers", 1, 1, {1}),
      embedding("words", 11, 5, {7}),
      embedding("sequences", 13, 6, {3, 5}),
      embedding("rows_met_often", 3, 4, {9, 4}),
      embedding("rows_hardly_met", 101, 3, {4, 2}),
      embedding("many_features", 7, 67, {3, 3}),
      embedding("three_dimensions_of_ids", 5, 3, {2, 3, 2}),
      embedding("more_features_than_a_block", 5, 300, {4, 9}, true),
      embedding("one_row_met_very_often", 2, 3, {1500}, true),
      embedding("empty_batch", 5, 3, {0, 4}),
  };
}

namespace {

using testing::ElementsAre;

TEST(Embedding, LooksRowsUpAndAddsTheirGradients) {
  const auto r =
      evaluate(Embedding{.vocab = 3, .features = 2, .dtype = DType::kF64}, {integers({3})},
               {{"ids", {2, 0, 2}},
                {"table", {1, 2, 3, 4, 5, 6}},
                {"grad y", {1, 10, 100, 1000, 10000, 100000}}});
  EXPECT_THAT(r.at("y"), ElementsAre(5, 6, 1, 2, 5, 6));
  EXPECT_THAT(r.at("grad table"), ElementsAre(100, 1000, 0, 0, 10001, 100010));
}

}  // namespace
}  // namespace soapstone::conformance
