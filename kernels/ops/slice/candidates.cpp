#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> slice_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> slice_candidates() {
  static const Candidate kCandidates[] = {
      {"slice/kokkos", [](const core::LocalProblem&) { return std::string(); }, slice_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
