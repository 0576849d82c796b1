#include "core/ops/softsign.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

std::vector<OpCase> softsign_cases() {
  return {
      {.name = "few_numbers", .op = core::Softsign{}, .inputs = {floats({3})}},
      {.name = "matrix", .op = core::Softsign{}, .inputs = {floats({5, 7})}},
      {.name = "channels_last_image", .op = core::Softsign{}, .inputs = {image({2, 3, 5, 4})}},
      {.name = "long_vector", .op = core::Softsign{}, .inputs = {floats({1, 1031})}},
      {.name = "empty", .op = core::Softsign{}, .inputs = {floats({0, 5})}},
  };
}

namespace {

using testing::ElementsAre;

TEST(Softsign, ApproachesOne) {
  const auto r =
      evaluate(core::Softsign{}, {floats({3})}, {{"x", {-1, 0, 3}}, {"grad y", {4, 5, 16}}});
  EXPECT_THAT(r.at("y"), ElementsAre(-0.5, 0, 0.75));
  EXPECT_THAT(r.at("grad x"), ElementsAre(1, 5, 1));
}

}  // namespace
}  // namespace soapstone::conformance
