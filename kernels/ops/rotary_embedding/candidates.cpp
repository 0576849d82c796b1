#include "kernels/kernel.hpp"

namespace soapstone::kernels {

std::unique_ptr<PreparedKernel> rotary_embedding_kokkos(const core::LocalProblem& problem);

std::span<const Candidate> rotary_embedding_candidates() {
  static const Candidate kCandidates[] = {
      // Preparing computes a table of angles, which a search need not wait for.
      {"rotary_embedding/kokkos", [](const core::LocalProblem&) { return std::string(); },
       rotary_embedding_kokkos, [](const core::LocalProblem&) { return core::Bytes(0); }},
  };
  return kCandidates;
}

}  // namespace soapstone::kernels
