#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> add_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> add_candidates() {
  static const Candidate kCandidates[] = {
      {"add/kokkos", [](const core::LocalProblem&) { return std::string(); }, add_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
