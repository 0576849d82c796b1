#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> reduce_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> reduce_candidates() {
  static const Candidate kCandidates[] = {
      {"reduce/kokkos", [](const core::LocalProblem&) { return std::string(); }, reduce_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
