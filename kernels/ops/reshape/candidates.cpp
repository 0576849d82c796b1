#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> reshape_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> reshape_candidates() {
  static const Candidate kCandidates[] = {
      {"reshape/kokkos", [](const core::LocalProblem&) { return std::string(); }, reshape_kokkos,
       nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
