#include "core/collectives/schedule.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "core/assert.hpp"
#include "core/json.hpp"

namespace soapstone::core {
namespace {

const std::vector<std::uint32_t> kMemberCounts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16};

// Everything that a failing case needs to be made again.
std::string label(const Collective& c) { return print(c); }

// Every pattern, algorithm, number of members and a table of counts: even,
// uneven, some zero, all but one zero, all zero, fewer elements than members.
std::vector<Collective> all_collectives() {
  std::vector<Collective> all;
  std::mt19937 random(1);
  for (const auto& [pattern, pattern_name] : enum_names(Pattern{})) {
    for (const auto& [algorithm, algorithm_name] : enum_names(Algorithm{})) {
      if (pattern == Pattern::kNone || !why_not(pattern, algorithm).empty()) continue;
      for (std::uint32_t p : kMemberCounts) {
        const std::size_t size = pattern == Pattern::kAllToAll ? std::size_t{p} * p : p;
        std::vector<std::vector<std::int64_t>> tables(6, std::vector<std::int64_t>(size, 0));
        for (std::size_t i = 0; i < size; ++i) {
          tables[0][i] = 4;
          tables[1][i] = static_cast<std::int64_t>(random() % 9);
          tables[2][i] = i % 2 ? 3 : 0;
          tables[3][i] = i % 2 ? 0 : static_cast<std::int64_t>(i + 1);
        }
        tables[4][size - 1] = 5;  // for other patterns: everything lies on the last member
        for (const auto& counts : tables)
          for (std::uint32_t root = 0; root < (pattern == Pattern::kBroadcast ? p : 1); ++root)
            all.push_back({pattern, algorithm, p, root, counts});
      }
    }
  }
  return all;
}

std::vector<std::int64_t> offsets(const std::vector<std::int64_t>& counts) {
  std::vector<std::int64_t> at(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), at.begin() + 1);
  return at;
}

// The order in which an executor gives members a turn.
enum class Turns { kForward, kBackward, kRandom };

template <class T>
struct Buffers {
  std::vector<std::vector<T>> send;     // the working buffers, or an all-to-all's send buffers
  std::vector<std::vector<T>> receive;  // an all-to-all's
};

// Executes a schedule with rendezvous messages: a message passes only while
// the sender stands at the step that sends it and the receiver at the step
// that receives it, nothing is buffered in between, and a member leaves a step
// when both its sides are done. Returns whether all members came to the end.
template <class T>
bool execute(const Schedule& schedule, Turns turns, Buffers<T>& buffers) {
  struct State {
    std::size_t step = 0;
    bool sent = false, received = false;
    std::vector<T> scratch;
  };
  std::vector<State> state(schedule.members);
  std::mt19937 random(7);
  const bool in_place = schedule.own_copies.empty();
  const auto current = [&](std::uint32_t m) -> const ScheduleStep* {
    const auto steps = schedule.steps_of(m);
    return state[m].step < steps.size() ? &steps[state[m].step] : nullptr;
  };
  for (std::uint32_t m = 0; m < schedule.own_copies.size(); ++m) {
    const OwnCopy& own = schedule.own_copies[m];
    for (std::int64_t i = 0; i < own.send.extent(); ++i)
      buffers.receive[m][static_cast<std::size_t>(own.receive.begin + i)] =
          buffers.send[m][static_cast<std::size_t>(own.send.begin + i)];
  }
  bool advanced = true;
  while (advanced) {
    advanced = false;
    std::vector<std::uint32_t> order(schedule.members);
    std::iota(order.begin(), order.end(), 0u);
    if (turns == Turns::kBackward) std::reverse(order.begin(), order.end());
    if (turns == Turns::kRandom) std::shuffle(order.begin(), order.end(), random);
    for (std::uint32_t m : order) {
      const ScheduleStep* step = current(m);
      if (!step) continue;
      if (step->send_to.valid() && !state[m].sent) {
        const std::uint32_t peer = step->send_to.value;
        const ScheduleStep* theirs = current(peer);
        if (theirs && theirs->receive_from == MemberId(m) && theirs->round == step->round &&
            !state[peer].received) {
          EXPECT_EQ(step->send.extent(), theirs->receive.extent());
          const auto first = buffers.send[m].begin() + step->send.begin;
          std::vector<T> message(first, first + step->send.extent());
          if (theirs->reduce) {
            EXPECT_LE(theirs->receive.extent(), schedule.scratch_elements);
            state[peer].scratch = std::move(message);
          } else {
            auto& into = in_place ? buffers.send[peer] : buffers.receive[peer];
            std::copy(message.begin(), message.end(), into.begin() + theirs->receive.begin);
          }
          state[m].sent = state[peer].received = true;
          advanced = true;
        }
      }
      const bool done = (!step->send_to.valid() || state[m].sent) &&
                        (!step->receive_from.valid() || state[m].received);
      if (done) {
        if (step->reduce)
          for (std::int64_t i = 0; i < step->receive.extent(); ++i) {
            T& own = buffers.send[m][static_cast<std::size_t>(step->receive.begin + i)];
            own = own + state[m].scratch[static_cast<std::size_t>(i)];
          }
        state[m] =
            State{.step = state[m].step + 1, .sent = false, .received = false, .scratch = {}};
        advanced = true;
      }
    }
  }
  for (std::uint32_t m = 0; m < schedule.members; ++m)
    if (current(m)) return false;
  return true;
}

// A different number for every (member, element), so that nothing but the
// right sum of the right elements can pass.
std::int64_t contribution(std::size_t member, std::int64_t element) {
  return static_cast<std::int64_t>((member + 1) * 1'000'003) * (element + 1) +
         static_cast<std::int64_t>(member);
}

Buffers<std::int64_t> start_of(const Collective& c) {
  Buffers<std::int64_t> b;
  const std::size_t p = c.members;
  const auto at = offsets(c.counts);
  for (std::size_t m = 0; m < p; ++m) {
    if (c.pattern == Pattern::kAllToAll) {
      std::int64_t sent = 0, received = 0;
      for (std::size_t o = 0; o < p; ++o) {
        sent += c.counts[m * p + o];
        received += c.counts[o * p + m];
      }
      b.send.emplace_back(sent);
      b.receive.emplace_back(received, -1);
    } else {
      b.send.emplace_back(at.back());
    }
    for (std::int64_t e = 0; e < static_cast<std::int64_t>(b.send[m].size()); ++e) {
      const bool holds = c.pattern == Pattern::kBroadcast   ? m == c.root
                         : c.pattern == Pattern::kAllGather ? at[m] <= e && e < at[m + 1]
                                                            : true;
      b.send[m][static_cast<std::size_t>(e)] = holds ? contribution(m, e) : -1;
    }
  }
  return b;
}

void expect_end(const Collective& c, const Buffers<std::int64_t>& b) {
  const std::size_t p = c.members;
  const auto at = offsets(c.counts);
  if (c.pattern == Pattern::kAllToAll) {
    for (std::size_t destination = 0; destination < p; ++destination) {
      std::vector<std::int64_t> wanted;
      for (std::size_t source = 0; source < p; ++source) {
        std::int64_t first = 0;
        for (std::size_t d = 0; d < destination; ++d) first += c.counts[source * p + d];
        for (std::int64_t i = 0; i < c.counts[source * p + destination]; ++i)
          wanted.push_back(contribution(source, first + i));
      }
      EXPECT_EQ(b.receive[destination], wanted) << "destination " << destination;
    }
    return;
  }
  for (std::size_t m = 0; m < p; ++m) {
    for (std::int64_t e = 0; e < at.back(); ++e) {
      std::int64_t wanted = 0;
      if (c.pattern == Pattern::kBroadcast) {
        wanted = contribution(c.root, e);
      } else if (c.pattern == Pattern::kAllGather) {
        std::size_t owner = 0;
        while (e >= at[owner + 1]) ++owner;
        wanted = contribution(owner, e);
      } else {
        if (c.pattern == Pattern::kReduceScatter && !(at[m] <= e && e < at[m + 1])) continue;
        for (std::size_t s = 0; s < p; ++s) wanted += contribution(s, e);
      }
      ASSERT_EQ(b.send[m][static_cast<std::size_t>(e)], wanted)
          << "member " << m << ", element " << e;
    }
  }
}

TEST(CollectiveSchedule, EveryAlgorithmGivesThePlainSumsAndCopiesWithRendezvousMessagesInAnyTurn) {
  std::size_t cases = 0;
  for (const Collective& c : all_collectives()) {
    SCOPED_TRACE(label(c));
    const Schedule schedule = make_schedule(c);
    for (Turns turns : {Turns::kForward, Turns::kBackward, Turns::kRandom}) {
      auto buffers = start_of(c);
      ASSERT_TRUE(execute(schedule, turns, buffers)) << "no member can go on";
      expect_end(c, buffers);
      if (HasFailure()) return;
    }
    ++cases;
  }
  EXPECT_GE(cases, 1000u);
}

TEST(CollectiveSchedule, EverySendHasExactlyOneReceiveOfTheSameExtentInItsRound) {
  for (const Collective& c : all_collectives()) {
    SCOPED_TRACE(label(c));
    const Schedule schedule = make_schedule(c);
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::int64_t> sends, receives;
    for (const ScheduleStep& s : schedule.steps) {
      ASSERT_TRUE(s.send_to.valid() || s.receive_from.valid());
      ASSERT_NE(s.send_to, s.member);
      ASSERT_NE(s.receive_from, s.member);
      ASSERT_EQ(s.send_to.valid(), s.send.extent() > 0);
      ASSERT_EQ(s.receive_from.valid(), s.receive.extent() > 0);
      ASSERT_LT(s.round, schedule.rounds);
      if (s.send_to.valid()) {
        const std::tuple message(s.round, s.member.value, s.send_to.value);
        ASSERT_TRUE(sends.emplace(message, s.send.extent()).second);
      }
      if (s.receive_from.valid()) {
        const std::tuple message(s.round, s.receive_from.value, s.member.value);
        ASSERT_TRUE(receives.emplace(message, s.receive.extent()).second);
      }
    }
    ASSERT_EQ(sends, receives);
  }
}

TEST(CollectiveSchedule, EachMemberHasAtMostOneStepPerRoundInTheOrderOfRounds) {
  for (const Collective& c : all_collectives()) {
    SCOPED_TRACE(label(c));
    const Schedule schedule = make_schedule(c);
    std::size_t steps = 0;
    for (std::uint32_t m = 0; m < c.members; ++m) {
      std::int64_t last = -1;
      for (const ScheduleStep& s : schedule.steps_of(m)) {
        ASSERT_EQ(s.member, MemberId(m));
        ASSERT_GT(static_cast<std::int64_t>(s.round), last);
        last = s.round;
      }
      steps += schedule.steps_of(m).size();
    }
    ASSERT_EQ(steps, schedule.steps.size());
  }
}

TEST(CollectiveSchedule, WhatOverwritesABufferNeverMeetsWhatIsSentFromItInTheSameStep) {
  for (const Collective& c : all_collectives()) {
    if (c.pattern == Pattern::kAllToAll) continue;  // two buffers
    SCOPED_TRACE(label(c));
    const Schedule schedule = make_schedule(c);
    for (const ScheduleStep& s : schedule.steps)
      ASSERT_TRUE(s.reduce || intersect(s.send, s.receive).empty()) << print(s);
  }
}

TEST(CollectiveSchedule, StepsMadeForOneMemberAreThoseOfTheWholeSchedule) {
  for (const Collective& c : all_collectives()) {
    SCOPED_TRACE(label(c));
    const Schedule schedule = make_schedule(c);
    for (std::uint32_t m = 0; m < c.members; ++m) {
      const auto expected = schedule.steps_of(m);
      ASSERT_EQ(make_steps(c, m), std::vector<ScheduleStep>(expected.begin(), expected.end()));
    }
  }
}

TEST(CollectiveSchedule, StepsByRoundAreSortedByRoundThenMember) {
  for (const Collective& c : all_collectives()) {
    SCOPED_TRACE(label(c));
    const Schedule schedule = make_schedule(c);
    const auto order = steps_by_round(schedule);
    ASSERT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), schedule.steps.size());
    ASSERT_EQ(order.size(), schedule.steps.size());
    for (std::size_t i = 1; i < order.size(); ++i) {
      const ScheduleStep &a = schedule.steps[order[i - 1]], &b = schedule.steps[order[i]];
      ASSERT_LT(std::pair(a.round, a.member), std::pair(b.round, b.member));
    }
  }
}

TEST(CollectiveSchedule, AllMembersEndAnAllReduceWithTheSameBitsWhateverTheTiming) {
  std::mt19937_64 random(3);
  // Magnitudes far apart, so that another order of summation gives other bits.
  std::uniform_real_distribution<double> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-30, 30);
  for (const auto& [algorithm, name] : enum_names(Algorithm{})) {
    for (std::uint32_t p : kMemberCounts) {
      SCOPED_TRACE(fmt::format("{} of {}", name, p));
      const Schedule schedule = make_schedule(Pattern::kAllReduce, algorithm, even_counts(37, p));
      Buffers<double> start;
      for (std::uint32_t m = 0; m < p; ++m) {
        start.send.emplace_back(37);
        for (double& v : start.send.back()) v = std::ldexp(mantissa(random), exponent(random));
      }
      std::vector<std::uint64_t> first;
      for (Turns turns : {Turns::kForward, Turns::kBackward, Turns::kRandom}) {
        Buffers<double> b = start;
        ASSERT_TRUE(execute(schedule, turns, b));
        for (const auto& buffer : b.send) {
          std::vector<std::uint64_t> bits;
          for (double v : buffer) bits.push_back(std::bit_cast<std::uint64_t>(v));
          if (first.empty()) first = bits;
          ASSERT_EQ(bits, first);
        }
      }
    }
  }
}

TEST(CollectiveSchedule, SumsAreFormedInTheDocumentedOrder) {
  // Three members. 1 is lost beside 1e16 unless the two large values meet first.
  const std::vector<double> x = {1e16, 1, -1e16};
  const auto reduced = [&](Pattern pattern, Algorithm algorithm) {
    const Schedule schedule = make_schedule(pattern, algorithm, std::vector<std::int64_t>{1, 1, 1});
    Buffers<double> b;
    for (double v : x) b.send.emplace_back(3, v);
    EXPECT_TRUE(execute(schedule, Turns::kForward, b));
    return std::vector<double>{b.send[0][0], b.send[1][1], b.send[2][2]};
  };
  // Ring: piece i goes from member i + 1 around to i: x0 + (x2 + x1), x1 + (x0 + x2), x2 + (x1 +
  // x0).
  const std::vector<double> ring = {x[0] + (x[2] + x[1]), x[1] + (x[0] + x[2]),
                                    x[2] + (x[1] + x[0])};
  ASSERT_EQ(ring, (std::vector<double>{0, 1, 0}));
  EXPECT_EQ(reduced(Pattern::kReduceScatter, Algorithm::kRing), ring);
  EXPECT_EQ(reduced(Pattern::kAllReduce, Algorithm::kRing), ring);
  // Direct: member i adds those before it, the nearest first: (x0 + x2) + x1, (x1 + x0) + x2, (x2 +
  // x1) + x0.
  const std::vector<double> direct = {(x[0] + x[2]) + x[1], (x[1] + x[0]) + x[2],
                                      (x[2] + x[1]) + x[0]};
  ASSERT_EQ(direct, (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(reduced(Pattern::kReduceScatter, Algorithm::kDirect), direct);
  EXPECT_EQ(reduced(Pattern::kAllReduce, Algorithm::kDirect), direct);
  // Folded: member 1 folds onto 0 first: (x0 + x1) + x2 everywhere.
  const std::vector<double> folded(3, (x[0] + x[1]) + x[2]);
  EXPECT_EQ(reduced(Pattern::kAllReduce, Algorithm::kRecursiveDoubling), folded);
  EXPECT_EQ(reduced(Pattern::kAllReduce, Algorithm::kHalvingDoubling), folded);
  EXPECT_EQ(reduced(Pattern::kReduceScatter, Algorithm::kHalvingDoubling), folded);
}

TEST(CollectiveSchedule, AReduceScatterThenAnAllGatherGiveTheBitsOfTheAllReduce) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> value(-1, 1);
  struct Pair {
    Algorithm reduce_scatter, all_gather;
  };
  // Halving-doubling cuts by members only where these are a power of two.
  for (std::uint32_t p : {2u, 4u, 5u, 8u}) {
    for (Pair pair :
         {Pair{Algorithm::kRing, Algorithm::kRing}, Pair{Algorithm::kDirect, Algorithm::kDirect},
          Pair{Algorithm::kHalvingDoubling, Algorithm::kRecursiveDoubling}}) {
      SCOPED_TRACE(fmt::format("{} of {}", name_of(pair.reduce_scatter), p));
      const auto counts = even_counts(33, p);
      Buffers<double> once;
      for (std::uint32_t m = 0; m < p; ++m) {
        once.send.emplace_back(33);
        for (double& v : once.send.back()) v = value(random);
      }
      Buffers<double> twice = once;
      ASSERT_TRUE(execute(make_schedule(Pattern::kAllReduce, pair.reduce_scatter, counts),
                          Turns::kForward, once));
      ASSERT_TRUE(execute(make_schedule(Pattern::kReduceScatter, pair.reduce_scatter, counts),
                          Turns::kForward, twice));
      ASSERT_TRUE(execute(make_schedule(Pattern::kAllGather, pair.all_gather, counts),
                          Turns::kForward, twice));
      EXPECT_EQ(once.send, twice.send);
    }
  }
}

TEST(CollectiveSchedule, RoundsAreThoseOfTheTextbook) {
  using enum Algorithm;
  using enum Pattern;
  EXPECT_EQ(rounds_of(kAllReduce, kRing, 8), 14u);  // 2 (p-1)
  EXPECT_EQ(rounds_of(kAllReduce, kDirect, 8), 14u);
  EXPECT_EQ(rounds_of(kAllReduce, kRecursiveDoubling, 8), 3u);  // lg p
  EXPECT_EQ(rounds_of(kAllReduce, kRecursiveDoubling, 9), 5u);  // lg q + 2
  EXPECT_EQ(rounds_of(kAllReduce, kHalvingDoubling, 8), 6u);    // 2 lg p
  EXPECT_EQ(rounds_of(kAllReduce, kHalvingDoubling, 9), 8u);    // 2 lg q + 2
  EXPECT_EQ(rounds_of(kAllReduce, kBinomialTree, 8), 6u);       // 2 ceil(lg p)
  EXPECT_EQ(rounds_of(kAllReduce, kBinomialTree, 9), 8u);
  EXPECT_EQ(rounds_of(kReduceScatter, kRing, 8), 7u);  // p-1
  EXPECT_EQ(rounds_of(kReduceScatter, kDirect, 8), 7u);
  EXPECT_EQ(rounds_of(kReduceScatter, kHalvingDoubling, 8), 3u);
  EXPECT_EQ(rounds_of(kReduceScatter, kHalvingDoubling, 6), 4u);
  EXPECT_EQ(rounds_of(kAllGather, kRing, 8), 7u);
  EXPECT_EQ(rounds_of(kAllGather, kDirect, 8), 7u);
  EXPECT_EQ(rounds_of(kAllGather, kRecursiveDoubling, 8), 3u);
  EXPECT_EQ(rounds_of(kAllGather, kRecursiveDoubling, 6), 4u);
  EXPECT_EQ(rounds_of(kAllToAll, kDirect, 8), 7u);
  EXPECT_EQ(rounds_of(kBroadcast, kDirect, 8), 7u);
  EXPECT_EQ(rounds_of(kBroadcast, kBinomialTree, 8), 3u);  // ceil(lg p)
  EXPECT_EQ(rounds_of(kBroadcast, kBinomialTree, 9), 4u);
  EXPECT_EQ(rounds_of(kBroadcast, kRing, 9), 12u);  // ceil(lg p) + p-1
  EXPECT_EQ(rounds_of(kBroadcast, kHalvingDoubling, 8), 6u);
  EXPECT_EQ(rounds_of(kBroadcast, kHalvingDoubling, 9), 7u);
  EXPECT_EQ(rounds_of(kNone, kDirect, 8), 0u);
}

TEST(CollectiveSchedule, EveryRoundIsUsedAndNoneIsLeftOverWhereNoPieceIsEmpty) {
  for (const auto& [pattern, pattern_name] : enum_names(Pattern{})) {
    for (const auto& [algorithm, algorithm_name] : enum_names(Algorithm{})) {
      if (!why_not(pattern, algorithm).empty()) continue;
      for (std::uint32_t p : kMemberCounts) {
        SCOPED_TRACE(fmt::format("{} by {} of {}", pattern_name, algorithm_name, p));
        const std::size_t size = pattern == Pattern::kAllToAll ? std::size_t{p} * p : p;
        const Schedule schedule =
            make_schedule({pattern, algorithm, p, 0, std::vector<std::int64_t>(size, 2)});
        std::set<std::uint32_t> used;
        for (const ScheduleStep& s : schedule.steps) used.insert(s.round);
        EXPECT_EQ(used.size(), schedule.rounds);
        EXPECT_EQ(schedule.rounds, rounds_of(pattern, algorithm, p));
      }
    }
  }
}

TEST(CollectiveSchedule, EveryMemberSendsTheVolumeOfTheTextbook) {
  using enum Algorithm;
  using enum Pattern;
  constexpr std::int64_t kPiece = 6;
  const auto expect_sent = [&](Pattern pattern, Algorithm algorithm, std::uint32_t p,
                               std::int64_t sent) {
    SCOPED_TRACE(fmt::format("{} by {} of {}", name_of(pattern), name_of(algorithm), p));
    const std::size_t size = pattern == kAllToAll ? std::size_t{p} * p : p;
    const Schedule schedule =
        make_schedule({pattern, algorithm, p, 0, std::vector<std::int64_t>(size, kPiece)});
    for (std::uint32_t m = 0; m < p; ++m) {
      EXPECT_EQ(elements_sent(schedule, m), sent) << "member " << m;
      EXPECT_EQ(elements_received(schedule, m), sent) << "member " << m;
    }
  };
  for (std::uint32_t p : kMemberCounts) {
    const std::int64_t n = kPiece * p, part = n * (p - 1) / p;  // (p-1)/p n
    for (Algorithm algorithm : {kRing, kDirect}) {
      expect_sent(kAllReduce, algorithm, p, 2 * part);
      expect_sent(kReduceScatter, algorithm, p, part);
      expect_sent(kAllGather, algorithm, p, part);
    }
    expect_sent(kAllToAll, kDirect, p, part);
    if (!std::has_single_bit(p)) continue;
    expect_sent(kAllReduce, kHalvingDoubling, p, 2 * part);
    expect_sent(kReduceScatter, kHalvingDoubling, p, part);
    expect_sent(kAllGather, kRecursiveDoubling, p, part);
    expect_sent(kAllReduce, kRecursiveDoubling, p, n * std::countr_zero(p));
  }
}

TEST(CollectiveSchedule, FoldingAddsTheWholeBufferOnceEachWay) {
  // 3 members, 12 elements: 1 folds onto 0, then 0 and 2 exchange halves twice.
  const Schedule all =
      make_schedule(Pattern::kAllReduce, Algorithm::kHalvingDoubling, even_counts(12, 3));
  EXPECT_EQ(elements_sent(all, 0), 6 + 6 + 12);
  EXPECT_EQ(elements_sent(all, 1), 12);
  EXPECT_EQ(elements_sent(all, 2), 6 + 6);
  EXPECT_EQ(all.scratch_elements, 12);
  // The reduce-scatter gives one piece back; 0 and 1 stand together for 8 of 12.
  const Schedule scatter =
      make_schedule(Pattern::kReduceScatter, Algorithm::kHalvingDoubling, even_counts(12, 3));
  EXPECT_EQ(elements_sent(scatter, 0), 4 + 4);
  EXPECT_EQ(elements_sent(scatter, 1), 12);
  EXPECT_EQ(elements_sent(scatter, 2), 8);
  // The all-gather hands one piece over and the whole buffer back.
  const Schedule gather =
      make_schedule(Pattern::kAllGather, Algorithm::kRecursiveDoubling, even_counts(12, 3));
  EXPECT_EQ(elements_sent(gather, 0), 8 + 12);
  EXPECT_EQ(elements_sent(gather, 1), 4);
  EXPECT_EQ(elements_sent(gather, 2), 4);
}

TEST(CollectiveSchedule, ATreeSendsTheBufferOncePerOtherMember) {
  for (std::uint32_t p : kMemberCounts) {
    for (Algorithm algorithm : {Algorithm::kBinomialTree, Algorithm::kDirect}) {
      const Schedule schedule =
          make_schedule(Pattern::kBroadcast, algorithm, even_counts(10, p), p - 1);
      EXPECT_EQ(schedule.steps.size(), 2u * (p - 1)) << p;
      std::int64_t sent = 0;
      for (std::uint32_t m = 0; m < p; ++m) {
        sent += elements_sent(schedule, m);
        EXPECT_EQ(elements_received(schedule, m), m == p - 1 ? 0 : 10)
            << "member " << m << " of " << p;
      }
      EXPECT_EQ(sent, 10 * (p - 1));
    }
  }
}

TEST(CollectiveSchedule, ScratchIsTheLargestMessageThatIsAdded) {
  const auto scratch = [](Pattern pattern, Algorithm algorithm) {
    return make_schedule(pattern, algorithm, std::vector<std::int64_t>{1, 9, 2, 4})
        .scratch_elements;
  };
  EXPECT_EQ(scratch(Pattern::kReduceScatter, Algorithm::kRing), 9);
  EXPECT_EQ(scratch(Pattern::kReduceScatter, Algorithm::kDirect), 9);
  EXPECT_EQ(scratch(Pattern::kReduceScatter, Algorithm::kHalvingDoubling), 10);  // 1 + 9
  EXPECT_EQ(scratch(Pattern::kAllReduce, Algorithm::kRing), 4);  // of 16, cut evenly
  EXPECT_EQ(scratch(Pattern::kAllReduce, Algorithm::kHalvingDoubling), 8);
  EXPECT_EQ(scratch(Pattern::kAllReduce, Algorithm::kRecursiveDoubling), 16);
  EXPECT_EQ(scratch(Pattern::kAllGather, Algorithm::kRing), 0);
  EXPECT_EQ(scratch(Pattern::kBroadcast, Algorithm::kBinomialTree), 0);
}

TEST(CollectiveSchedule, ARingOfThreeReadsAsOnPaper) {
  const Schedule s =
      make_schedule(Pattern::kReduceScatter, Algorithm::kRing, std::vector<std::int64_t>{2, 3, 4});
  ASSERT_EQ(s.steps_of(0).size(), 2u);
  const ScheduleStep first{.round = 0,
                           .member = MemberId(0),
                           .send_to = MemberId(1),
                           .receive_from = MemberId(2),
                           .reduce = true,
                           .send = {5, 9},
                           .receive = {2, 5}};
  const ScheduleStep second{.round = 1,
                            .member = MemberId(0),
                            .send_to = MemberId(1),
                            .receive_from = MemberId(2),
                            .reduce = true,
                            .send = {2, 5},
                            .receive = {0, 2}};
  EXPECT_EQ(s.steps_of(0)[0], first);
  EXPECT_EQ(s.steps_of(0)[1], second);
  EXPECT_EQ(
      print(first),
      "{round=0, member=0, send_to=1, receive_from=2, reduce=true, send=[5, 9), receive=[2, 5)}");
}

TEST(CollectiveSchedule, NothingMovesInAPatternOfNoneOrAmongOneMember) {
  EXPECT_TRUE(make_schedule({Pattern::kNone, Algorithm::kDirect, 4, 0, {}}).steps.empty());
  const Schedule alone =
      make_schedule(Pattern::kAllReduce, Algorithm::kRing, std::vector<std::int64_t>{5});
  EXPECT_TRUE(alone.steps.empty());
  EXPECT_EQ(alone.rounds, 0u);
  EXPECT_EQ(alone.members, 1u);
}

TEST(CollectiveSchedule, EvenCountsDifferByAtMostOneTheLargerFirst) {
  EXPECT_EQ(even_counts(10, 4), (std::vector<std::int64_t>{3, 3, 2, 2}));
  EXPECT_EQ(even_counts(2, 3), (std::vector<std::int64_t>{1, 1, 0}));
  EXPECT_EQ(even_counts(0, 2), (std::vector<std::int64_t>{0, 0}));
}

TEST(CollectiveSchedule, BrokenPreconditionsThrowWithTheirValues) {
  const std::vector<std::int64_t> two{1, 1};
  EXPECT_THROW(make_schedule(Pattern::kBoxes, Algorithm::kDirect, two), InvariantError);
  EXPECT_THROW(make_schedule(Pattern::kAllGather, Algorithm::kBinomialTree, two), InvariantError);
  EXPECT_THROW(make_schedule(Pattern::kAllReduce, Algorithm::kRing, two, 1), InvariantError);
  EXPECT_THROW(make_schedule(Pattern::kBroadcast, Algorithm::kRing, two, 2), InvariantError);
  EXPECT_THROW(
      make_schedule(Pattern::kAllReduce, Algorithm::kRing, std::vector<std::int64_t>{1, -1}),
      InvariantError);
  EXPECT_THROW(make_schedule(Pattern::kAllReduce, Algorithm::kRing, std::vector<std::int64_t>{}),
               InvariantError);
  EXPECT_THROW(make_schedule(Pattern::kAllToAll, Algorithm::kDirect, two), InvariantError);
  EXPECT_THROW(make_all_to_all(Algorithm::kDirect, 2, two), InvariantError);
  try {
    make_all_to_all(Algorithm::kDirect, 2, two);
  } catch (const InvariantError& e) {
    EXPECT_NE(std::string(e.what()).find("all-to-all of 2 members takes 4 counts, got 2"),
              std::string::npos)
        << e.what();
  }
}

TEST(CollectiveSchedule, EveryRefusedPairHasAReasonAndEveryPatternButBoxesHasAnAlgorithm) {
  for (const auto& [pattern, pattern_name] : enum_names(Pattern{})) {
    std::size_t accepted = 0;
    for (const auto& [algorithm, algorithm_name] : enum_names(Algorithm{}))
      accepted += why_not(pattern, algorithm).empty();
    EXPECT_EQ(accepted > 0, pattern != Pattern::kBoxes) << pattern_name;
  }
}

TEST(DefaultAlgorithm, IsAlwaysOneThatExists) {
  for (const auto& [pattern, name] : enum_names(Pattern{})) {
    if (pattern == Pattern::kBoxes) continue;
    for (std::uint32_t p = 1; p <= 40; ++p)
      for (Bytes total : {0_B, 1_KiB, 10_KiB, 100_KiB, 1_MiB, 1_GiB})
        EXPECT_EQ(why_not(pattern, default_algorithm(pattern, p, total)), "")
            << name << " of " << p;
  }
}

TEST(DefaultAlgorithm, FollowsTheDocumentedSizes) {
  using enum Algorithm;
  using enum Pattern;
  EXPECT_EQ(default_algorithm(kAllReduce, 8, 2_KiB), kRecursiveDoubling);
  EXPECT_EQ(default_algorithm(kAllReduce, 8, 2_KiB + 1_B), kHalvingDoubling);
  EXPECT_EQ(default_algorithm(kAllReduce, 8, 512_KiB), kRing);
  EXPECT_EQ(default_algorithm(kAllReduce, 6, 79_KiB), kHalvingDoubling);
  EXPECT_EQ(default_algorithm(kAllReduce, 6, 80_KiB), kRing);
  EXPECT_EQ(default_algorithm(kReduceScatter, 8, 511_KiB), kHalvingDoubling);
  EXPECT_EQ(default_algorithm(kReduceScatter, 8, 512_KiB), kRing);
  EXPECT_EQ(default_algorithm(kAllGather, 8, 511_KiB), kRecursiveDoubling);
  EXPECT_EQ(default_algorithm(kAllGather, 7, 80_KiB), kRing);
  EXPECT_EQ(default_algorithm(kBroadcast, 8, 11_KiB), kBinomialTree);
  EXPECT_EQ(default_algorithm(kBroadcast, 7, 1_GiB), kBinomialTree);
  EXPECT_EQ(default_algorithm(kBroadcast, 8, 12_KiB), kHalvingDoubling);
  EXPECT_EQ(default_algorithm(kBroadcast, 9, 12_KiB), kRing);
  EXPECT_EQ(default_algorithm(kBroadcast, 8, 512_KiB), kRing);
  EXPECT_EQ(default_algorithm(kAllToAll, 8, 1_KiB), kDirect);
}

TEST(CollectiveSchedule, HashTellsSchedulesApartAndNotTheSameOne) {
  std::set<std::uint64_t> hashes;
  std::size_t made = 0;
  for (Algorithm algorithm : {Algorithm::kDirect, Algorithm::kRing, Algorithm::kRecursiveDoubling,
                              Algorithm::kHalvingDoubling, Algorithm::kBinomialTree}) {
    const Schedule s = make_schedule(Pattern::kAllReduce, algorithm, even_counts(64, 8));
    EXPECT_EQ(hash_of(s),
              hash_of(make_schedule(Pattern::kAllReduce, algorithm, even_counts(64, 8))));
    hashes.insert(hash_of(s));
    ++made;
  }
  EXPECT_EQ(hashes.size(), made);
}

TEST(CollectiveSchedule, CollectivesAndSchedulesComeBackFromJsonUnchanged) {
  for (const Collective& c : all_collectives()) {
    if (c.members > 5) continue;
    SCOPED_TRACE(label(c));
    const auto collective = from_json<Collective>(to_json(c));
    ASSERT_TRUE(collective) << collective.error().message;
    EXPECT_EQ(*collective, c);
    const Schedule schedule = make_schedule(c);
    const auto read = from_json<Schedule>(to_json(schedule));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, schedule);
  }
}

}  // namespace
}  // namespace soapstone::core
