#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> transpose_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> transpose_candidates() {
  static const Candidate kCandidates[] = {
      {"transpose/kokkos", [](const core::LocalProblem&) { return std::string(); },
       transpose_kokkos, nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
