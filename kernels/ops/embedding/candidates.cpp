#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> embedding_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> embedding_candidates() {
  static const Candidate kCandidates[] = {
      {"embedding/kokkos", [](const core::LocalProblem&) { return std::string(); },
       embedding_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
