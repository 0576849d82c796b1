// Step schedules of the collective algorithms, as pure values.
//
// The communication backends execute these steps over point-to-point messages
// in exactly this order, and the simulator expands the same steps.
//
// Letters: p members, n elements in the whole buffer, alpha the time to start
// a message, beta the time to move one element, gamma the time to add one
// element, lg the logarithm to base 2, q the largest power of two <= p.
// Every cost below assumes the one-port model that the steps keep to: in a
// round a member sends at most one message and receives at most one.
//
// Sources
//   [TRG]  R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of Collective
//          Communication Operations in MPICH", Int. J. High Performance
//          Computing Applications 19(1), 2005, 49-66.
//   [PY]   P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for
//          clusters of workstations", J. Parallel and Distributed Computing
//          69(2), 2009, 117-124.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/quantity.hpp"
#include "core/reflect.hpp"
#include "core/shape.hpp"

namespace soapstone::core {

// What moves. Each member has a working buffer of n elements made of pieces
// that lie one after the other; `counts` are the pieces' sizes, of which any
// may be zero.
enum class Pattern : std::uint8_t {
  kNone,           // nothing moves
  kAllReduce,      // starts with n contributions, ends with the n sums on every member
  kReduceScatter,  // starts with n contributions, ends with the sums of piece m on member m; the
                   // rest of the buffer is left with partial sums
  kAllGather,  // starts with piece m in its place on member m, ends with all pieces on every member
  kAllToAll,   // send buffer: a piece per destination; separate receive buffer: a piece per source
  kBroadcast,  // ends with the root's n elements on every member
  kBoxes,      // explicit box copies, listed by whoever names this pattern; has no schedule
};
SOAPSTONE_ENUM_NAMES(Pattern, {Pattern::kNone, "none"}, {Pattern::kAllReduce, "all-reduce"},
                     {Pattern::kReduceScatter, "reduce-scatter"},
                     {Pattern::kAllGather, "all-gather"}, {Pattern::kAllToAll, "all-to-all"},
                     {Pattern::kBroadcast, "broadcast"}, {Pattern::kBoxes, "boxes"})

// How it moves. `why_not` says which pairs of pattern and algorithm exist;
// those that do accept every number of members.
enum class Algorithm : std::uint8_t {
  // Every member sends straight to whom it must, in round s to the member
  // s + 1 places further (the pairwise exchange of [TRG]).
  //   reduce-scatter  (p-1) alpha + (p-1)/p n (beta + gamma)
  //   all-gather      (p-1) alpha + (p-1)/p n beta
  //   all-reduce      the sum of these two
  //   all-to-all      (p-1) alpha + (n - own piece) beta
  //   broadcast       (p-1) (alpha + n beta): the root sends to one member after the other
  kDirect,
  // Every member sends to the next one only ([TRG]; all-reduce: [PY]).
  //   reduce-scatter  (p-1) alpha + (p-1)/p n (beta + gamma)
  //   all-gather      (p-1) alpha + (p-1)/p n beta
  //   all-reduce      2(p-1) alpha + 2 (p-1)/p n beta + (p-1)/p n gamma
  //   broadcast       (ceil(lg p) + p-1) alpha + 2 (p-1)/p n beta: binomial scatter, then ring
  //                   all-gather (van de Geijn's, in [TRG])
  kRing,
  // Members at distance 1, 2, 4, ... exchange all that they have ([TRG]).
  //   all-gather      lg p alpha + (p-1)/p n beta
  //   all-reduce      lg p (alpha + n beta + n gamma)
  // p != q: folded, see kHalvingDoubling.
  kRecursiveDoubling,
  // Recursive halving at distance q/2, ..., 2, 1, then recursive doubling
  // (Rabenseifner's algorithm, in [TRG]).
  //   all-reduce      2 lg p alpha + 2 (p-1)/p n beta + (p-1)/p n gamma
  //   reduce-scatter  lg p alpha + (p-1)/p n (beta + gamma): the halving alone
  //   broadcast       2 lg p alpha + 2 (p-1)/p n beta: binomial scatter, which halves
  //                   what is left in every round, then recursive doubling
  // p != q: folded. Of the first 2(p-q) members (counted from the root) each
  // odd one gives what it has to the even one before it, which then stands for
  // both, and receives its result at the end. The costs above hold with q for p
  // (of reduce-scatter and all-gather only nearly, as some core members stand
  // for two pieces and some for one). Giving adds alpha + n (beta + gamma) to
  // a sum, alpha + n/p beta to an all-gather, nothing to a broadcast; the
  // result adds alpha + n beta, and alpha + n/p beta to a reduce-scatter.
  kHalvingDoubling,
  // Along a binomial tree ([TRG]).
  //   broadcast       ceil(lg p) (alpha + n beta)
  //   all-reduce      ceil(lg p) (2 alpha + 2 n beta + n gamma): reduce to member 0, then broadcast
  kBinomialTree,
};
SOAPSTONE_ENUM_NAMES(Algorithm, {Algorithm::kDirect, "direct"}, {Algorithm::kRing, "ring"},
                     {Algorithm::kRecursiveDoubling, "recursive-doubling"},
                     {Algorithm::kHalvingDoubling, "halving-doubling"},
                     {Algorithm::kBinomialTree, "binomial-tree"})

// A place in the list of a collective's participants, 0 .. p-1; neither a rank nor a device.
struct MemberTag {};
using MemberId = Id<MemberTag>;

// A collective to be scheduled.
struct Collective {
  Pattern pattern = Pattern::kNone;
  Algorithm algorithm = Algorithm::kDirect;
  std::uint32_t members = 1;
  std::uint32_t root = 0;  // of a broadcast; 0 for every other pattern
  // Sizes in elements. all-to-all: p x p, row-major [source, destination].
  // Every other pattern: one piece per member; all-reduce and broadcast use
  // the sum only and cut the buffer themselves with `even_counts`.
  std::vector<std::int64_t> counts;

  friend bool operator==(const Collective&, const Collective&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("pattern", self.pattern);
    visit("algorithm", self.algorithm);
    visit("members", self.members);
    visit("root", self.root, kOptional);
    visit("counts", self.counts);
  }
};

// One member's part in one round. The send and the receive are posted
// together, and both are waited for before the member's next step. What
// arrives is received into scratch and then added where `reduce` is set (so
// that the ranges may overlap); else it overwrites the range, which then is
// disjoint from the range sent.
//
// A message is identified by (round, sender, receiver), never empty, and its
// receive stands in the same round with the same extent. All ranges are
// elements of the working buffer; of an all-to-all, `send` lies in the send
// buffer and `receive` in the receive buffer.
struct ScheduleStep {
  std::uint32_t round = 0;
  MemberId member;
  MemberId send_to;       // none: sends nothing
  MemberId receive_from;  // none: receives nothing
  bool reduce = false;    // buffer[i] = buffer[i] + received[i]
  Interval send;
  Interval receive;

  friend bool operator==(const ScheduleStep&, const ScheduleStep&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("round", self.round);
    visit("member", self.member);
    visit("send_to", self.send_to, kOptional);
    visit("receive_from", self.receive_from, kOptional);
    visit("reduce", self.reduce, kOptional);
    visit("send", self.send, kOptional);
    visit("receive", self.receive, kOptional);
  }
};

// The piece of an all-to-all that a member sends to itself: copied from its
// send buffer to its receive buffer, at any time, and in no step.
struct OwnCopy {
  Interval send;
  Interval receive;

  friend bool operator==(const OwnCopy&, const OwnCopy&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("send", self.send);
    visit("receive", self.receive);
  }
};

// The steps of all members. Each member's steps lie together, in the order of
// rounds, at most one per round; where nothing moves there is no step.
//
// Bits: the order in which values are summed depends on (pattern, algorithm,
// members, counts) only. All members of an all-reduce end with the same bits:
// each sum is either formed on one member and copied, or formed by both
// partners of an exchange as a + b and b + a, which IEEE addition makes equal.
struct Schedule {
  std::uint32_t members = 0;
  std::uint32_t rounds = 0;  // of the algorithm, also when empty pieces leave a round without steps
  std::int64_t scratch_elements = 0;      // largest receive that is added
  std::vector<std::uint32_t> first_step;  // per member, and the end
  std::vector<ScheduleStep> steps;        // by member, then round
  std::vector<OwnCopy> own_copies;        // all-to-all: one per member; else empty

  std::span<const ScheduleStep> steps_of(std::uint32_t member) const {
    return std::span(steps).subspan(first_step[member],
                                    first_step[member + 1] - first_step[member]);
  }

  friend bool operator==(const Schedule&, const Schedule&) = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("members", self.members);
    visit("rounds", self.rounds);
    visit("scratch_elements", self.scratch_elements);
    visit("first_step", self.first_step);
    visit("steps", self.steps);
    visit("own_copies", self.own_copies, kOptional);
  }
};

// Why `pattern` cannot be done by `algorithm`, as a sentence; empty if it can.
std::string_view why_not(Pattern pattern, Algorithm algorithm);

// The rounds that the algorithm takes.
std::uint32_t rounds_of(Pattern pattern, Algorithm algorithm, std::uint32_t members);

// `total` elements in `parts` pieces that differ by at most one, the larger ones first.
std::vector<std::int64_t> even_counts(std::int64_t total, std::uint32_t parts);

// All steps: at most rounds x members of them, 56 bytes each (a ring
// all-reduce of 1,024 members has 2 million). Where that is too many,
// `make_steps` gives the same steps one member at a time.
Schedule make_schedule(const Collective& collective);

// The steps of one member, equal to `make_schedule(collective).steps_of(member)`, without making
// the others'.
std::vector<ScheduleStep> make_steps(const Collective& collective, std::uint32_t member);

// The piece of an all-to-all that stays where it is; empty for other patterns.
OwnCopy own_copy(const Collective& collective, std::uint32_t member);

// Every pattern but all-to-all; there are as many members as counts.
Schedule make_schedule(Pattern pattern, Algorithm algorithm, std::span<const std::int64_t> counts,
                       std::uint32_t root = 0);
// All-to-all; `counts` is [source, destination].
Schedule make_all_to_all(Algorithm algorithm, std::uint32_t members,
                         std::span<const std::int64_t> counts);

// Indices into `schedule.steps` in the order of rounds, then members.
std::vector<std::uint32_t> steps_by_round(const Schedule& schedule);

// A simple rule from the sizes at which MPICH switches (those of [TRG]), `total`
// being the whole buffer (all-to-all: of one member).
//   all-reduce       <= 2 KiB recursive doubling; medium halving-doubling; long ring
//   reduce-scatter   medium halving-doubling; long ring
//   all-gather       medium recursive doubling; long ring
//   broadcast        < 12 KiB or < 8 members binomial tree; < 512 KiB and p a power of two
//                    halving-doubling; else ring
//   all-to-all       direct
// "Medium" ends at 512 KiB if p is a power of two. Else it ends at 80 KiB,
// where MPICH leaves its logarithmic all-gather for the ring: folding moves
// the whole buffer once more. Long reduce-scatters are pairwise in MPICH; the
// ring costs the same and loads the links between neighbours only.
Algorithm default_algorithm(Pattern pattern, std::uint32_t members, Bytes total);

std::int64_t elements_sent(const Schedule& schedule, std::uint32_t member);
std::int64_t elements_received(const Schedule& schedule, std::uint32_t member);

}  // namespace soapstone::core
