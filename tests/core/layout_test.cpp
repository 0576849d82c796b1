#include "core/layout.hpp"

#include <gtest/gtest.h>

#include "core/json.hpp"

namespace soapstone::core {
namespace {

// 2 x 3 parts (one of them empty), 2 partial sums, 2 replicas on devices 30, 29, …
Layout sample() {
  Layout layout;
  layout.parts = {{{0, 2}, {2, 3}}, {{0, 1}, {1, 1}, {1, 4}}};
  layout.parts[1][1] = {};
  layout.partials = 2;
  layout.replicas = 2;
  for (std::uint32_t i = 0; i < 24; ++i) layout.devices.emplace_back(30 - i);
  return layout;
}

TEST(Layout, ShardsAreRowMajorOverPartsThenPartialsThenReplicas) {
  const Layout layout = sample();
  EXPECT_EQ(layout.size(), 24u);
  EXPECT_EQ(layout.box(0), (Box{{0, 2}, {0, 1}}));
  EXPECT_EQ(layout.box(3), (Box{{0, 2}, {0, 1}}));
  EXPECT_EQ(layout.box(8), (Box{{0, 2}, {1, 4}}));
  EXPECT_EQ(layout.box(12), (Box{{2, 3}, {0, 1}}));
  EXPECT_EQ(layout.box(23), (Box{{2, 3}, {1, 4}}));
  EXPECT_EQ(layout.partial(1), 0);
  EXPECT_EQ(layout.partial(2), 1);
  EXPECT_EQ(layout.replica(22), 0);
  EXPECT_EQ(layout.replica(23), 1);
}

TEST(Layout, ABoxIsEmptyInAllDimensionsAsSoonAsInOne) {
  EXPECT_EQ(sample().box(4), (Box{{}, {}}));
  EXPECT_TRUE(is_empty(sample().box(19)));
}

TEST(Layout, KnowsWhichShardIsOnADevice) {
  EXPECT_EQ(sample().shard_on(DeviceId(30)), 0);
  EXPECT_EQ(sample().shard_on(DeviceId(7)), 23);
  EXPECT_EQ(sample().shard_on(DeviceId(6)), -1);
}

TEST(Layout, OnOneDeviceIsWhole) {
  const Layout layout = on_one_device({2, 5}, DeviceId(3));
  EXPECT_EQ(layout.size(), 1u);
  EXPECT_EQ(layout.box(0), whole({2, 5}));
}

TEST(Layout, ComparesHashesPrintsAndComesBackFromJson) {
  const Layout layout = sample();
  Layout other = layout;
  other.overlap = Overlap::kSum;
  EXPECT_NE(layout, other);
  EXPECT_NE(hash_of(layout), hash_of(other));
  const auto read = from_json<Layout>(to_json(other));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, other);
  EXPECT_EQ(hash_of(*read), hash_of(other));
  EXPECT_EQ(print(on_one_device({2}, DeviceId(3))),
            "{parts=[[[0, 2)]], partials=1, replicas=1, overlap=copy, devices=[3]}");
}

TEST(Shape, PartsDifferByAtMostOneGranuleLargerOnesFirst) {
  EXPECT_EQ(part_of(10, 1, 4, 0), (Interval{0, 3}));
  EXPECT_EQ(part_of(10, 1, 4, 1), (Interval{3, 6}));
  EXPECT_EQ(part_of(10, 1, 4, 2), (Interval{6, 8}));
  EXPECT_EQ(part_of(10, 1, 4, 3), (Interval{8, 10}));
  EXPECT_EQ(part_of(12, 4, 2, 0), (Interval{0, 8}));
  EXPECT_EQ(part_of(12, 4, 2, 1), (Interval{8, 12}));
  EXPECT_EQ(part_of(2, 1, 3, 2), Interval{});
}

TEST(Shape, PackedStridesFollowThePhysicalOrder) {
  EXPECT_EQ(packed_strides({2, 3, 4, 5}, {}), (Shape{60, 20, 5, 1}));
  EXPECT_EQ(packed_strides({2, 3, 4, 5}, channels_last(4)), (Shape{60, 1, 15, 3}));
}

}  // namespace
}  // namespace soapstone::core
