#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> add_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> add_candidates() {
  static const Candidate kCandidates[] = {
      {"add/kokkos", [](const core::LocalProblem&) { return std::string(); }, add_kokkos, nullptr,
       /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
