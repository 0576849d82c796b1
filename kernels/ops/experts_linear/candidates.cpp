#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> experts_linear_kokkos(const core::LocalProblem& problem);
core::Bytes experts_linear_kokkos_workspace(const core::LocalProblem& problem);

std::span<const Candidate> experts_linear_candidates() {
  static const Candidate kCandidates[] = {
      {"experts_linear/kokkos", [](const core::LocalProblem&) { return std::string(); },
       experts_linear_kokkos, experts_linear_kokkos_workspace},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
