#include "core/ops/dropout.hpp"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/conformance/op_case.hpp"
#include "tests/support/reference/philox.hpp"

namespace soapstone::conformance {

using core::Dropout;

std::vector<OpCase> dropout_cases() {
  return {
      {.name = "single_number", .op = Dropout{.rate = 0.25}, .inputs = {floats({1})}},
      {.name = "matrix", .op = Dropout{}, .inputs = {floats({7, 9})}},
      {.name = "sequence", .op = Dropout{.rate = 0.1}, .inputs = {floats({4, 3, 11})}},
      {.name = "channels_last_image", .op = Dropout{.rate = 0.3}, .inputs = {image({2, 3, 5, 4})}},
      {.name = "zigzag",
       .op = Dropout{.rate = 0.4, .zigzag = {0, 4}},
       .inputs = {floats({3, 8, 5})}},
      {.name = "zigzag_of_two_dimensions",
       .op = Dropout{.rate = 0.4, .zigzag = {0, 0, 2, 4}},
       .inputs = {image({2, 3, 6, 4})}},
      {.name = "nothing_dropped", .op = Dropout{.rate = 0}, .inputs = {floats({3, 5})}},
      {.name = "nearly_all_dropped", .op = Dropout{.rate = 0.97}, .inputs = {floats({9, 13})}},
      {.name = "long_vector", .op = Dropout{}, .inputs = {floats({1, 1031})}},
      {.name = "several_blocks",
       .op = Dropout{.rate = 0.2},
       .inputs = {floats({3, 6007})},
       .large = true},
      {.name = "empty", .op = Dropout{}, .inputs = {floats({0, 5})}},
  };
}

namespace {

using testing::ElementsAreArray;

// Known answers of Random123's kat_vectors for philox4x32-10.
TEST(Dropout, ThePhiloxOfTheReferenceGivesTheKnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(reference::philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t f = 0xffffffff;
  EXPECT_EQ(reference::philox4x32_10({f, f, f, f}, {f, f}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(reference::philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                                     {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

std::vector<double> kept(std::int64_t samples, double rate, const reference::RandomKey& key) {
  const auto n = static_cast<std::size_t>(samples) * 10;
  return evaluate(Dropout{rate}, {floats({samples, 10})},
                  {{"x", std::vector<double>(n, 1)}, {"grad y", std::vector<double>(n, 1)}}, key)
      .at("y");
}

TEST(Dropout, ScalesWhatItKeepsAndDropsAtItsRate) {
  const auto y = kept(1000, 0.75, {});
  const auto scaled = std::count(y.begin(), y.end(), 4.0),
             dropped = std::count(y.begin(), y.end(), 0.0);
  EXPECT_EQ(scaled + dropped, 10000);
  // The standard deviation of the count is √(10000 · 0.75 · 0.25) = 43; five of them.
  EXPECT_NEAR(static_cast<double>(dropped), 7500, 5 * 43);
}

TEST(Dropout, MicroBatchesDrawTheMaskOfTheMiniBatch) {
  const auto whole = kept(6, 0.5, {.seed = 7, .step = 2, .op = 3});
  const auto second_half = kept(3, 0.5, {.seed = 7, .step = 2, .op = 3, .sample_offset = 3});
  EXPECT_THAT(second_half, ElementsAreArray(whole.begin() + 30, whole.end()));
}

// Chunks of 4 elements, in the order 0, 3, 1, 2.
TEST(Dropout, InZigzagAnElementKeepsItsNumber) {
  const std::vector<double> ones(16, 1);
  const auto mask = [&](const Dropout& op) {
    return evaluate(op, {floats({1, 16})}, {{"x", ones}, {"grad y", ones}}, {.seed = 2}).at("y");
  };
  const auto m = mask({.rate = 0.5});
  std::vector<double> dealt;
  for (const std::size_t chunk : {0, 3, 1, 2})
    for (std::size_t k = 0; k < 4; ++k) dealt.push_back(m[4 * chunk + k]);
  EXPECT_NE(dealt, m);
  EXPECT_EQ(mask({.rate = 0.5, .zigzag = {0, 4}}), dealt);
}

TEST(Dropout, SeedStepAndOperatorEachDrawAnotherMask) {
  const auto mask = kept(10, 0.5, {.seed = 7, .step = 2, .op = 3});
  EXPECT_EQ(mask, kept(10, 0.5, {.seed = 7, .step = 2, .op = 3}));
  EXPECT_NE(mask, kept(10, 0.5, {.seed = 8, .step = 2, .op = 3}));
  EXPECT_NE(mask, kept(10, 0.5, {.seed = 7, .step = 3, .op = 3}));
  EXPECT_NE(mask, kept(10, 0.5, {.seed = 7, .step = 2, .op = 4}));
}

}  // namespace
}  // namespace soapstone::conformance
