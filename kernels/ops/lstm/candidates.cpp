#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> lstm_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> lstm_candidates() {
  static const Candidate kCandidates[] = {
      {"lstm/kokkos", [](const core::LocalProblem&) { return std::string(); }, lstm_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
