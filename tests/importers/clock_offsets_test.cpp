#include "importers/clock_offsets.hpp"

#include <gtest/gtest.h>

namespace soapstone::importers {
namespace {

using core::Nanoseconds;

Occurrence ended(std::uint64_t key, std::int64_t end) {
  return {key, Nanoseconds(end - 10), Nanoseconds(end)};
}

TEST(ClockOffsets, AreTheMedianOfTheDifferencesOfEnds) {
  // 1,500,000 ns ahead, but for one collective that ended 90 ns late there and one 10 ns early.
  const std::vector<std::vector<Occurrence>> ranks{
      {ended(1, 1000), ended(2, 2000), ended(3, 3000)},
      {ended(3, 1'502'990), ended(1, 1'501'000), ended(2, 1'502'090)},
  };
  const auto found = clock_offsets(ranks);
  EXPECT_EQ(found[0], ClockOffset{});
  EXPECT_EQ(found[1].reference, 0u);
  EXPECT_EQ(found[1].offset, Nanoseconds(1'500'000));
  EXPECT_EQ(found[1].collectives, 3u);
  EXPECT_EQ(found[1].median_spread, Nanoseconds(10));  // of 0, 10 and 90
  EXPECT_EQ(found[1].largest_spread, Nanoseconds(90));
}

TEST(ClockOffsets, OfAnEvenNumberLieBetweenTheMiddleTwo) {
  const std::vector<std::vector<Occurrence>> ranks{{ended(1, 0), ended(2, 0)},
                                                   {ended(1, -100), ended(2, -60)}};
  const auto found = clock_offsets(ranks);
  EXPECT_EQ(found[1].offset, Nanoseconds(-80));
  EXPECT_EQ(found[1].largest_spread, Nanoseconds(20));
}

TEST(ClockOffsets, AddUpAlongGroupsThatShareARank) {
  // 0 and 1 share a collective, 2 and 1 two; 3 shares none.
  const std::vector<std::vector<Occurrence>> ranks{
      {ended(1, 100)},
      {ended(1, 105), ended(2, 200), ended(3, 300)},
      {ended(2, 170), ended(3, 270)},
      {ended(9, 1'000'000)},
  };
  const auto found = clock_offsets(ranks);
  EXPECT_EQ(found[1].offset, Nanoseconds(5));
  EXPECT_EQ(found[2].offset, Nanoseconds(5 - 30));
  EXPECT_EQ(found[2].reference, 0u);
  EXPECT_EQ(found[3].offset, Nanoseconds(0));
  EXPECT_EQ(found[3].collectives, 0u);
  EXPECT_EQ(found[3].reference, 3u);
}

TEST(ClockOffsets, PreferPairsThatShareMoreCollectives) {
  // 2 differs from 0 by 7 in one collective of all, and by 20 from 1 in two others.
  const std::vector<std::vector<Occurrence>> ranks{
      {ended(1, 0), ended(4, 0), ended(5, 0)},
      {ended(1, 0), ended(4, 0), ended(5, 0), ended(2, 0), ended(3, 0)},
      {ended(1, 7), ended(2, 20), ended(3, 20)},
  };
  EXPECT_EQ(clock_offsets(ranks)[2].offset, Nanoseconds(20));
}

TEST(ClockOffsets, OfNoRankAreNone) { EXPECT_TRUE(clock_offsets({}).empty()); }

}  // namespace
}  // namespace soapstone::importers
