#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> concat_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> concat_candidates() {
  static const Candidate kCandidates[] = {
      {"concat/kokkos", [](const core::LocalProblem&) { return std::string(); }, concat_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
