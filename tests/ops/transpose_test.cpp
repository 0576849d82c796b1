#include "core/ops/transpose.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/conformance/refusal.hpp"

namespace soapstone::conformance {

using core::Transpose;

std::vector<OpCase> transpose_cases() {
  return {
      {.name = "vector", .op = Transpose{.permutation = {0}}, .inputs = {floats({5})}},
      {.name = "matrix", .op = Transpose{.permutation = {1, 0}}, .inputs = {floats({5, 7})}},
      {.name = "nothing_moves",
       .op = Transpose{.permutation = {0, 1, 2}},
       .inputs = {floats({2, 3, 4})}},
      {.name = "tokens_and_features",
       .op = Transpose{.permutation = {0, 2, 1}},
       .inputs = {floats({2, 3, 17})}},
      {.name = "around", .op = Transpose{.permutation = {2, 0, 1}}, .inputs = {floats({3, 4, 5})}},
      {.name = "heads_before_tokens",
       .op = Transpose{.permutation = {0, 2, 1, 3}},
       .inputs = {floats({2, 3, 4, 5})}},
      {.name = "channels_last_image_to_its_memory_order",
       .op = Transpose{.permutation = {0, 2, 3, 1}},
       .inputs = {image({2, 3, 4, 5})}},
      {.name = "height_and_width_of_an_image",
       .op = Transpose{.permutation = {0, 1, 3, 2}},
       .inputs = {image({2, 3, 4, 5})}},
      {.name = "six_dimensions",
       .op = Transpose{.permutation = {5, 3, 1, 0, 2, 4}},
       .inputs = {floats({2, 1, 3, 2, 1, 2})}},
      {.name = "blocks_and_edges",
       .op = Transpose{.permutation = {1, 0}},
       .inputs = {floats({131, 203})},
       .large = true},
      {.name = "many_matrices",
       .op = Transpose{.permutation = {0, 2, 3, 1}},
       .inputs = {floats({3, 37, 9, 11})},
       .large = true},
      {.name = "empty_batch", .op = Transpose{.permutation = {1, 0}}, .inputs = {floats({0, 4})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Transpose, RowsBecomeColumns) {
  const auto r = evaluate(Transpose{.permutation = {1, 0}}, {floats({2, 3})},
                          {{"x", {1, 2, 3, 4, 5, 6}}, {"grad y", {10, 20, 30, 40, 50, 60}}});
  EXPECT_THAT(r.at("y"), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(r.at("grad x"), ElementsAre(10, 30, 50, 20, 40, 60));
}

TEST(Transpose, RefusesWhatIsNoPermutation) {
  const auto matrix = floats({3, 4});
  EXPECT_EQ(refusal(Transpose{.permutation = {1, 0}}, {matrix, matrix}), "takes one input, got 2");
  for (const Transpose& wrong :
       {Transpose{}, Transpose{.permutation = {0}}, Transpose{.permutation = {1, 1}},
        Transpose{.permutation = {1, 2}}, Transpose{.permutation = {0, 1, 2}}})
    EXPECT_EQ(refusal(wrong, {matrix}), "permutation = " + core::print(wrong.permutation) +
                                            ": input [3, 4] wants each of its 2 dimensions (from "
                                            "0) once");
}

}  // namespace
}  // namespace soapstone::conformance
