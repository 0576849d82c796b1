// What lowering knows of one operator, or of one edge, alone: kept from strategy to strategy.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/cluster.hpp"
#include "core/graph.hpp"
#include "core/kernel_catalog.hpp"
#include "core/layout.hpp"
#include "core/plan.hpp"
#include "core/reshard.hpp"
#include "core/strategy.hpp"

namespace soapstone::core::lowering {

// Where a layout lies in the classes of one plan.
struct CutPlace {
  struct Spot {
    std::uint32_t device_class = 0;
    Box box;  // of the class's first member; empty: the class has no part of the tensor
  };
  std::uint64_t plan = 0;  // which one; 0: of none yet
  std::vector<Spot> spots;
  std::vector<std::uint32_t> spot_of_class;  // kNoIndex: not on that class
};

// A layout with its hash.
struct Cut {
  Layout layout;
  std::uint64_t hash = 0;
  mutable CutPlace place;
};
using CutPtr = std::shared_ptr<const Cut>;
CutPtr make_cut(Layout layout);

// Of the copies, or of the summands, of every part the `count` from `first` on.
Layout some_copies(const Layout& all, std::int32_t first, std::int32_t count);
Layout some_sums(const Layout& all, std::int32_t first, std::int32_t count);
// `over` neighbouring replicas keep a part each of what all of them have, cut along the dimension
// whose parts are longest. The same layout where there are no replicas.
Layout shared_among_replicas(const Layout& copies, std::int32_t over);

// Everything about an operator under one OpStrategy. Operators of one definition share it.
struct OpSegment {
  AxisSet split;
  // Per round (of a ring; else one) and device of the strategy; op left open, candidate numbered
  // here.
  std::vector<Shard> shards;
  std::vector<Bytes> workspace;              // per device
  std::vector<std::uint64_t> form;           // per device: equal for devices whose parts are alike
  std::vector<int> steps;                    // used and needed, in order
  std::vector<CutPtr> read;                  // per operand
  std::vector<std::vector<CutPtr>> written;  // per step (definition index), per write
  std::vector<CutPtr> gathered;  // ids and rows of the step whose gradient comes as rows
  // Of a ring. Per round and device: whether it computes.
  std::vector<bool> computes;
  // Per operand that goes round, per round: where its blocks are, where those that go no further
  // are, and where those come from (null: none).
  struct Around {
    CutPtr here, leaving, home;
  };
  std::vector<std::vector<Around>> around;
};
// Fills in what a ring has; all else is there.
void add_rounds(OpSegment& segment, const OpDefinition& def, const OpStrategy& strategy);

// What a class does in a move.
struct MoveRole {
  std::uint32_t device_class = 0;
  Pattern pattern = Pattern::kNone;
  bool held = false, wanted = false;
  Bytes staging;
  std::uint32_t row = kNoIndex;  // of the member table
};

// A reshard ready to be put into a plan.
struct MoveSegment {
  struct Group {
    Pattern pattern = Pattern::kNone;
    std::vector<DeviceId> members;
    Transfer transfer;           // unused where the pattern is none
    std::vector<Bytes> staging;  // per member
  };
  std::vector<Group> groups;
  mutable std::uint64_t plan = 0;  // which one the roles are of; 0: of none yet
  mutable std::vector<MoveRole> roles;
};

class Segments {
 public:
  Segments(const Cluster& cluster, const KernelCatalog& catalog, bool training, Patterns patterns)
      : cluster_(cluster), catalog_(catalog), training_(training), patterns_(patterns) {}

  // Before a plan is made. `graph` is that of a micro-batch and outlives the plan.
  void begin(const Graph& graph);

  std::shared_ptr<const OpSegment> of(std::uint32_t op, const OpStrategy& strategy);
  const MoveSegment& move(const Cut& from, const Cut& to, DType dtype, const DimOrder& dims);
  // Several reshards as one, each of layouts on devices of its own: what `from` and `to` are made
  // of.
  enum class Pieces : std::uint8_t { kWhole, kSumsOfGroups, kCopiesOfGroups, kSums };
  struct Piece {
    Layout from, to;
  };
  const MoveSegment& move(const Cut& from, const Cut& to, Pieces which,
                          const std::function<std::vector<Piece>()>& pieces, DType dtype,
                          const DimOrder& dims);

  const std::string& candidate(std::uint32_t index) const { return candidates_[index]; }
  std::size_t candidates() const { return candidates_.size(); }

 private:
  struct Choice {
    std::uint32_t candidate = 0;
    Bytes workspace;
  };
  Choice choose(const LocalProblem& problem, std::uint64_t signature, DeviceId device);
  void add(MoveSegment& segment, Reshard moves, const Layout& from, const Layout& to, DType dtype,
           const DimOrder& dims);

  const Cluster& cluster_;
  const KernelCatalog& catalog_;
  bool training_;
  Patterns patterns_;
  const Graph* graph_ = nullptr;
  struct Known {                             // of a graph, per operator
    std::vector<std::uint64_t> definitions;  // equal for operators that are alike
    std::vector<std::vector<int>> steps;     // that are needed
  };
  std::unordered_map<const Graph*, Known> known_;
  std::unordered_map<std::uint64_t, std::shared_ptr<const OpSegment>> ops_;
  std::unordered_map<std::uint64_t, std::unique_ptr<const MoveSegment>> moves_;
  std::unordered_map<std::uint64_t, Choice> choices_;
  std::vector<std::string> candidates_;
  std::unordered_map<std::string, std::uint32_t> candidate_index_;
  // A search proposes without end: what is kept is given up when it has become this much.
  static constexpr std::size_t kMostKept = std::size_t{192} << 20;
  std::size_t kept_ = 0;  // bytes, roughly
};

std::uint64_t combine(std::uint64_t a, std::uint64_t b);

}  // namespace soapstone::core::lowering
