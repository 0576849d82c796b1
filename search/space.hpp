// What every operator may be: all legal degrees and replicas on all device lists, or its pins.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph.hpp"
#include "core/result.hpp"
#include "core/strategy.hpp"
#include "search/problem.hpp"
#include "search/rng.hpp"

namespace soapstone::search {

// Degrees per axis and replicas, with as many devices as their product.
struct Cut {
  std::vector<std::int32_t> degrees;
  std::int32_t replicas = 1;
  std::int32_t devices = 1;
};

class Space {
 public:
  // Checks the problem, and keeps nothing of it.
  static core::Result<Space> make(const Problem& problem);

  // Of one micro-batch: what degrees refer to.
  const core::Graph& graph() const { return *graph_; }
  std::size_t size() const { return cuts_.size(); }
  std::uint32_t device_count() const { return devices_; }
  std::span<const Cut> cuts(std::size_t op) const { return cuts_[op]; }
  std::span<const core::OpStrategy> pinned(std::size_t op) const {
    return pins_[op];
  }  // empty: free
  // The operators that have a choice.
  std::span<const std::size_t> open() const { return open_; }

  bool allows(std::size_t op, const core::OpStrategy& strategy) const;
  // The first reason why a strategy is not as pinned; empty if it is.
  std::string why_not(const core::Strategy& strategy) const;
  // The strategy with its pinned operators put right.
  core::Strategy pinned(core::Strategy strategy) const;

  // One of the pins, uniformly; else a cut, uniformly among all whose product
  // of degrees and replicas is at most the number of devices, on
  //   1/2  an aligned block of neighbours (starting at a multiple of its length),
  //   1/4  every s-th device from anywhere, s uniform among those that fit,
  //   1/4  any devices in any order.
  // What it draws does not depend on the present strategy. So with the
  // acceptance min(1, exp(-c Δt)) the chain is reversible, and its stationary
  // distribution is exp(-c t) times the probability of drawing the strategy here.
  core::OpStrategy random(std::size_t op, Rng& rng) const;
  core::Strategy random(Rng& rng) const;

 private:
  std::shared_ptr<const core::Graph> graph_;
  std::uint32_t devices_ = 0;
  std::int32_t micro_batches_ = 1;
  std::vector<std::vector<Cut>> cuts_;
  std::vector<std::vector<core::OpStrategy>> pins_;
  std::vector<std::size_t> open_;
};

}  // namespace soapstone::search
