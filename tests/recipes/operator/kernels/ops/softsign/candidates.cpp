#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> softsign_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> softsign_candidates() {
  static const Candidate kCandidates[] = {
      {"softsign/kokkos", [](const core::LocalProblem&) { return std::string(); }, softsign_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
