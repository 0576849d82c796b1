#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> adaptive_pool2d_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> adaptive_pool2d_candidates() {
  static const Candidate kCandidates[] = {
      {"adaptive_pool2d/kokkos", [](const core::LocalProblem&) { return std::string(); },
       adaptive_pool2d_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
