#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> interaction_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> interaction_candidates() {
  static const Candidate kCandidates[] = {
      {"interaction/kokkos", [](const core::LocalProblem&) { return std::string(); },
       interaction_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
