// Markov chain Monte Carlo over the whole SOAP space (FlexFlow, arXiv 1807.05358, §6).
//
// One chain from each starting strategy: data parallelism, the expert's, and
// random ones. A proposal replaces the OpStrategy of one operator, both drawn
// at random (Space::random). A proposal that is slower by Δt is accepted with
// probability exp(-β Δt / t_start), t_start being the fastest start. The
// threshold is drawn before the simulation, which stops as soon as it must
// lose. A proposal that does not fit into memory is accepted only while the
// present strategy does not fit either, and then if it exceeds the limit less.
// A chain ends with its share of the budget, or when its best has not improved
// for half of it; what is left goes to the others.
#pragma once

#include "core/ranked_strategies.hpp"
#include "core/result.hpp"
#include "search/problem.hpp"

namespace soapstone::search {

struct McmcOptions {
  // Higher is greedier: at β = 100 a proposal that costs 1 % of t_start is
  // accepted with probability 1/e. bench/search_bench.cpp sweeps it.
  double beta = 100;
  int random_starts = 2;
  std::size_t most = 10;   // strategies in the answer, besides those kept for comparison
  bool stop_early = true;  // stop simulations that must lose; the answer is the same without
};

core::Result<core::RankedStrategies> mcmc(const Problem& problem, const Budget& budget,
                                          std::uint64_t seed, const Progress& progress = {},
                                          const McmcOptions& options = {});

}  // namespace soapstone::search
