#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> vocab_parallel_cross_entropy_kokkos(
    const core::LocalProblem& problem);

std::span<const Candidate> vocab_parallel_cross_entropy_candidates() {
  static const Candidate kCandidates[] = {
      {"vocab_parallel_cross_entropy/kokkos",
       [](const core::LocalProblem&) { return std::string(); },
       vocab_parallel_cross_entropy_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
