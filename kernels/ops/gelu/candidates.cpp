#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> gelu_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> gelu_candidates() {
  static const Candidate kCandidates[] = {
      {"gelu/kokkos", [](const core::LocalProblem&) { return std::string(); }, gelu_kokkos, nullptr,
       /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
