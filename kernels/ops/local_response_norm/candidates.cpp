#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> local_response_norm_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> local_response_norm_candidates() {
  static const Candidate kCandidates[] = {
      {"local_response_norm/kokkos", [](const core::LocalProblem&) { return std::string(); },
       local_response_norm_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
