#include "core/ops/relu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

std::vector<OpCase> relu_cases() {
  return {
      {.name = "single_number", .op = core::Relu{}, .inputs = {floats({3})}},
      {.name = "matrix", .op = core::Relu{}, .inputs = {floats({5, 7})}},
      {.name = "sequence", .op = core::Relu{}, .inputs = {floats({2, 3, 11})}},
      {.name = "channels_last_image", .op = core::Relu{}, .inputs = {image({2, 3, 5, 4})}},
      {.name = "row_major_image", .op = core::Relu{}, .inputs = {floats({3, 2, 4, 5})}},
      {.name = "six_dimensions", .op = core::Relu{}, .inputs = {floats({2, 1, 3, 2, 1, 2})}},
      {.name = "long_vector", .op = core::Relu{}, .inputs = {floats({1, 1031})}},
      {.name = "several_blocks", .op = core::Relu{}, .inputs = {floats({3, 7001})}, .large = true},
      {.name = "empty", .op = core::Relu{}, .inputs = {floats({0, 5})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Relu, ZeroPassesNeitherValueNorGradient) {
  const auto r = evaluate(core::Relu{}, {floats({3})}, {{"x", {-1, 0, 2}}, {"grad y", {5, 6, 7}}});
  EXPECT_THAT(r.at("y"), ElementsAre(0, 0, 2));
  EXPECT_THAT(r.at("grad x"), ElementsAre(0, 0, 7));
}

}  // namespace
}  // namespace soapstone::conformance
