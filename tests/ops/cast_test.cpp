#include "core/ops/cast.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/op.hpp"
#include "tests/support/conformance/op_case.hpp"

namespace soapstone::conformance {

using core::Cast;
using core::DType;

namespace {

core::TensorDesc doubles(core::TensorDesc desc) {
  desc.dtype = DType::kF64;
  return desc;
}

// In f32 a run casts between the types; in f64, where nothing may be rounded to f32, from f64 to
// f64.
OpCase to_f32(std::string name, const core::TensorDesc& x) {
  return {.name = std::move(name),
          .op = Cast{.to = DType::kF32},
          .inputs = {doubles(x)},
          .op_in_f64 = Cast{.to = DType::kF64},
          .op_in_bf16 = Cast{.to = DType::kBF16}};
}
OpCase to_f64(std::string name, const core::TensorDesc& x) {
  return {.name = std::move(name), .op = Cast{.to = DType::kF64}, .inputs = {x}};
}

}  // namespace

std::vector<OpCase> cast_cases() {
  std::vector<OpCase> cases{
      to_f32("single_number_to_f32", floats({1})),
      to_f32("matrix_to_f32", floats({5, 7})),
      to_f32("channels_last_image_to_f32", image({2, 3, 5, 4})),
      to_f64("matrix_to_f64", floats({5, 7})),
      to_f64("sequence_to_f64", floats({2, 3, 11})),
      to_f64("channels_last_image_to_f64", image({2, 3, 5, 4})),
      {.name = "f32_to_itself",
       .op = Cast{.to = DType::kF32},
       .inputs = {floats({3, 5})},
       .op_in_f64 = Cast{.to = DType::kF64},
       .op_in_bf16 = Cast{.to = DType::kBF16}},
      to_f32("empty", floats({0, 5})),
  };
  cases.push_back(to_f32("several_blocks_to_f32", floats({3, 7001})));
  cases.back().large = true;
  cases.push_back(to_f64("several_blocks_to_f64", floats({3, 7001})));
  cases.back().large = true;
  return cases;
}

namespace {

using testing::ElementsAre;

TEST(Cast, PassesValuesAndGradientsOn) {
  const auto r =
      evaluate(Cast{.to = DType::kF64}, {floats({3})}, {{"x", {-1, 0, 2}}, {"grad y", {5, 6, 7}}});
  EXPECT_THAT(r.at("y"), ElementsAre(-1, 0, 2));
  EXPECT_THAT(r.at("grad x"), ElementsAre(5, 6, 7));
}

TEST(Cast, TakesAndGivesFloatingPointOnly) {
  EXPECT_EQ(core::Op(Cast{.to = DType::kI32}).define(std::vector{floats({3})}).error().message,
            "to = i32: bf16, f32 and f64 are accepted");
  EXPECT_EQ(core::Op(Cast{.to = DType::kF32}).define(std::vector{integers({3})}).error().message,
            "input x is i32: bf16, f32 or f64 is wanted");
}

}  // namespace
}  // namespace soapstone::conformance
