#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> rms_norm_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> rms_norm_candidates() {
  static const Candidate kCandidates[] = {
      {"rms_norm/kokkos", [](const core::LocalProblem&) { return std::string(); }, rms_norm_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
