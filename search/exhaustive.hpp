// Every strategy there is: the oracle for small cases.
#pragma once

#include "core/ranked_strategies.hpp"
#include "core/result.hpp"
#include "search/problem.hpp"

namespace soapstone::search {

// Which devices an operator may have.
enum class DeviceLists : std::uint8_t {
  kAll,  // any devices in any order; of strategies that differ only in the names of equal devices
         // one is looked at
  kAscending,  // any devices in ascending order
  kBlocks,     // neighbours, starting at a multiple of their number
};

struct ExhaustiveOptions {
  DeviceLists device_lists = DeviceLists::kAll;
  double most_strategies = 1e6;  // refuses more
  std::size_t most = 10;         // strategies in the answer, besides those kept for comparison
};

// Strategies in the space. Devices are equal if they are of one kind in one
// node, or in the same places of nodes of one kind and size; those that pins
// name are equal to no other.
core::Result<double> count_strategies(const Problem& problem,
                                      const ExhaustiveOptions& options = {});

// Refuses a space of more than `most_strategies` with its size.
core::Result<core::RankedStrategies> exhaustive(const Problem& problem,
                                                const Progress& progress = {},
                                                const ExhaustiveOptions& options = {});

}  // namespace soapstone::search
