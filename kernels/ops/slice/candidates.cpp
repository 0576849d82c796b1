#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> slice_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> slice_candidates() {
  static const Candidate kCandidates[] = {
      {"slice/kokkos", [](const core::LocalProblem&) { return std::string(); }, slice_kokkos,
       nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
