#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> moe_combine_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> moe_combine_candidates() {
  static const Candidate kCandidates[] = {
      {"moe_combine/kokkos", [](const core::LocalProblem&) { return std::string(); },
       moe_combine_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
