// What of a graph is shown as one box: blocks of operators whose names begin alike, repeats of
// equal blocks, and parts of what would be too long a row. It depends on the graph alone, so that
// strategies are compared in the same picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph.hpp"

namespace soapstone::explorer {

inline constexpr std::uint32_t kNoFold = ~std::uint32_t{0};

// Operators first … first + length - 1, for kSources: sources in the order of the tensors.
struct Fold {
  enum class Kind : std::uint8_t {
    kOp,       // one operator; length 1
    kSource,   // one source; first: the tensor
    kSources,  // several of them
    kBlock,    // its children make it up
    kRepeat,   // its children are equal blocks, or equal operators
  };
  Kind kind = Kind::kBlock;
  std::string name;  // "layer3", "layer0…11", "conv1…pool2"
  std::uint32_t first = 0, length = 0;
  std::uint32_t parent = kNoFold;
  std::uint32_t depth = 0;
  std::vector<std::uint32_t> children;

  bool opens() const { return !children.empty(); }
  friend bool operator==(const Fold&, const Fold&) = default;
};

// folds[0] is the whole graph, a block; parents stand before their children.
struct FoldTree {
  std::vector<Fold> folds;
  std::vector<std::uint32_t> fold_of_op;

  friend bool operator==(const FoldTree&, const FoldTree&) = default;
};

// Names are taken apart at _ . / and :. Blocks have three operators at least; those of a repeat
// have equal attributes and shapes and are connected inside in the same way. A level of more than
// `most` children is cut into parts where few tensors cross.
FoldTree fold_tree(const core::Graph& graph, std::size_t most = 40);

// How a fold is shown.
enum class Shown : std::uint8_t {
  kClosed,  // as one box
  kOnce,    // repeats: the first block stands for all of them
  kEach,    // every child
};

// Per fold. As much as fits into `most` boxes, level by level, a repeat once: what a person sees
// first. The whole graph is open in any case.
std::vector<Shown> first_sight(const FoldTree& tree, std::size_t most = 40);

// Opens what operator `op` lies in. A repeat is shown once, where the operator's counterpart in the
// first block stands for it, unless each of its blocks is shown already.
void reveal(const FoldTree& tree, std::uint32_t op, std::vector<Shown>& open);

// What kOnce and kEach show of an open fold; of a repeat that is shown once, the content of its
// first block.
const std::vector<std::uint32_t>& content(const FoldTree& tree, std::uint32_t fold, Shown shown);
// How it opens at first: a repeat of blocks once, everything else for each.
Shown opened(const FoldTree& tree, std::uint32_t fold);

}  // namespace soapstone::explorer
