#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> dropout_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> dropout_candidates() {
  static const Candidate kCandidates[] = {
      {"dropout/kokkos", [](const core::LocalProblem&) { return std::string(); }, dropout_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
