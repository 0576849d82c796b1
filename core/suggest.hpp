// "Did you mean": finding the accepted name nearest to what was given.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soapstone::core {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a`
// into `b` (optimal string alignment); letters are compared without case.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidates, nearest to `given` first; equally near ones keep their order.
std::vector<std::string_view> nearest_first(std::string_view given,
                                            std::span<const std::string_view> candidates);

// The nearest candidate, or nothing when even that one differs by more than a
// third of its letters (one letter is always forgiven).
std::optional<std::string_view> nearest_name(std::string_view given,
                                             std::span<const std::string_view> candidates);

// "did you mean `ring`? accepted: ring, tree", or only "accepted: ring, tree"
// when no name is near, or "nothing is accepted here". Nearest first.
std::string accepted_names(std::string_view given, std::span<const std::string_view> candidates);

}  // namespace soapstone::core
