#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> unary_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> unary_candidates() {
  static const Candidate kCandidates[] = {
      {"unary/kokkos", [](const core::LocalProblem&) { return std::string(); }, unary_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
