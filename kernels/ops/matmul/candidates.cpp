#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> matmul_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> matmul_candidates() {
  static const Candidate kCandidates[] = {
      {"matmul/kokkos", [](const core::LocalProblem&) { return std::string(); }, matmul_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
