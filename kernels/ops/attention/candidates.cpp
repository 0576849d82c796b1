#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> attention_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> attention_candidates() {
  static const Candidate kCandidates[] = {
      {"attention/kokkos", [](const core::LocalProblem&) { return std::string(); },
       attention_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
