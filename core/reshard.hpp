// Moving a tensor from one layout to another.
#pragma once

#include <cstdint>
#include <vector>

#include "core/collectives/schedule.hpp"
#include "core/layout.hpp"

namespace soapstone::core {

// `box` of shard `src` of the old layout goes into shard `dst` of the new one.
struct BoxMove {
  std::uint32_t src = 0;
  std::uint32_t dst = 0;
  Box box;

  friend bool operator==(const BoxMove&, const BoxMove&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("src", self.src);
    visit("dst", self.dst);
    visit("box", self.box);
  }
};

// Devices that exchange data with each other and with nobody else. What every
// group does is said in full by its moves: for every destination they are
// applied in their order; the first writes and, where `sum`, all are added
// onto zeros. `pattern` names a collective with the same result (but for the
// rounding of sums).
struct ReshardGroup {
  Pattern pattern = Pattern::kBoxes;
  std::vector<DeviceId> members;  // of a collective in its member order, else ascending
  std::uint32_t root = 0;         // of a broadcast
  bool sum = false;
  std::vector<BoxMove> moves;  // by dst, then in the order of summation

  friend bool operator==(const ReshardGroup&, const ReshardGroup&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("pattern", self.pattern);
    visit("members", self.members);
    visit("root", self.root);
    visit("sum", self.sum);
    visit("moves", self.moves);
  }
};

// How to get from `from` to `to`, two layouts of one tensor; any to any.
//
// A destination with several sources for an index takes the one on its own
// device, else the replica of its own index in `from`, else, where the layouts
// have no device in common, the replicas in turn, else the nearest device number. Where `to` has
// partials, the first gets the value and the others zeros; where its overlaps are sums, the first
// part that covers an index. Groups stand in the order of their smallest device.
struct Reshard {
  std::vector<ReshardGroup> groups;

  // Every shard is where it should be and has the right box already.
  bool nothing() const;

  friend bool operator==(const Reshard&, const Reshard&) = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("groups", self.groups);
  }
};

enum class Patterns : std::uint8_t {
  kChosen,     // name the cheapest collective where one has the same result
  kBoxesOnly,  // plain box copies: what collectives are checked against
};
Reshard reshard(const Layout& from, const Layout& to, Patterns patterns = Patterns::kChosen);

// Elements that cross between devices under plain box copies.
std::int64_t elements_moved(const Reshard& reshard, const Layout& from, const Layout& to);

}  // namespace soapstone::core
