#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> gru_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> gru_candidates() {
  static const Candidate kCandidates[] = {
      {"gru/kokkos", [](const core::LocalProblem&) { return std::string(); }, gru_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
