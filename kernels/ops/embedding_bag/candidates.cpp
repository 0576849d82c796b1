#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> embedding_bag_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> embedding_bag_candidates() {
  static const Candidate kCandidates[] = {
      {"embedding_bag/kokkos", [](const core::LocalProblem&) { return std::string(); },
       embedding_bag_kokkos},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
