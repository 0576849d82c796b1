#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> cast_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> cast_candidates() {
  static const Candidate kCandidates[] = {
      {"cast/kokkos", [](const core::LocalProblem&) { return std::string(); }, cast_kokkos, nullptr,
       /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
