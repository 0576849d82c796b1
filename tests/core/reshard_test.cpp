#include "core/reshard.hpp"

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "core/json.hpp"
#include "core/plan.hpp"
#include "tests/support/interpreter/transfer.hpp"
#include "tests/support/oracle/moves.hpp"

namespace soapstone::core {
namespace {

std::vector<DeviceId> devices(std::initializer_list<std::uint32_t> numbers) {
  std::vector<DeviceId> out;
  for (const auto n : numbers) out.emplace_back(n);
  return out;
}

// A vector of `extent` in even parts.
Layout vector_in(int parts, std::int64_t extent, std::vector<DeviceId> on) {
  Layout layout;
  layout.parts.emplace_back();
  for (int p = 0; p < parts; ++p) layout.parts[0].push_back(part_of(extent, 1, parts, p));
  layout.devices = std::move(on);
  return layout;
}
Layout copies(std::int64_t extent, std::vector<DeviceId> on) {
  Layout layout = vector_in(1, extent, std::move(on));
  layout.replicas = static_cast<std::int32_t>(layout.devices.size());
  return layout;
}
Layout partial_sums(std::int64_t extent, std::vector<DeviceId> on) {
  Layout layout = vector_in(1, extent, std::move(on));
  layout.partials = static_cast<std::int32_t>(layout.devices.size());
  return layout;
}

Pattern only_pattern(const Layout& from, const Layout& to) {
  const Reshard r = reshard(from, to);
  EXPECT_EQ(r.groups.size(), 1u) << print(r);
  return r.groups.empty() ? Pattern::kNone : r.groups[0].pattern;
}

TEST(Reshard, NamesTheCollectiveThatHasTheSameResult) {
  const auto four = devices({3, 0, 2, 1});
  EXPECT_EQ(only_pattern(vector_in(4, 8, four), copies(8, four)), Pattern::kAllGather);
  EXPECT_EQ(only_pattern(vector_in(4, 7, four), copies(7, devices({0, 1, 2, 3}))),
            Pattern::kAllGather);
  EXPECT_EQ(only_pattern(partial_sums(8, four), copies(8, four)), Pattern::kAllReduce);
  EXPECT_EQ(only_pattern(partial_sums(7, four), vector_in(4, 7, four)), Pattern::kReduceScatter);
  EXPECT_EQ(only_pattern(on_one_device({8}, DeviceId(2)), copies(8, four)), Pattern::kBroadcast);
  EXPECT_EQ(only_pattern(on_one_device({8}, DeviceId(9)), copies(8, four)), Pattern::kBroadcast);
  Layout rows, columns;
  rows.parts = {{{0, 2}, {2, 4}}, {{0, 4}}};
  columns.parts = {{{0, 4}}, {{0, 1}, {1, 4}}};
  rows.devices = columns.devices = devices({5, 6});
  EXPECT_EQ(only_pattern(rows, columns), Pattern::kAllToAll);
}

TEST(Reshard, MovesNothingWhereEverythingIsInPlace) {
  const auto three = devices({4, 1, 2});
  for (const Layout& layout : {vector_in(3, 7, three), copies(7, three), partial_sums(7, three)}) {
    const Reshard r = reshard(layout, layout);
    EXPECT_TRUE(r.nothing()) << print(r);
    EXPECT_EQ(r.groups.size(), 3u);
    EXPECT_EQ(elements_moved(r, layout, layout), 0);
  }
  // A replica fewer.
  EXPECT_TRUE(reshard(copies(7, three), copies(7, devices({1, 2}))).nothing());
}

TEST(Reshard, AGroupIsThoseThatExchangeWithEachOther) {
  // Two sums of two contributions each, on pairs of devices.
  Layout from = vector_in(2, 6, devices({0, 1, 2, 3}));
  from.partials = 2;
  Layout to = vector_in(2, 6, devices({0, 1, 2, 3}));
  to.replicas = 2;
  const Reshard r = reshard(from, to);
  ASSERT_EQ(r.groups.size(), 2u);
  EXPECT_EQ(r.groups[0].members, devices({0, 1}));
  EXPECT_EQ(r.groups[1].members, devices({2, 3}));
  for (const auto& g : r.groups) EXPECT_EQ(g.pattern, Pattern::kAllReduce);
}

TEST(Reshard, ADestinationTakesItsOwnCopyThenTheNearest) {
  const Layout from = copies(4, devices({0, 5}));
  const Reshard r = reshard(from, copies(4, devices({5, 4, 1})));
  std::map<std::uint32_t, std::uint32_t> source_of;
  for (const auto& g : r.groups)
    for (const auto& m : g.moves) source_of[m.dst] = m.src;
  EXPECT_EQ(source_of, (std::map<std::uint32_t, std::uint32_t>{{0, 1}, {1, 1}, {2, 0}}));
}

TEST(Reshard, OverlappingGradientsAreSummedAndGapsAreZero) {
  Layout from;
  from.parts = {{{0, 3}, {2, 5}}};
  from.overlap = Overlap::kSum;
  from.devices = devices({0, 1});
  const Layout to = vector_in(2, 6, devices({0, 1}));  // index 5 is in no part
  const Reshard r = reshard(from, to);
  const auto out = oracle::moved(r, from, to, {{1, 2, 3}, {10, 20, 30}});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ((*out)[0], (oracle::Values{1, 2, 13}));
  EXPECT_EQ((*out)[1], (oracle::Values{20, 30, 0}));
}

// Parts along one dimension, copies, or partial sums.
Layout cut_in_one_way(const Shape& shape, std::vector<DeviceId> on, std::mt19937_64& random) {
  Layout layout = on_one_device(shape, DeviceId(0));
  const auto count = static_cast<std::int32_t>(on.size());
  const std::size_t way = random() % (shape.size() + 2);
  if (way == shape.size()) layout.partials = count;
  if (way == shape.size() + 1) layout.replicas = count;
  if (way < shape.size()) layout.parts[way] = vector_in(count, shape[way], on).parts[0];
  layout.devices = std::move(on);
  return layout;
}

// Any layout to any layout: plain copies and chosen collectives give the value, with the least
// traffic that taking one's own copy allows.
TEST(Reshard, AnyLayoutBecomesAnyOther) {
  std::mt19937_64 random(11);
  std::map<Pattern, int> seen;
  for (int trial = 0; trial < 12000 && !HasFailure(); ++trial) {
    Shape shape;
    for (std::uint64_t rank = 1 + random() % 3; rank-- > 0;)
      shape.push_back(1 + static_cast<std::int64_t>(random() % 6));
    const std::uint32_t count = 1 + static_cast<std::uint32_t>(random() % 8);
    Layout from = oracle::random_layout(shape, count, {.covers = random() % 8 != 0}, random);
    Layout to = oracle::random_layout(shape, count, {.covers = false}, random);
    // Often the same devices, cut in one way each.
    if (random() % 3 == 0) to = from;
    if (random() % 3 == 0) {
      from.devices.resize(std::max(from.devices.size(), to.devices.size()));
      for (std::uint32_t i = 0; i < from.devices.size(); ++i) from.devices[i] = DeviceId(i);
      to.devices = from.devices;
      from = cut_in_one_way(shape, std::move(from.devices), random);
      to = cut_in_one_way(shape, std::move(to.devices), random);
    }
    SCOPED_TRACE(
        fmt::format("trial {}: {}\nfrom {}\nto {}", trial, print(shape), print(from), print(to)));
    oracle::Values whole(static_cast<std::size_t>(elements(shape)));
    for (double& v : whole) v = static_cast<double>(random() % 1000) + 1;
    const auto pieces = oracle::pieces_of(from, shape, whole, random);
    const auto found = oracle::value_of(from, shape, pieces);
    ASSERT_TRUE(found) << found.error().message;
    // What a copying layout does not cover cannot be moved.
    bool uncovered = false;
    for (const double v : *found) uncovered |= std::isnan(v);
    if (uncovered && from.overlap == Overlap::kCopy) continue;

    for (const Patterns patterns : {Patterns::kBoxesOnly, Patterns::kChosen}) {
      const Reshard r = reshard(from, to, patterns);
      const auto out = oracle::moved(r, from, to, pieces);
      ASSERT_TRUE(out) << out.error().message << "\n" << print(r);
      const auto value = oracle::value_of(to, shape, *out);
      ASSERT_TRUE(value) << value.error().message << "\n" << print(r);
      for (std::size_t i = 0; i < whole.size(); ++i)
        if (!std::isnan((*value)[i])) {
          EXPECT_EQ((*value)[i], whole[i]) << "element " << i << "\n" << print(r);
        }
      EXPECT_EQ(elements_moved(r, from, to), oracle::least_elements_moved(from, to, shape))
          << print(r);
      for (const ReshardGroup& g : r.groups) {
        const bool plain = g.pattern == Pattern::kBoxes || g.pattern == Pattern::kNone;
        EXPECT_TRUE(plain || patterns == Patterns::kChosen) << print(g);
        if (patterns == Patterns::kChosen) ++seen[g.pattern];
        if (g.pattern == Pattern::kNone) continue;
        // The transfer of the group, by boxes and by the schedule of its collective.
        const Transfer t = transfer_of(g, from, to, DType::kF64,
                                       shape.size() == 3 ? channels_last(3) : DimOrder{});
        std::vector<interpreter::Values> held;
        for (const auto& m : t.members)
          held.push_back(is_empty(m.held)
                             ? interpreter::Values{}
                             : pieces[static_cast<std::size_t>(from.shard_on(m.device))]);
        const auto arrived = interpreter::transferred(t, held);
        for (std::size_t k = 0; k < t.members.size(); ++k) {
          const auto dst = to.shard_on(t.members[k].device);
          EXPECT_TRUE(is_empty(t.members[k].wanted) ||
                      arrived[k] == (*out)[static_cast<std::size_t>(dst)])
              << print(t);
        }
      }
    }
  }
  for (const auto& [pattern, name] : enum_names(Pattern{}))
    EXPECT_GT(seen[pattern], 20) << name << " hardly occurred";
}

TEST(Reshard, ComesBackFromJsonUnchanged) {
  const auto four = devices({3, 0, 2, 1});
  const Reshard r = reshard(partial_sums(7, four), vector_in(4, 7, four));
  const auto read = from_json<Reshard>(to_json(r));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, r);
  EXPECT_EQ(hash_of(*read), hash_of(r));
}

}  // namespace
}  // namespace soapstone::core
