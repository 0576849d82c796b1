#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> cast_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> cast_candidates() {
  static const Candidate kCandidates[] = {
      {"cast/kokkos", [](const core::LocalProblem&) { return std::string(); }, cast_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
