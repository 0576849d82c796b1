#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> pad_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> pad_candidates() {
  static const Candidate kCandidates[] = {
      {"pad/kokkos", [](const core::LocalProblem&) { return std::string(); }, pad_kokkos, nullptr,
       /*takes_bf16=*/true},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
