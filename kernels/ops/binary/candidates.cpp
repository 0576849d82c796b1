#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> binary_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> binary_candidates() {
  static const Candidate kCandidates[] = {
      {"binary/kokkos", [](const core::LocalProblem&) { return std::string(); }, binary_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
