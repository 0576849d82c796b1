#include "core/ops/gelu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

std::vector<OpCase> gelu_cases() {
  return {
      {.name = "few_numbers", .op = core::Gelu{}, .inputs = {floats({3})}},
      {.name = "matrix", .op = core::Gelu{}, .inputs = {floats({5, 7})}},
      {.name = "sequence", .op = core::Gelu{}, .inputs = {floats({2, 3, 11})}},
      {.name = "channels_last_image", .op = core::Gelu{}, .inputs = {image({2, 3, 5, 4})}},
      {.name = "far_below_zero", .op = core::Gelu{}, .inputs = {floats({4, 9})}, .offset = -6},
      {.name = "far_above_zero", .op = core::Gelu{}, .inputs = {floats({4, 9})}, .offset = 30},
      {.name = "long_vector", .op = core::Gelu{}, .inputs = {floats({1, 1031})}},
      {.name = "several_blocks", .op = core::Gelu{}, .inputs = {floats({2, 9001})}, .large = true},
      {.name = "empty", .op = core::Gelu{}, .inputs = {floats({0, 5})}},
  };
}

namespace {

using testing::DoubleNear;
using testing::ElementsAre;

// Φ(1) = 0.841344746068543 and φ(1) = 0.241970724519143 (Abramowitz & Stegun, table 26.1).
TEST(Gelu, WeighsByTheNormalDistribution) {
  const auto r = evaluate(core::Gelu{}, {floats({3})}, {{"x", {-1, 0, 1}}, {"grad y", {1, 1, 1}}});
  constexpr double kLast = 1e-15;
  EXPECT_THAT(r.at("y"), ElementsAre(DoubleNear(-0.158655253931457, kLast), 0,
                                     DoubleNear(0.841344746068543, kLast)));
  EXPECT_THAT(r.at("grad x"),
              ElementsAre(DoubleNear(0.158655253931457 - 0.241970724519143, kLast), 0.5,
                          DoubleNear(0.841344746068543 + 0.241970724519143, kLast)));
}

}  // namespace
}  // namespace soapstone::conformance
