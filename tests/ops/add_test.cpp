#include "core/ops/add.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

std::vector<OpCase> add_cases() {
  return {
      {.name = "equal_shapes", .op = core::Add{}, .inputs = {floats({5, 7}), floats({5, 7})}},
      {.name = "single_numbers", .op = core::Add{}, .inputs = {floats({1}), floats({1})}},
      {.name = "channels_last_images",
       .op = core::Add{},
       .inputs = {image({2, 3, 5, 4}), image({2, 3, 5, 4})}},
      {.name = "images_of_different_orders",
       .op = core::Add{},
       .inputs = {image({2, 3, 5, 4}), floats({2, 3, 5, 4})}},
      {.name = "positions_added_to_a_sequence",
       .op = core::Add{},
       .inputs = {floats({3, 4, 6}), floats({4, 6})}},
      {.name = "row_repeated_over_a_matrix",
       .op = core::Add{},
       .inputs = {floats({1, 6}), floats({5, 6})}},
      {.name = "each_repeated_in_one_dimension",
       .op = core::Add{},
       .inputs = {floats({5, 1}), floats({1, 6})}},
      {.name = "channel_bias_of_an_image",
       .op = core::Add{},
       .inputs = {image({2, 3, 4, 5}), floats({3, 1, 1})}},
      {.name = "number_added_to_a_matrix",
       .op = core::Add{},
       .inputs = {floats({3, 4}), floats({1})}},
      {.name = "bias_of_many_rows",
       .op = core::Add{},
       .inputs = {floats({2100, 5}), floats({5})},
       .large = true},
      {.name = "bias_of_many_columns",
       .op = core::Add{},
       .inputs = {floats({40, 300}), floats({300})},
       .large = true},
      {.name = "one_number_per_long_row",
       .op = core::Add{},
       .inputs = {floats({3, 6007}), floats({3, 1})},
       .large = true},
      {.name = "empty", .op = core::Add{}, .inputs = {floats({0, 3}), floats({1, 3})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Add, SumsTheGradientOverRepeatedDimensions) {
  const auto r = evaluate(core::Add{}, {floats({2, 2}), floats({2})},
                          {{"a", {1, 2, 3, 4}}, {"b", {10, 20}}, {"grad y", {1, 10, 100, 1000}}});
  EXPECT_THAT(r.at("y"), ElementsAre(11, 22, 13, 24));
  EXPECT_THAT(r.at("grad a"), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(r.at("grad b"), ElementsAre(101, 1010));
}

}  // namespace
}  // namespace soapstone::conformance
