#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> swiglu_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> swiglu_candidates() {
  static const Candidate kCandidates[] = {
      {"swiglu/kokkos", [](const core::LocalProblem&) { return std::string(); }, swiglu_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
