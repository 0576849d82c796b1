#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> group_norm_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> group_norm_candidates() {
  static const Candidate kCandidates[] = {
      {"group_norm/kokkos", [](const core::LocalProblem&) { return std::string(); },
       group_norm_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
