#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> moe_dispatch_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> moe_dispatch_candidates() {
  static const Candidate kCandidates[] = {
      {"moe_dispatch/kokkos", [](const core::LocalProblem&) { return std::string(); },
       moe_dispatch_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
