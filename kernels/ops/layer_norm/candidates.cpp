#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> layer_norm_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> layer_norm_candidates() {
  static const Candidate kCandidates[] = {
      {"layer_norm/kokkos", [](const core::LocalProblem&) { return std::string(); },
       layer_norm_kokkos, nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
