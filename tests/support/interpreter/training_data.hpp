// What a test trains on: values that follow from the element's global index alone, so that they do
// not depend on layouts.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph.hpp"

namespace soapstone::interpreter {

// The elements of a whole tensor, row-major.
using Values = std::vector<double>;

struct TrainingData {
  std::uint64_t seed = 1;

  // Of a source of the whole mini-batch: classes for i32, else numbers in [-1, 1).
  Values source(const core::Graph& graph, core::TensorId tensor) const;
  Values weight(const core::Graph& graph, core::TensorId tensor) const;
  // Not zeros, so that a lost or misplaced state shows in the first step.
  Values optimizer_state(const core::Graph& graph, core::TensorId tensor,
                         std::uint32_t state) const;
};

// The part `box` of a whole tensor, row-major.
Values cut(const core::Shape& shape, const Values& whole, const core::Box& box);

}  // namespace soapstone::interpreter
