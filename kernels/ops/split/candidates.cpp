#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> split_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> split_candidates() {
  static const Candidate kCandidates[] = {
      {"split/kokkos", [](const core::LocalProblem&) { return std::string(); }, split_kokkos,
       nullptr, /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
