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
  // Higher is greedier: at 300 a proposal that costs 0.33 % of t_start is
  // accepted with probability 1/e. Swept over 10 … 10,000 (16 devices of
  // p100-4x4, 6,000 proposals, mean of 3 seeds; bench/search_bench.cpp repeats
  // it): speed-up over data parallelism of alexnet 8.69 8.67 9.26 9.49 9.52
  // 9.57 at 10 30 100 300 1,000 10,000, of fashion-cnn 1.44 1.64 1.68 1.71 1.69
  // 1.69, of inception-block 1.00 1.00 1.35 1.60 1.56 1.58.
  double beta = 300;
  int random_starts = 2;
  std::size_t most = 10;   // strategies in the answer, besides those kept for comparison
  bool stop_early = true;  // stop simulations that must lose; the answer is the same without
};

core::Result<core::RankedStrategies> mcmc(const Problem& problem, const Budget& budget,
                                          std::uint64_t seed, const Progress& progress = {},
                                          const McmcOptions& options = {});

}  // namespace soapstone::search
