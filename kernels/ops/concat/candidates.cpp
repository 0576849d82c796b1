#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> concat_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> concat_candidates() {
  static const Candidate kCandidates[] = {
      {"concat/kokkos", [](const core::LocalProblem&) { return std::string(); }, concat_kokkos,
       nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
