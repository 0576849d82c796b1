#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> batch_norm_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> batch_norm_candidates() {
  static const Candidate kCandidates[] = {
      {"batch_norm/kokkos", [](const core::LocalProblem&) { return std::string(); },
       batch_norm_kokkos, nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
