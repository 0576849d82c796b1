// Where a number is none: NaN or infinite.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/kernel.hpp"

namespace soapstone::runtime {

struct NonFiniteElement {
  std::int64_t first_index = 0;  // of the block's first dimension, in the tensor's index space
  double value = 0;
};

// The first element, as they lie in memory, that is NaN or infinite. Integers are always numbers.
std::optional<NonFiniteElement> first_non_finite(const kernels::Block& block);

// What a step made that is no number.
struct NonFinite {
  std::uint32_t order = 0;  // of the task in the plan's order, from 1; 0: before the step
  int rank = 0;
  double value = 0;
  std::string where;         // "operator fc2 (linear), forward, output y"
  std::int64_t sample = -1;  // index in the mini-batch, of what the data delivers
};

// Of one rank: the first in the plan's order of all, and of those that are NaN. Found in any order.
struct NonFiniteTrail {
  std::optional<NonFinite> first, first_nan;
  void add(const NonFinite& found);
};

// Between processes.
std::string to_bytes(const std::vector<NonFinite>& list);
std::vector<NonFinite> non_finite_from_bytes(const std::string& bytes);

// "nan", "inf" or "-inf".
std::string name_of_non_finite(double value);

}  // namespace soapstone::runtime
