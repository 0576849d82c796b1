#include "core/collectives/schedule.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/assert.hpp"

namespace soapstone::core {
namespace {

constexpr std::uint32_t kNobody = MemberId::kNone;

// A send or a receive of one member in one round: [begin, end) of a buffer
// to or from `peer`.
struct Side {
  std::uint32_t peer = kNobody;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
constexpr Side kNothing{};

enum class Arrival { kOverwrite, kAdd };

// The largest power of two members and how the others fold onto them. Among
// the first 2 x extra members each odd one folds onto the even one before it,
// so that what a run of core members stands for stays one run of pieces.
struct Fold {
  std::uint32_t core;
  std::uint32_t extra;

  explicit Fold(std::uint32_t members) : core(std::bit_floor(members)), extra(members - core) {}
  // The member with index `i` among the core members; `member_of(core)` is the number of members.
  std::uint32_t member_of(std::uint32_t i) const { return i + std::min(i, extra); }
  bool folds_away(std::uint32_t member) const { return member < 2 * extra && member % 2 == 1; }
  bool has_extra(std::uint32_t member) const { return member < 2 * extra && member % 2 == 0; }
  std::uint32_t core_index(std::uint32_t member) const {
    return member < 2 * extra ? member / 2 : member - extra;
  }
};

// Where pieces begin; the last entry is the total.
std::vector<std::int64_t> offsets_of(std::span<const std::int64_t> counts) {
  std::vector<std::int64_t> offsets(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), offsets.begin() + 1);
  return offsets;
}

// Writes one member's steps, phase after phase. Members are counted from the
// root here ("virtual" members); `put` turns them into real ones.
class Writer {
 public:
  Writer(const Collective& c, std::uint32_t member, std::span<const std::int64_t> offsets,
         std::vector<ScheduleStep>& out)
      : members_(c.members),
        root_(c.root),
        self_(member >= c.root ? member - c.root : member + c.members - c.root),
        fold_(c.members),
        at_(offsets),
        out_(out) {}

  void ring_reduce_scatter() {
    for (std::uint32_t s = 0; s + 1 < members_; ++s)
      put(Arrival::kAdd, piece(next(1), prev(s + 1)), piece(prev(1), prev(s + 2)));
  }

  void ring_all_gather() {
    for (std::uint32_t s = 0; s + 1 < members_; ++s)
      put(Arrival::kOverwrite, piece(next(1), prev(s)), piece(prev(1), prev(s + 1)));
  }

  void direct_reduce_scatter() {
    for (std::uint32_t s = 1; s < members_; ++s)
      put(Arrival::kAdd, piece(next(s), next(s)), piece(prev(s), self_));
  }

  void direct_all_gather() {
    for (std::uint32_t s = 1; s < members_; ++s)
      put(Arrival::kOverwrite, piece(next(s), self_), piece(prev(s), prev(s)));
  }

  void direct_broadcast() {
    for (std::uint32_t s = 1; s < members_; ++s)
      put(Arrival::kOverwrite, self_ == 0 ? whole(s) : kNothing, self_ == s ? whole(0) : kNothing);
  }

  // send[d] and receive[s]: the pieces of this member's two buffers.
  void direct_all_to_all(std::span<const std::int64_t> send,
                         std::span<const std::int64_t> receive) {
    for (std::uint32_t s = 1; s < members_; ++s) {
      const std::uint32_t to = next(s), from = prev(s);
      put(Arrival::kOverwrite, {to, send[to], send[to + 1]},
          {from, receive[from], receive[from + 1]});
    }
  }

  void binomial_reduce() {
    for (std::uint32_t distance = 1; distance < members_; distance *= 2) {
      const std::uint32_t place = self_ & (2 * distance - 1);
      const bool has_child = place == 0 && self_ + distance < members_;
      put(Arrival::kAdd, place == distance ? whole(self_ - distance) : kNothing,
          has_child ? whole(self_ + distance) : kNothing);
    }
  }

  void binomial_broadcast() {
    for (std::uint32_t distance = std::bit_ceil(members_) / 2; distance > 0; distance /= 2) {
      const std::uint32_t place = self_ & (2 * distance - 1);
      const bool has_child = place == 0 && self_ + distance < members_;
      put(Arrival::kOverwrite, has_child ? whole(self_ + distance) : kNothing,
          place == distance ? whole(self_ - distance) : kNothing);
    }
  }

  // Down the same tree, but each subtree gets only its own chunks. `count`
  // members, the chunks of which are those of `at_`, take part, this one as number `i`.
  void binomial_scatter(std::uint32_t count, std::uint32_t i, auto&& member_of) {
    for (std::uint32_t distance = std::bit_ceil(count) / 2; distance > 0; distance /= 2) {
      const std::uint32_t place = i & (2 * distance - 1);
      const auto subtree = [&](std::uint32_t peer, std::uint32_t top) {
        return Side{member_of(peer), at_[top], at_[std::min(top + distance, count)]};
      };
      const bool has_child = place == 0 && i + distance < count;
      put(Arrival::kOverwrite, has_child ? subtree(i + distance, i + distance) : kNothing,
          place == distance ? subtree(i - distance, i) : kNothing);
    }
  }

  void ring_broadcast() {
    binomial_scatter(members_, self_, [](std::uint32_t i) { return i; });
    ring_all_gather();
  }

  void recursive_doubling_all_reduce() {
    fold_in(whole_range(), Arrival::kAdd);
    if (is_core()) {
      const std::uint32_t i = fold_.core_index(self_);
      for (std::uint32_t distance = 1; distance < fold_.core; distance *= 2) {
        const Side all = whole(fold_.member_of(i ^ distance));
        put(Arrival::kAdd, all, all);
      }
    } else {
      round_ += doublings();
    }
    fold_out(whole_range());
  }

  // `at_` holds the chunks of the core members.
  void halving_doubling_all_reduce() {
    fold_in(whole_range(), Arrival::kAdd);
    const auto chunk = [](std::uint32_t i) { return i; };
    halving(chunk);
    doubling(chunk);
    fold_out(whole_range());
  }

  // `at_` holds the members' pieces, in the next two too.
  void halving_reduce_scatter() {
    fold_in(whole_range(), Arrival::kAdd);
    halving([this](std::uint32_t i) { return fold_.member_of(i); });
    fold_out(folded_piece());
  }

  void doubling_all_gather() {
    fold_in(folded_piece(), Arrival::kOverwrite);
    doubling([this](std::uint32_t i) { return fold_.member_of(i); });
    fold_out(whole_range());
  }

  // `at_` holds the chunks of the core members.
  void halving_doubling_broadcast() {
    if (is_core())
      binomial_scatter(fold_.core, fold_.core_index(self_),
                       [this](std::uint32_t i) { return fold_.member_of(i); });
    else
      round_ += doublings();
    doubling([](std::uint32_t i) { return i; });
    fold_out(whole_range());
  }

 private:
  bool is_core() const { return !fold_.folds_away(self_); }
  std::uint32_t doublings() const {
    return static_cast<std::uint32_t>(std::countr_zero(fold_.core));
  }
  std::uint32_t next(std::uint32_t distance) const {
    const std::uint32_t m = self_ + distance;
    return m >= members_ ? m - members_ : m;
  }
  std::uint32_t prev(std::uint32_t distance) const {
    return self_ >= distance ? self_ - distance : self_ + members_ - distance;
  }
  Side piece(std::uint32_t peer, std::uint32_t index) const {
    return {peer, at_[index], at_[index + 1]};
  }
  // The piece of the odd one of the two members that are folded together.
  Interval folded_piece() const {
    if (self_ >= 2 * fold_.extra) return {};
    return {at_[self_ | 1u], at_[(self_ | 1u) + 1]};
  }
  Interval whole_range() const { return {0, at_.back()}; }
  Side whole(std::uint32_t peer) const { return {peer, 0, at_.back()}; }

  // One round in which those that fold away hand `handed` over.
  void fold_in(Interval handed, Arrival arrival) {
    if (fold_.extra == 0) return;
    put(arrival, is_core() ? kNothing : Side{self_ - 1, handed.begin, handed.end},
        fold_.has_extra(self_) ? Side{self_ + 1, handed.begin, handed.end} : kNothing);
  }
  // One round in which they get their result.
  void fold_out(Interval result) {
    if (fold_.extra == 0) return;
    put(Arrival::kOverwrite,
        fold_.has_extra(self_) ? Side{self_ + 1, result.begin, result.end} : kNothing,
        is_core() ? kNothing : Side{self_ - 1, result.begin, result.end});
  }

  // `first(i)`: the first chunk that core member i stands for.
  void halving(auto&& first) {
    if (!is_core()) {
      round_ += doublings();
      return;
    }
    const std::uint32_t i = fold_.core_index(self_);
    for (std::uint32_t half = fold_.core / 2; half > 0; half /= 2) {
      const std::uint32_t kept = i & ~(half - 1), given = kept ^ half,
                          peer = fold_.member_of(i ^ half);
      put(Arrival::kAdd, {peer, at_[first(given)], at_[first(given + half)]},
          {peer, at_[first(kept)], at_[first(kept + half)]});
    }
  }
  void doubling(auto&& first) {
    if (!is_core()) {
      round_ += doublings();
      return;
    }
    const std::uint32_t i = fold_.core_index(self_);
    for (std::uint32_t size = 1; size < fold_.core; size *= 2) {
      const std::uint32_t mine = i & ~(size - 1), theirs = mine ^ size,
                          peer = fold_.member_of(i ^ size);
      put(Arrival::kOverwrite, {peer, at_[first(mine)], at_[first(mine + size)]},
          {peer, at_[first(theirs)], at_[first(theirs + size)]});
    }
  }

  MemberId real(std::uint32_t v) const {
    const std::uint32_t m = v + root_;
    return MemberId(m >= members_ ? m - members_ : m);
  }

  // Ends the round; empty messages are left out.
  void put(Arrival arrival, Side send, Side receive) {
    const bool sends = send.end > send.begin, receives = receive.end > receive.begin;
    if (sends || receives) {
      ScheduleStep& step = out_.emplace_back();
      step.round = round_;
      step.member = real(self_);
      if (sends) {
        step.send_to = real(send.peer);
        step.send = {send.begin, send.end};
      }
      if (receives) {
        step.receive_from = real(receive.peer);
        step.receive = {receive.begin, receive.end};
        step.reduce = arrival == Arrival::kAdd;
      }
    }
    ++round_;
  }

  std::uint32_t members_;
  std::uint32_t root_;
  std::uint32_t self_;
  Fold fold_;
  std::span<const std::int64_t> at_;
  std::vector<ScheduleStep>& out_;
  std::uint32_t round_ = 0;
};

void check(const Collective& c) {
  const std::string_view reason = why_not(c.pattern, c.algorithm);
  SOAPSTONE_ASSERT(reason.empty(), "{} by {}: {}", name_of(c.pattern), name_of(c.algorithm),
                   reason);
  SOAPSTONE_ASSERT(c.members >= 1, "a collective has at least one member");
  SOAPSTONE_ASSERT(c.members <= 1u << 30, "{} members are more than the schedules count",
                   c.members);
  SOAPSTONE_ASSERT(c.root < c.members, "root {} of {} members", c.root, c.members);
  SOAPSTONE_ASSERT(c.root == 0 || c.pattern == Pattern::kBroadcast,
                   "{} has no root, but root is {}", name_of(c.pattern), c.root);
  if (c.pattern == Pattern::kNone) return;
  const std::size_t wanted =
      c.pattern == Pattern::kAllToAll ? static_cast<std::size_t>(c.members) * c.members : c.members;
  SOAPSTONE_ASSERT(c.counts.size() == wanted, "{} of {} members takes {} counts, got {}",
                   name_of(c.pattern), c.members, wanted, c.counts.size());
  for (std::int64_t count : c.counts) SOAPSTONE_ASSERT(count >= 0, "a piece of {} elements", count);
}

// Where the pieces begin that the algorithm moves.
std::vector<std::int64_t> piece_offsets(const Collective& c) {
  switch (c.pattern) {
    case Pattern::kReduceScatter:
    case Pattern::kAllGather:
      return offsets_of(c.counts);
    case Pattern::kAllReduce:
    case Pattern::kBroadcast: {
      const std::int64_t total = std::accumulate(c.counts.begin(), c.counts.end(), std::int64_t{0});
      switch (c.algorithm) {
        case Algorithm::kHalvingDoubling:
          return offsets_of(even_counts(total, std::bit_floor(c.members)));
        case Algorithm::kRing:
          return offsets_of(even_counts(total, c.members));
        case Algorithm::kDirect:
          if (c.pattern == Pattern::kAllReduce) return offsets_of(even_counts(total, c.members));
          return {0, total};
        case Algorithm::kRecursiveDoubling:
        case Algorithm::kBinomialTree:
          return {0, total};
      }
      return {};
    }
    case Pattern::kNone:
    case Pattern::kAllToAll:
    case Pattern::kBoxes:
      return {};
  }
  return {};
}

// The beginnings of the pieces of one member's send and receive buffer.
struct PairOffsets {
  std::vector<std::int64_t> send;
  std::vector<std::int64_t> receive;
};
PairOffsets pair_offsets(const Collective& c, std::uint32_t member) {
  const std::size_t p = c.members;
  PairOffsets at{offsets_of(std::span(c.counts).subspan(member * p, p)),
                 std::vector<std::int64_t>(p + 1, 0)};
  for (std::size_t source = 0; source < p; ++source)
    at.receive[source + 1] = at.receive[source] + c.counts[source * p + member];
  return at;
}

void append_steps(const Collective& c, std::uint32_t member, std::span<const std::int64_t> offsets,
                  std::vector<ScheduleStep>& out) {
  Writer w(c, member, offsets, out);
  switch (c.pattern) {
    case Pattern::kNone:
    case Pattern::kBoxes:
      return;
    case Pattern::kAllReduce:
      switch (c.algorithm) {
        case Algorithm::kDirect:
          w.direct_reduce_scatter();
          return w.direct_all_gather();
        case Algorithm::kRing:
          w.ring_reduce_scatter();
          return w.ring_all_gather();
        case Algorithm::kRecursiveDoubling:
          return w.recursive_doubling_all_reduce();
        case Algorithm::kHalvingDoubling:
          return w.halving_doubling_all_reduce();
        case Algorithm::kBinomialTree:
          w.binomial_reduce();
          return w.binomial_broadcast();
      }
      return;
    case Pattern::kReduceScatter:
      if (c.algorithm == Algorithm::kDirect) return w.direct_reduce_scatter();
      if (c.algorithm == Algorithm::kRing) return w.ring_reduce_scatter();
      return w.halving_reduce_scatter();
    case Pattern::kAllGather:
      if (c.algorithm == Algorithm::kDirect) return w.direct_all_gather();
      if (c.algorithm == Algorithm::kRing) return w.ring_all_gather();
      return w.doubling_all_gather();
    case Pattern::kAllToAll: {
      const PairOffsets at = pair_offsets(c, member);
      return w.direct_all_to_all(at.send, at.receive);
    }
    case Pattern::kBroadcast:
      if (c.algorithm == Algorithm::kDirect) return w.direct_broadcast();
      if (c.algorithm == Algorithm::kRing) return w.ring_broadcast();
      if (c.algorithm == Algorithm::kHalvingDoubling) return w.halving_doubling_broadcast();
      return w.binomial_broadcast();
  }
}

}  // namespace

std::string_view why_not(Pattern pattern, Algorithm algorithm) {
  switch (pattern) {
    case Pattern::kNone:
    case Pattern::kAllReduce:
      return {};
    case Pattern::kReduceScatter:
      if (algorithm == Algorithm::kRecursiveDoubling)
        return "recursive doubling would sum every piece on every member; the halving of "
               "halving-doubling sums each once";
      if (algorithm == Algorithm::kBinomialTree)
        return "a binomial tree would sum every piece on member 0 first; halving-doubling takes as "
               "few rounds";
      return {};
    case Pattern::kAllGather:
      if (algorithm == Algorithm::kHalvingDoubling)
        return "an all-gather has nothing to halve; its doubling half is recursive-doubling";
      if (algorithm == Algorithm::kBinomialTree)
        return "a binomial tree would gather every piece on member 0 first; recursive-doubling "
               "takes fewer rounds";
      return {};
    case Pattern::kAllToAll:
      if (algorithm != Algorithm::kDirect)
        return "every pair of members exchanges a piece of its own, so that only direct sends each "
               "piece once";
      return {};
    case Pattern::kBroadcast:
      if (algorithm == Algorithm::kRecursiveDoubling)
        return "only the root has something to send; halving-doubling scatters it first";
      return {};
    case Pattern::kBoxes:
      return "box copies are listed one by one and have no schedule";
  }
  return "unknown pattern";
}

std::uint32_t rounds_of(Pattern pattern, Algorithm algorithm, std::uint32_t members) {
  const std::string_view reason = why_not(pattern, algorithm);
  SOAPSTONE_ASSERT(reason.empty(), "{} by {}: {}", name_of(pattern), name_of(algorithm), reason);
  SOAPSTONE_ASSERT(members >= 1, "a collective has at least one member");
  if (pattern == Pattern::kNone) return 0;
  const std::uint32_t others = members - 1;
  const auto floor_log = static_cast<std::uint32_t>(std::bit_width(members)) - 1;
  const auto ceil_log = static_cast<std::uint32_t>(std::bit_width(others));
  const std::uint32_t fold = std::has_single_bit(members) ? 0 : 1;
  switch (algorithm) {
    case Algorithm::kDirect:
      return pattern == Pattern::kAllReduce ? 2 * others : others;
    case Algorithm::kRing:
      if (pattern == Pattern::kAllReduce) return 2 * others;
      return pattern == Pattern::kBroadcast ? ceil_log + others : others;
    case Algorithm::kRecursiveDoubling:
      return floor_log + 2 * fold;
    case Algorithm::kHalvingDoubling:
      if (pattern == Pattern::kReduceScatter) return floor_log + 2 * fold;
      return 2 * floor_log + (pattern == Pattern::kBroadcast ? fold : 2 * fold);
    case Algorithm::kBinomialTree:
      return pattern == Pattern::kBroadcast ? ceil_log : 2 * ceil_log;
  }
  return 0;
}

std::vector<std::int64_t> even_counts(std::int64_t total, std::uint32_t parts) {
  SOAPSTONE_ASSERT(total >= 0 && parts >= 1, "{} elements in {} parts", total, parts);
  const std::int64_t each = total / parts, larger = total % parts;
  std::vector<std::int64_t> counts(parts, each);
  std::fill_n(counts.begin(), larger, each + 1);
  return counts;
}

Schedule make_schedule(const Collective& c) {
  check(c);
  Schedule schedule;
  schedule.members = c.members;
  schedule.rounds = rounds_of(c.pattern, c.algorithm, c.members);
  const std::uint64_t most = static_cast<std::uint64_t>(schedule.rounds) * c.members;
  SOAPSTONE_ASSERT(most <= 0xffffffffu,
                   "{} rounds of {} members are more steps than one schedule holds",
                   schedule.rounds, c.members);
  // One message per other member is all that these two send.
  const bool sparse = c.pattern == Pattern::kBroadcast && (c.algorithm == Algorithm::kDirect ||
                                                           c.algorithm == Algorithm::kBinomialTree);
  schedule.steps.reserve(sparse ? 2 * std::size_t{c.members} * std::bit_width(c.members) : most);
  schedule.first_step.reserve(c.members + 1);
  const std::vector<std::int64_t> offsets = piece_offsets(c);
  for (std::uint32_t member = 0; member < c.members; ++member) {
    schedule.first_step.push_back(static_cast<std::uint32_t>(schedule.steps.size()));
    append_steps(c, member, offsets, schedule.steps);
    if (c.pattern == Pattern::kAllToAll) schedule.own_copies.push_back(own_copy(c, member));
  }
  schedule.first_step.push_back(static_cast<std::uint32_t>(schedule.steps.size()));
  for (const ScheduleStep& step : schedule.steps)
    if (step.reduce)
      schedule.scratch_elements = std::max(schedule.scratch_elements, step.receive.extent());
  return schedule;
}

std::vector<ScheduleStep> make_steps(const Collective& c, std::uint32_t member) {
  check(c);
  SOAPSTONE_ASSERT(member < c.members, "member {} of {}", member, c.members);
  std::vector<ScheduleStep> steps;
  append_steps(c, member, piece_offsets(c), steps);
  return steps;
}

OwnCopy own_copy(const Collective& c, std::uint32_t member) {
  SOAPSTONE_ASSERT(member < c.members, "member {} of {}", member, c.members);
  if (c.pattern != Pattern::kAllToAll) return {};
  const std::size_t p = c.members;
  const std::int64_t count = c.counts[member * p + member];
  if (count == 0) return {};
  OwnCopy copy;
  for (std::size_t other = 0; other < member; ++other) {
    copy.send.begin += c.counts[member * p + other];
    copy.receive.begin += c.counts[other * p + member];
  }
  copy.send.end = copy.send.begin + count;
  copy.receive.end = copy.receive.begin + count;
  return copy;
}

Schedule make_schedule(Pattern pattern, Algorithm algorithm, std::span<const std::int64_t> counts,
                       std::uint32_t root) {
  SOAPSTONE_ASSERT(pattern != Pattern::kAllToAll,
                   "the counts of an all-to-all go to make_all_to_all");
  return make_schedule(Collective{.pattern = pattern,
                                  .algorithm = algorithm,
                                  .members = static_cast<std::uint32_t>(counts.size()),
                                  .root = root,
                                  .counts = {counts.begin(), counts.end()}});
}

Schedule make_all_to_all(Algorithm algorithm, std::uint32_t members,
                         std::span<const std::int64_t> counts) {
  return make_schedule(Collective{.pattern = Pattern::kAllToAll,
                                  .algorithm = algorithm,
                                  .members = members,
                                  .counts = {counts.begin(), counts.end()}});
}

std::vector<std::uint32_t> steps_by_round(const Schedule& schedule) {
  std::vector<std::uint32_t> next(schedule.rounds + std::size_t{1}, 0);
  for (const ScheduleStep& step : schedule.steps) ++next[step.round + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<std::uint32_t> order(schedule.steps.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[next[schedule.steps[i].round]++] = i;
  return order;
}

Algorithm default_algorithm(Pattern pattern, std::uint32_t members, Bytes total) {
  constexpr Bytes kShortAllReduce(2 << 10), kShortBroadcast(12 << 10);
  constexpr Bytes kLong(512 << 10), kLongFolded(80 << 10);
  constexpr std::uint32_t kFewestForScatter = 8;
  const bool power_of_two = std::has_single_bit(members);
  const bool is_long = total >= (power_of_two ? kLong : kLongFolded);
  switch (pattern) {
    case Pattern::kAllReduce:
      if (total <= kShortAllReduce) return Algorithm::kRecursiveDoubling;
      return is_long ? Algorithm::kRing : Algorithm::kHalvingDoubling;
    case Pattern::kReduceScatter:
      return is_long ? Algorithm::kRing : Algorithm::kHalvingDoubling;
    case Pattern::kAllGather:
      return is_long ? Algorithm::kRing : Algorithm::kRecursiveDoubling;
    case Pattern::kBroadcast:
      if (total < kShortBroadcast || members < kFewestForScatter) return Algorithm::kBinomialTree;
      return power_of_two && !is_long ? Algorithm::kHalvingDoubling : Algorithm::kRing;
    case Pattern::kNone:
    case Pattern::kAllToAll:
    case Pattern::kBoxes:
      return Algorithm::kDirect;
  }
  return Algorithm::kDirect;
}

std::int64_t elements_sent(const Schedule& schedule, std::uint32_t member) {
  std::int64_t sum = 0;
  for (const ScheduleStep& step : schedule.steps_of(member)) sum += step.send.extent();
  return sum;
}

std::int64_t elements_received(const Schedule& schedule, std::uint32_t member) {
  std::int64_t sum = 0;
  for (const ScheduleStep& step : schedule.steps_of(member)) sum += step.receive.extent();
  return sum;
}

}  // namespace soapstone::core
